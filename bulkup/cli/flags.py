"""Flags that several commands share: gallery, retries and ledger, titles and tags, cluster."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from cyclopts import Group, Parameter

from bulkup.app.credentials import (
    check_api_key,
    read_api_key,
    read_headers,
    read_http_password,
    read_password,
    variable_of,
)
from bulkup.app.settings import Account, Caution, require
from bulkup.cli.config import Layer, open_to_others, plain_secret, read_layers
from bulkup.source.metadata import FIELDS_TEXT, Labels

if TYPE_CHECKING:
    from bulkup.app.executor import ExecutorFactory
    from bulkup.source.cells import TableFile

TABLE: Final = frozenset({"metadata", "metadata_map"})
"""Fields of `LabelFlags` that name a table."""

ORDER: Final = (
    *(
        "Gallery",
        "Source",
        "Connection",
        "Albums",
        "Upload",
        "Verification",
        "Refresh",
        "Doctor",
        "Status",
        "Watching",
        "Cluster",
    ),
    *("Filters", "Titles and tags", "After the upload", "Output", "Retries and ledger"),
    *("Browser", "Sandbox", "Simulated load", "Setup", "Demo"),
)
"""The groups of flags in the order of the help text, after the groups of commands."""


def group(name: str) -> Group:
    """Return a group of flags with its position in the help text."""
    return Group(name, sort_key=10 + ORDER.index(name))


def flags(name: str) -> Parameter:
    """Return a decorator for a dataclass whose fields are flags of this group."""
    return Parameter(name="*", group=group(name))


def flag(
    text: str,
    *,
    short: str = "",
    metavar: str = "",
    count: bool = False,
    group: Group | None = None,
) -> Parameter:
    """Describe a flag: its help text, short form and placeholder.

    With `count`, the value is the number of times it is given. Its environment variable follows
    from its name (`CommandApp`). `group` overrides the group of its class.
    """
    parameter = Parameter(help=text, alias=short or None, metavar=metavar or None, count=count)
    return Parameter.combine(parameter, Parameter(group=group)) if group else parameter


CONNECTION: Final = group("Connection")


def split_commas(_hint: object, text: str, **_: object) -> list[str]:
    """Return the values of an environment variable for a flag that may be repeated."""
    return text.split(",")


def split_lines(_hint: object, text: str, **_: object) -> list[str]:
    """Return the lines of an environment variable for a flag that may be repeated."""
    return text.splitlines()


@flags("Gallery")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFlags:
    """The config file and the profile in it."""

    profile: Annotated[
        str | None, flag("Profile in the config file to take defaults from.", metavar="NAME")
    ] = None
    config: Annotated[
        Path | None,
        flag("Config file; bulkup config --path prints the default location.", metavar="FILE"),
    ] = None

    def layers(self) -> list[Layer]:
        """Return the tables of the config file that apply. Raises `UsageError`."""
        return read_layers(self.config, self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFlags(ProfileFlags):
    """The gallery and the user, without a secret."""

    url: Annotated[str | None, flag("Gallery URL.")] = None
    user: Annotated[str | None, flag("Gallery administrator to log in as.")] = None
    ca_cert: Annotated[
        Path | None,
        flag(
            "PEM file of certificates to trust in addition to the system's, for a server with a "
            "private or self-signed certificate.",
            metavar="FILE",
            group=CONNECTION,
        ),
    ] = None
    insecure: Annotated[
        bool, flag("Skip TLS certificate verification (insecure).", group=CONNECTION)
    ] = False
    client_cert: Annotated[
        Path | None,
        flag("PEM file of the client certificate to present.", metavar="FILE", group=CONNECTION),
    ] = None
    client_key: Annotated[
        Path | None,
        flag(
            "PEM file of its private key, unless that is in the same file.",
            metavar="FILE",
            group=CONNECTION,
        ),
    ] = None
    http_user: Annotated[
        str | None,
        flag(
            "User of a web server that asks for a password in front of Piwigo (HTTP Basic "
            "authentication).",
            metavar="USER",
            group=CONNECTION,
        ),
    ] = None
    http_password_file: Annotated[
        Path | None,
        flag(
            "File whose first line is that user's password. Default: BULKUP_HTTP_PASSWORD.",
            metavar="FILE",
            group=CONNECTION,
        ),
    ] = None
    header: Annotated[
        tuple[str, ...],
        Parameter(
            help="Header to send with every request. Repeatable; in the environment variable, one "
            "on each line. Keep headers with secrets there, or in --header-file.",
            env_var_split=split_lines,
            metavar="'NAME: VALUE'",
            group=CONNECTION,
        ),
    ] = ()
    header_file: Annotated[
        Path | None,
        flag("File with such headers, one on each line.", metavar="FILE", group=CONNECTION),
    ] = None
    proxy: Annotated[
        str | None,
        flag(
            "HTTP proxy to use for the gallery, or off. Default: HTTPS_PROXY or HTTP_PROXY, "
            "except for the hosts in NO_PROXY. Set BULKUP_PROXY if it contains a password.",
            metavar="URL",
            group=CONNECTION,
        ),
    ] = None

    def address(self) -> Account:
        """Return the account without a secret. Raises `UsageError`."""
        return Account(
            url=require(self.url, flag="--url", variable="BULKUP_URL", what="the gallery URL"),
            user=self.user or "",
            ca_cert=self.ca_cert,
            insecure=self.insecure,
            client_cert=self.client_cert,
            client_key=self.client_key,
            http_user=self.http_user or "",
            http_password=read_http_password(file=self.http_password_file, variables=os.environ)
            if self.http_user or self.http_password_file
            else "",
            headers=read_headers(self.header, file=self.header_file),
            proxy=self.proxy or "",
            cautions=tuple(self._cautions()),
        )

    def _cautions(self) -> Iterator[Caution]:
        if self.insecure:
            yield Caution(
                "the server's certificate is not verified (--insecure): anyone between this "
                "machine and the server can read the password and change the data",
                "Use --ca-cert with the server's certificate instead.",
            )
        for layer in self.layers():
            if layer.holds_secret and open_to_others(layer.file):
                yield Caution(
                    f"other users can read the secret in {layer.file}",
                    f"Run: chmod 600 {shlex.quote(str(layer.file))}",
                )
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFlags(AddressFlags):
    """The gallery and the account, whose secrets have names with this `prefix`."""

    prefix: ClassVar = ""

    password_file: Annotated[
        Path | None,
        flag(
            "File whose first line is the password. Default: BULKUP_PASSWORD, the profile, the "
            "key ring, or a prompt.",
            metavar="FILE",
        ),
    ] = None
    password_command: Annotated[
        str | None, flag("Command that prints the password.", metavar="COMMAND")
    ] = None
    api_key_file: Annotated[
        Path | None,
        flag(
            "File with an API key pkid-…:secret (Piwigo 16 or later), used instead of user and "
            "password. Default: BULKUP_API_KEY.",
            metavar="FILE",
        ),
    ] = None

    def account(self) -> Account:
        """Return the account, with an API key if one is given. Raises `UsageError`."""
        account = self.address()
        variables = os.environ
        if self.api_key_file is None and (self.password_file or self.password_command):
            return account  # a flag overrides BULKUP_API_KEY and the profile
        flag = f"--{self.prefix}api-key"
        key = read_api_key(file=self.api_key_file, variables=variables, flag=flag)
        if not key and not variables.get(variable_of(f"--{self.prefix}password")):
            key = check_api_key(plain_secret(self.layers(), "api-key", prefix=self.prefix))
        return replace(account, user="", api_key=key) if key else account

    def password(self) -> str:
        """Return the password that is given, or "". Raises `UsageError`."""
        return read_password(
            file=self.password_file,
            command=self.password_command,
            variables=os.environ,
            flag=f"--{self.prefix}password",
        ) or plain_secret(self.layers(), "password", prefix=self.prefix)


@flags("Retries and ledger")
@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFlags:
    """Retries, and the ledger."""

    retries: Annotated[int, flag("Retries of a failed request, and of a failed photo.")] = 5
    patience: Annotated[
        str,
        flag("How long to wait for an unreachable server, such as 15m or 2h.", metavar="TIME"),
    ] = "1h"
    ledger: Annotated[
        Path | None,
        flag(
            "Ledger file, the record of what has been uploaded where. Default: in the platform's "
            "state folder. Deleting it costs only time.",
            metavar="FILE",
        ),
    ] = None
    no_ledger: Annotated[
        bool, flag("Use no ledger: hash every file and ask the server about each.")
    ] = False


@flags("Titles and tags")
@dataclass(frozen=True, slots=True, kw_only=True)
class TableFlags:
    """A table of metadata."""

    metadata: Annotated[
        Path | None,
        flag(
            "CSV or Excel file with a row for each photo: its path or file name, and any of "
            "title, description, author, date, tags, albums, level and others. Takes precedence "
            "over sidecars. Excel files require bulkup[xlsx].",
            metavar="FILE",
        ),
    ] = None
    metadata_map: Annotated[
        tuple[str, ...],
        Parameter(
            help="Name of a column in that file, such as title=Caption. Repeatable; in the "
            "environment variable, one on each line.",
            env_var_split=split_lines,
            metavar="FIELD=COLUMN",
        ),
    ] = ()

    def table(self) -> "TableFile | None":
        """Return the table of metadata, if any. Raises `UsageError`."""
        from bulkup.app.options import build_table

        return build_table(metadata=self.metadata, metadata_map=self.metadata_map)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyTableFlags(TableFlags):
    """The table of metadata that an upload was given."""

    metadata: Annotated[
        Path | None,
        flag(
            "CSV or Excel file with a row for each photo, as given to the upload: the photos must "
            "be in its albums, too. Requires --album or --tree, or --positions.",
            metavar="FILE",
        ),
    ] = None


@flags("Titles and tags")
@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFlags(TableFlags):
    """Titles, tags and other text for all photos, in addition to their own."""

    title: Annotated[
        str | None,
        flag(f"Title of each photo: a template with any of {FIELDS_TEXT}.", metavar="TEMPLATE"),
    ] = None
    tag: Annotated[
        tuple[str, ...],
        Parameter(
            help="Tag for each photo, in addition to its own. Repeatable; in the "
            "environment variable, separate values with commas.",
            env_var_split=split_commas,
            metavar="NAME",
        ),
    ] = ()
    author: Annotated[str | None, flag("Author of each photo.")] = None
    comment: Annotated[str | None, flag("Description of each photo.")] = None
    no_sidecars: Annotated[
        bool, flag("Ignore XMP sidecars and Google Takeout JSON next to photos.")
    ] = False
    no_embedded: Annotated[
        bool,
        flag("Ignore titles, tags and other metadata inside the photo files (XMP, IPTC, EXIF)."),
    ] = False
    date_from_name: Annotated[
        bool,
        flag(
            "Take the date of a photo from its file name, such as IMG-20190704-WA0001.jpg, where "
            "neither the photo nor its sidecars nor a table have one."
        ),
    ] = False
    folder_as_tag: Annotated[
        bool,
        flag(
            "Add the names of the folders that a photo is in as tags, from below the given "
            "folders on."
        ),
    ] = False
    rating_as_tag: Annotated[bool, flag("Add a photo's rating as a tag, such as ★★★★.")] = False
    people_as_tags: Annotated[
        bool, flag("Add people as tags: those named by Google Takeout, and faces named in XMP.")
    ] = False
    keyword_paths: Annotated[
        bool,
        flag(
            "Make tags such as Places/Italy/Rome of hierarchical keywords, instead of their last "
            "level."
        ),
    ] = False

    def labels(self) -> Labels:
        """Return the checked values. Raises `UsageError`."""
        from bulkup.app.options import build_labels

        values = asdict(self)
        return build_labels(**{name: values[name] for name in values.keys() - TABLE})


@flags("Cluster")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFlags:
    """The Dask cluster to use."""

    dask: Annotated[
        str | None,
        flag(
            "Read and send photos with the workers of a Dask cluster: tls://scheduler:8786, "
            "or local:3 to try it with three processes on this machine. --concurrency applies "
            "to each worker. Requires bulkup[dask] on all machines.",
            metavar="ADDRESS|local:N",
        ),
    ] = None
    map: Annotated[
        tuple[str, ...],
        flag("Local folder, and its path on the workers. Repeatable.", metavar="HERE=THERE"),
    ] = ()
    dask_tls_ca: Annotated[
        Path | None,
        flag("CA certificate of the cluster. Default: Dask's configuration.", metavar="FILE"),
    ] = None
    dask_tls_cert: Annotated[
        Path | None, flag("This machine's certificate for the cluster.", metavar="FILE")
    ] = None
    dask_tls_key: Annotated[
        Path | None, flag("Private key of that certificate.", metavar="FILE")
    ] = None

    def executor_factory(self) -> "ExecutorFactory | None":
        """Return a factory for the executor, None without `--dask`. Raises `UsageError`."""
        import logging
        import warnings

        from bulkup.cluster import executor_from_flags

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module="distributed")  # such as those about ports in use
        tls = (self.dask_tls_ca, self.dask_tls_cert, self.dask_tls_key)
        return executor_from_flags(self.dask, maps=self.map, tls=tls)
