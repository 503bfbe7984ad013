"""The flags that commands share, as groups: help, short form, environment variable, default.

Knows the command line library and the settings that flags end up in; nothing is looked up here
but the secrets, which never are flags themselves.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from bulkup.errors import UsageError
from bulkup.settings import (
    Account,
    Checking,
    Level,
    MethodName,
    Sending,
    default_ledger,
    environment,
    need,
    parse_duration,
    parse_size,
    read_api_key,
    read_password,
)

GALLERY = Group.create_ordered("Gallery")
SENDING = Group.create_ordered("Sending")
CHECKING = Group.create_ordered("Checking")
TROUBLE = Group.create_ordered("When something fails")


def flag(
    text: str, *, group: Group, variable: str, short: str = "", metavar: str = ""
) -> Parameter:
    """Describe a flag: its help, its group, its environment variable and its short form."""
    return Parameter(
        help=text,
        group=group,
        env_var=variable,
        alias=short or None,
        metavar=metavar or None,
        negative="",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFlags:
    """Which gallery, and as whom."""

    url: Annotated[
        str | None, flag("The gallery's address.", group=GALLERY, variable="BULKUP_URL")
    ] = None
    user: Annotated[
        str | None,
        flag("An administrator of the gallery.", group=GALLERY, variable="BULKUP_USER"),
    ] = None
    password_file: Annotated[
        Path | None,
        flag(
            "File whose first line is the password; without it the variable BULKUP_PASSWORD "
            "counts, then a prompt.",
            group=GALLERY,
            variable="BULKUP_PASSWORD_FILE",
        ),
    ] = None
    password_command: Annotated[
        str | None,
        flag(
            "Command that prints the password.",
            group=GALLERY,
            variable="BULKUP_PASSWORD_COMMAND",
        ),
    ] = None
    api_key_file: Annotated[
        Path | None,
        flag(
            "File with an API key pkid-…:secret (Piwigo 16 and later) instead of user and "
            "password; without it the variable BULKUP_API_KEY counts.",
            group=GALLERY,
            variable="BULKUP_API_KEY_FILE",
        ),
    ] = None

    def account(self) -> Account:
        """Return who logs in where, without the password. Raises `UsageError`."""
        url = need(self.url, flag="--url", variable="BULKUP_URL", what="the gallery's address")
        key = read_api_key(file=self.api_key_file, variables=environment())
        if self.api_key_file is None and (self.password_file or self.password_command):
            key = ""  # a flag counts more than the environment
        if key:
            return Account(url=url, api_key=key)
        user = need(self.user, flag="--user", variable="BULKUP_USER", what="the user name")
        return Account(url=url, user=user)

    def password(self) -> str:
        """Return the password, asking for it if there is somebody to ask. Raises `UsageError`."""
        return read_password(
            file=self.password_file,
            command=self.password_command,
            variables=environment(),
            user=self.user or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleFlags:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingFlags:
    """Where to and how."""

    album: Annotated[
        int | None,
        flag("Number of the album.", group=SENDING, short="-a", variable="BULKUP_ALBUM"),
    ] = None
    concurrency: Annotated[
        int,
        flag(
            "Photos on their way at once, 1–64.",
            group=SENDING,
            short="-c",
            variable="BULKUP_CONCURRENCY",
        ),
    ] = 8
    finishing: Annotated[
        int,
        flag(
            "Photos that the server works on at once. Each takes two of its PHP workers; as many "
            "as it has workers would freeze it.",
            group=SENDING,
            variable="BULKUP_FINISHING",
        ),
    ] = 2
    level: Annotated[
        Level,
        flag(
            "Who may see the photos: 0 everybody, 1 contacts, 2 friends, 4 family, 8 admins.",
            group=SENDING,
            variable="BULKUP_LEVEL",
        ),
    ] = 0
    chunk_size: Annotated[
        str | None,
        flag(
            "Size of one request, such as 500K or 2M; by default what the server names.",
            group=SENDING,
            variable="BULKUP_CHUNK_SIZE",
            metavar="SIZE",
        ),
    ] = None
    method: Annotated[
        MethodName,
        flag(
            "How photos are sent: async is pwg.images.uploadAsync, upload pwg.images.upload, "
            "legacy pwg.images.addChunk and add; auto the first of these that the server offers.",
            group=SENDING,
            variable="BULKUP_METHOD",
        ),
    ] = "auto"

    def sending(self, trouble: TroubleFlags) -> Sending:
        """Return the checked values. Raises `UsageError`."""
        if self.album is None:
            raise UsageError(
                "the album is missing",
                hint="Give its number: --album N. It stands in the album's address.",
            )
        size = parse_size(self.chunk_size, flag="--chunk-size") if self.chunk_size else None
        return Sending(
            album=self.album,
            concurrency=self.concurrency,
            finishing=self.finishing,
            level=self.level,
            chunk_size=size,
            method=self.method,
            retries=trouble.retries,
            patience_s=trouble.patience_s,
            ledger=trouble.file,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckingFlags:
    """Where to look and how."""

    album: Annotated[
        int | None,
        flag(
            "Number of the album that the photos must be in; without it they may be anywhere in "
            "the gallery.",
            group=CHECKING,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    concurrency: Annotated[
        int,
        flag(
            "Stored files that the server reads at once, 1–64.",
            group=CHECKING,
            short="-c",
            variable="BULKUP_CONCURRENCY",
        ),
    ] = 4
    quick: Annotated[
        bool,
        flag(
            "Trust the MD5s that the gallery knows, instead of having it read its files.",
            group=CHECKING,
            variable="BULKUP_QUICK",
        ),
    ] = False

    def checking(self, trouble: TroubleFlags) -> Checking:
        """Return the checked values. Raises `UsageError`."""
        return Checking(
            album=self.album,
            concurrency=self.concurrency,
            quick=self.quick,
            retries=trouble.retries,
            patience_s=trouble.patience_s,
            ledger=trouble.file,
        )
