"""What the commands share: their flags, the exit codes, and what is asked before anything is done.

Knows the command line library and the settings that flags end up in.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bulkup.afterwards import AfterFlags
from bulkup.errors import UsageError
from bulkup.flags import GalleryFlags, TroubleFlags
from bulkup.labelling import LabelFlags
from bulkup.selecting import SelectionFlags
from bulkup.settings import Account
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


Paths = Annotated[
    tuple[Path, ...], Parameter(help="Folders and photos.", negative="", show_default=False)
]
OnGallery = Annotated[GalleryFlags, Parameter(name="*")]
InAlbums = Annotated[SoughtFlags, Parameter(name="*")]
IntoAlbums = Annotated[AlbumFlags, Parameter(name="*")]
ForSending = Annotated[SendingFlags, Parameter(name="*")]
ForLabels = Annotated[LabelFlags, Parameter(name="*")]
ForSelecting = Annotated[SelectionFlags, Parameter(name="*")]
AndThen = Annotated[AfterFlags, Parameter(name="*")]
OnTelling = Annotated[TellingFlags, Parameter(name="*")]
OfTrouble = Annotated[TroubleFlags, Parameter(name="*")]


def choose(paths: Sequence[Path], selecting: SelectionFlags) -> "Choice":
    """Return what to take of what is found. Raises `UsageError`."""
    choice = selecting.choice()
    if not paths and choice.listing is None:
        raise UsageError(
            "folders and photos are missing",
            hint="Name some: bulkup ./photos --album N. Or name a list of them by --files-from.",
        )
    return choice


def prepare(
    paths: Sequence[Path], gallery: GalleryFlags, choice: "Choice"
) -> tuple[list[Path], Account]:
    """Return what to walk and who logs in. Raises `UsageError`."""
    gallery.account()

    from bulkup.walk import check_roots  # noqa: PLC0415 (heavy)

    return check_roots(paths, choice), account_of(gallery)


def account_of(gallery: GalleryFlags) -> Account:
    """Return who logs in, asking for the password last. Raises `UsageError`."""
    account = gallery.account()

    from bulkup.piwigo.discover import clean_url  # noqa: PLC0415 (heavy)

    clean_url(account.url)
    if not account.api_key:
        account = replace(account, password=gallery.password())
    return account
