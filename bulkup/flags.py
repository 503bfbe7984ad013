"""The flags that commands share, as groups: help, short form, environment variable, default.

Knows the command line library and the settings that flags end up in; nothing is looked up here
but the secrets, which never are flags themselves.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from bulkup.secret import environment, read_api_key, read_password
from bulkup.settings import (
    Account,
    default_ledger,
    need,
    parse_duration,
)

GALLERY = Group.create_ordered("Gallery")
TROUBLE = Group.create_ordered("When something fails")


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
