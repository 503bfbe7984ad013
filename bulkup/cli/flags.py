"""Flags that several commands share: gallery, retries and ledger, titles and tags, machines."""

import logging
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Group, Parameter

from bulkup.app.credentials import check_api_key, environment, read_api_key, read_password
from bulkup.app.settings import Account, Caution, default_ledger, need, parse_duration
from bulkup.cli.config import Layer, open_to_others, plain_secret, read_layers
from bulkup.errors import UsageError
from bulkup.source.metadata import FIELDS_TEXT, Labels, Template

if TYPE_CHECKING:
    from bulkup.app.executor import ExecutorFactory

ORDER: Final = (
    *("Gallery", "Albums", "Sending", "Checking", "Examining", "Status", "Watching"),
    "Several machines",
    *("Selecting", "Titles and tags", "Afterwards", "Output", "Retries and ledger"),
    *("Sandbox", "Simulated load", "Setting up", "At the end"),
)
"""The groups of flags as the help shows them, behind the commands."""


def group(name: str) -> Group:
    """Return a group of flags at its place in the help."""
    return Group(name, sort_key=10 + ORDER.index(name))


GALLERY = group("Gallery")
TROUBLE = group("Retries and ledger")


def _default_text(value: object) -> str | None:
    """Return what the help says of a default; nothing where nothing is said or done."""
    return None if value in (None, False, ()) else str(value)


def flag(
    text: str,
    *,
    group: Group,
    variable: str,
    short: str = "",
    metavar: str = "",
    count: bool = False,
) -> Parameter:
    """Describe a flag: its help, its group, its environment variable and its short form.

    With `count` its value is how often it is given.
    """
    return Parameter(
        help=text,
        group=group,
        env_var=variable,
        alias=short or None,
        metavar=metavar or None,
        negative="",
        count=count,
        show_default=_default_text,
    )


def by_commas(_kind: object, text: str, **_: object) -> list[str]:
    """Return the values that a variable holds for a flag that may be repeated."""
    return text.split(",")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFlags:
    """Where the settings are."""

    profile: Annotated[
        str | None,
        flag(
            "Take what no flag and no variable says from this profile of the settings file.",
            group=GALLERY,
            variable="BULKUP_PROFILE",
            metavar="NAME",
        ),
    ] = None
    config: Annotated[
        Path | None,
        flag(
            "The settings file; bulkup config --path tells where it lies by default.",
            group=GALLERY,
            variable="BULKUP_CONFIG",
            metavar="FILE",
        ),
    ] = None

    def layers(self) -> list[Layer]:
        """Return the tables of the settings file that count. Raises `UsageError`."""
        return read_layers(self.config, self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFlags(ProfileFlags):
    """Which gallery, as whom, and where the settings are."""

    url: Annotated[
        str | None, flag("The gallery's address.", group=GALLERY, variable="BULKUP_URL")
    ] = None
    user: Annotated[
        str | None,
        flag("An administrator of the gallery.", group=GALLERY, variable="BULKUP_USER"),
    ] = None
    ca_cert: Annotated[
        Path | None,
        flag(
            "File of certificates (PEM) to trust besides the system's: for a server of your own.",
            group=GALLERY,
            variable="BULKUP_CA_CERT",
            metavar="FILE",
        ),
    ] = None
    insecure: Annotated[
        bool,
        flag(
            "Believe any certificate: anybody on the way can read and change what is sent.",
            group=GALLERY,
            variable="BULKUP_INSECURE",
        ),
    ] = False

    def place(self) -> Account:
        """Return which gallery, and as whom, if that is said. Raises `UsageError`."""
        return Account(
            url=need(self.url, flag="--url", variable="BULKUP_URL", what="the gallery's address"),
            user=self.user or "",
            ca_cert=self.ca_cert,
            insecure=self.insecure,
            cautions=tuple(self._cautions()),
        )

    def _cautions(self) -> Iterator[Caution]:
        if self.insecure:
            yield Caution(
                "the server's certificate is not checked (--insecure): anybody on the way can "
                "read the password and change what is sent",
                "Name the file of the server's certificate by --ca-cert instead.",
            )
        for layer in self.layers():
            if layer.holds_secret and open_to_others(layer.file):
                yield Caution(
                    f"others can read the secret in {layer.file}",
                    f"Run: chmod 600 {shlex.quote(str(layer.file))}",
                )
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFlags(AddressFlags):
    """Which gallery, and as whom."""

    password_file: Annotated[
        Path | None,
        flag(
            "File whose first line is the password; without it the variable BULKUP_PASSWORD "
            "counts, then the profile, the key ring, a prompt.",
            group=GALLERY,
            variable="BULKUP_PASSWORD_FILE",
            metavar="FILE",
        ),
    ] = None
    password_command: Annotated[
        str | None,
        flag(
            "Command that prints the password.",
            group=GALLERY,
            variable="BULKUP_PASSWORD_COMMAND",
            metavar="COMMAND",
        ),
    ] = None
    api_key_file: Annotated[
        Path | None,
        flag(
            "File with an API key pkid-…:secret (Piwigo 16 and later) instead of user and "
            "password; without it the variable BULKUP_API_KEY counts.",
            group=GALLERY,
            variable="BULKUP_API_KEY_FILE",
            metavar="FILE",
        ),
    ] = None

    def account(self) -> Account:
        """Return who logs in where, with an API key if one is given. Raises `UsageError`."""
        account = self.place()
        variables = environment()
        if self.api_key_file is None and (self.password_file or self.password_command):
            return account  # a flag counts more than the environment, and that than the profile
        key = read_api_key(file=self.api_key_file, variables=variables)
        if not key and not variables.get("BULKUP_PASSWORD"):
            key = check_api_key(plain_secret(self.layers(), "api-key"))
        return replace(account, user="", api_key=key) if key else account

    def password(self) -> str:
        """Return the password that is given, empty if none is. Raises `UsageError`."""
        return read_password(
            file=self.password_file, command=self.password_command, variables=environment()
        ) or plain_secret(self.layers(), "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFlags:
    """How long to go on, and what to remember."""

    retries: Annotated[
        int,
        flag(
            "How often a request, and a photo, is tried again.",
            group=TROUBLE,
            variable="BULKUP_RETRIES",
        ),
    ] = 5
    patience: Annotated[
        str,
        flag(
            "How long to wait for a server that is away, such as 15m or 2h.",
            group=TROUBLE,
            variable="BULKUP_PATIENCE",
            metavar="TIME",
        ),
    ] = "1h"

    ledger: Annotated[
        Path | None,
        flag(
            "File that remembers what has been brought where; by default in the platform's "
            "folder for state. Deleting it costs time only.",
            group=TROUBLE,
            variable="BULKUP_LEDGER",
            metavar="FILE",
        ),
    ] = None
    no_ledger: Annotated[
        bool,
        flag(
            "Remember nothing: hash every file and ask the server about each.",
            group=TROUBLE,
            variable="BULKUP_NO_LEDGER",
        ),
    ] = False

    @property
    def patience_s(self) -> float:
        """The checked time, in seconds. Raises `UsageError`."""
        return parse_duration(self.patience, flag="--patience")

    @property
    def file(self) -> Path | None:
        """The ledger's file, None to do without."""
        return None if self.no_ledger else self.ledger or default_ledger()


LABELLING = group("Titles and tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFlags:
    """What every photo gets, over what its sidecars say."""

    title: Annotated[
        str | None,
        flag(
            f"Title of each photo: text with any of {FIELDS_TEXT}.",
            group=LABELLING,
            variable="BULKUP_TITLE",
            metavar="TEMPLATE",
        ),
    ] = None
    tag: Annotated[
        tuple[str, ...],
        Parameter(
            help="Tag for each photo, besides those of its sidecar; may be repeated. In the "
            "variable, commas part them.",
            group=LABELLING,
            env_var="BULKUP_TAG",
            env_var_split=by_commas,
            metavar="NAME",
            negative="",
            show_default=False,
        ),
    ] = ()
    author: Annotated[
        str | None, flag("Author of each photo.", group=LABELLING, variable="BULKUP_AUTHOR")
    ] = None
    comment: Annotated[
        str | None,
        flag("Description of each photo.", group=LABELLING, variable="BULKUP_COMMENT"),
    ] = None
    no_sidecars: Annotated[
        bool,
        flag(
            "Do not read what lies beside photos: XMP sidecars and the JSON of Google Takeout.",
            group=LABELLING,
            variable="BULKUP_NO_SIDECARS",
        ),
    ] = False
    rating_as_tag: Annotated[
        bool,
        flag(
            "Give a photo's rating as a tag, such as ★★★★.",
            group=LABELLING,
            variable="BULKUP_RATING_AS_TAG",
        ),
    ] = False
    people_as_tags: Annotated[
        bool,
        flag(
            "Give the people that Google Takeout names as tags.",
            group=LABELLING,
            variable="BULKUP_PEOPLE_AS_TAGS",
        ),
    ] = False

    def labels(self) -> Labels:
        """Return the checked values. Raises `UsageError`."""
        if not all(tag.strip() for tag in self.tag):
            raise UsageError("--tag is empty", hint="Give the tag's name: --tag holidays.")
        return Labels(
            title=None if self.title is None else Template(self.title, flag="--title"),
            tags=self.tag,
            author=self.author or "",
            comment=self.comment or "",
            sidecars=not self.no_sidecars,
            rating_as_tag=self.rating_as_tag,
            people_as_tags=self.people_as_tags,
        )


MACHINES = group("Several machines")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFlags:
    """Who helps."""

    dask: Annotated[
        str | None,
        flag(
            "Have the workers of a Dask cluster read and send the photos: tls://scheduler:8786, "
            "or local:3 to try it with so many processes here. Each has --concurrency photos on "
            "their way. Needs bulkup[dask] on all machines.",
            group=MACHINES,
            variable="BULKUP_DASK",
            metavar="ADDRESS|local:N",
        ),
    ] = None
    map: Annotated[
        tuple[str, ...],
        flag(
            "Where workers have a folder of this machine. May be given several times.",
            group=MACHINES,
            variable="BULKUP_MAP",
            metavar="HERE=THERE",
        ),
    ] = ()
    dask_tls_ca: Annotated[
        Path | None,
        flag(
            "Who has signed the cluster's certificates. Without it, Dask's own settings hold.",
            group=MACHINES,
            variable="BULKUP_DASK_TLS_CA",
            metavar="FILE",
        ),
    ] = None
    dask_tls_cert: Annotated[
        Path | None,
        flag(
            "This machine's certificate for the cluster.",
            group=MACHINES,
            variable="BULKUP_DASK_TLS_CERT",
            metavar="FILE",
        ),
    ] = None
    dask_tls_key: Annotated[
        Path | None,
        flag("Its key.", group=MACHINES, variable="BULKUP_DASK_TLS_KEY", metavar="FILE"),
    ] = None

    def executor_factory(self) -> "ExecutorFactory | None":
        """Return how to come by other machines' hands, None: they are not wanted.

        Raises `UsageError`.
        """
        from bulkup.cluster import executor_from_flags  # noqa: PLC0415 (heavy)

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module="distributed")  # as of ports that are taken
        tls = (self.dask_tls_ca, self.dask_tls_cert, self.dask_tls_key)
        return executor_from_flags(self.dask, maps=self.map, tls=tls)
