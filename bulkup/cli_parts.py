"""What the commands share: their flags, the exit codes, and what is asked before anything is done.

Knows the command line library and the settings that flags end up in.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bulkup.afterwards import AfterFlags
from bulkup.errors import BulkupError, RunError, UsageError
from bulkup.flags import GalleryFlags, TroubleFlags
from bulkup.labelling import LabelFlags
from bulkup.machines import MachineFlags
from bulkup.secret import ask_password
from bulkup.selecting import SelectionFlags
from bulkup.settings import Account, Telling, need
from bulkup.telling import TellingFlags
from bulkup.whereto import AlbumFlags, SoughtFlags
from bulkup.wishes import SendingFlags

if TYPE_CHECKING:
    from bulkup.choice import Choice


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0  # every photo is in the album, or where else it is to be
    SOME_FAILED = 1  # some photos are not, or something is in the way of a migration
    USAGE = 2  # a flag, a setting or a file is wrong; nothing was sent
    IMPOSSIBLE = 3  # log-in refused, no Piwigo, no such album, server gone
    INTERRUPTED = 130  # by Ctrl-C or SIGTERM

    @classmethod
    def of(cls, error: BulkupError) -> "Exit":
        """Return the code that says of a command that it ended by this error."""
        if isinstance(error, UsageError):
            return cls.USAGE
        return cls.IMPOSSIBLE if isinstance(error, RunError) else cls.SOME_FAILED


class Untold(Exception):
    """A run has failed, of which nobody wants to hear: only its exit `code` says so."""

    def __init__(self, code: Exit) -> None:
        super().__init__()
        self.code = code


@contextmanager
def told_by(telling: Telling) -> Iterator[None]:
    """Turn what makes a run impossible into `Untold` where nothing is to be told.

    A wrong command line is told all the same.
    """
    try:
        yield
    except UsageError:
        raise
    except BulkupError as error:
        if telling.quiet <= 1:
            raise
        raise Untold(Exit.of(error)) from None


# taken by `*paths`: then they may stand on both sides of flags
Paths = Annotated[Path, Parameter(help="Folders and photos.", negative="")]
OnGallery = Annotated[GalleryFlags, Parameter(name="*")]
InAlbums = Annotated[SoughtFlags, Parameter(name="*")]
IntoAlbums = Annotated[AlbumFlags, Parameter(name="*")]
ForSending = Annotated[SendingFlags, Parameter(name="*")]
ForLabels = Annotated[LabelFlags, Parameter(name="*")]
ForSelecting = Annotated[SelectionFlags, Parameter(name="*")]
AndThen = Annotated[AfterFlags, Parameter(name="*")]
OnMachines = Annotated[MachineFlags, Parameter(name="*")]
OnTelling = Annotated[TellingFlags, Parameter(name="*")]
OfTrouble = Annotated[TroubleFlags, Parameter(name="*")]


def choose(paths: Sequence[Path], selecting: SelectionFlags) -> "Choice":
    """Return what to take of what is found. Raises `UsageError`."""
    choice = selecting.choice()
    if not paths and choice.listing is None:
        raise UsageError(
            "folders and photos are missing",
            hint="Name some: bulkup ./photos --album N, or a list of them by --files-from. "
            "bulkup --help tells more.",
        )
    return choice


def prepare(
    paths: Sequence[Path], gallery: GalleryFlags, choice: "Choice"
) -> tuple[list[Path], Account]:
    """Return what to walk and who logs in. Raises `UsageError`."""
    gallery.account()

    from bulkup.roots import check_roots  # noqa: PLC0415 (heavy)

    return check_roots(paths, choice), account_of(gallery)


def account_of(gallery: GalleryFlags) -> Account:
    """Return who logs in, looking into the key ring and asking last. Raises `UsageError`."""
    account = gallery.account()

    from bulkup.keychain import find  # noqa: PLC0415 (heavy)
    from bulkup.piwigo.discover import clean_url  # noqa: PLC0415 (heavy)

    url = clean_url(account.url)
    check_trust(account)
    if account.api_key:
        return account
    given = gallery.password() if account.user else ""
    if given or (account.user and (given := find(url, account.user))):
        return replace(account, password=given)
    if key := find(url, ""):
        return replace(account, user="", api_key=key)
    need(account.user, flag="--user", variable="BULKUP_USER", what="the user name")
    password = ask_password(f"Password of {account.user}")
    if not password:
        raise UsageError(
            "the password is missing",
            hint="Set BULKUP_PASSWORD, give --password-file or --password-command, or store it "
            "once by bulkup login.",
        )
    return replace(account, password=password)


def check_trust(account: Account) -> None:
    """Raise `UsageError` where the file of certificates is wrong."""
    if account.ca_cert is not None:
        from bulkup.piwigo.tls import Trust  # noqa: PLC0415 (heavy)

        Trust(ca_cert=account.ca_cert).context()


def say_cautions(account: Account) -> None:
    """Say on stderr what the user should know of the settings, where no view does."""
    from bulkup.report.text import printable  # noqa: PLC0415 (heavy)

    for caution in account.cautions:
        sys.stderr.write(f"! {printable(caution.message)}\n  {printable(caution.hint)}\n")
