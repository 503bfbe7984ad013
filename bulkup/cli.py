"""Commands only; every object is built here, once; and the exit codes.

Heavy modules are imported by the commands that need them, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from bulkup import __version__
from bulkup.afterwards import AfterFlags
from bulkup.cli_parts import (
    AndThen,
    Exit,
    ForLabels,
    ForSelecting,
    ForSending,
    InAlbums,
    IntoAlbums,
    OfTrouble,
    OnGallery,
    OnTelling,
    Paths,
    account_of,
    choose,
    prepare,
)
from bulkup.cli_sandbox import demo, sandbox
from bulkup.cli_status import status
from bulkup.cli_watch import watch
from bulkup.errors import BulkupError, RunError, UsageError
from bulkup.flags import GalleryFlags, TroubleFlags
from bulkup.labelling import LabelFlags
from bulkup.selecting import SelectionFlags
from bulkup.settings import Telling
from bulkup.telling import TellingFlags
from bulkup.whereto import AlbumFlags, SoughtFlags
from bulkup.wishes import CheckingFlags, ExaminingFlags, SendingFlags

if TYPE_CHECKING:
    from bulkup.screen import Task


app = App(
    name="bulkup",
    help="Bring a whole photo archive into a Piwigo gallery.",
    version=f"bulkup {__version__}",
    help_format="markdown",
)

ForExamining = Annotated[ExaminingFlags, Parameter(name="*")]
ForChecking = Annotated[CheckingFlags, Parameter(name="*")]


@app.default
@app.command
def upload(
    paths: Paths = (),
    /,
    *,
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
    albums: IntoAlbums = AlbumFlags(),  # noqa: B008 (frozen)
    sending: ForSending = SendingFlags(),  # noqa: B008 (frozen)
    selecting: ForSelecting = SelectionFlags(),  # noqa: B008 (frozen)
    naming: ForLabels = LabelFlags(),  # noqa: B008 (frozen)
    afterwards: AndThen = AfterFlags(),  # noqa: B008 (frozen)
    telling: OnTelling = TellingFlags(),  # noqa: B008 (frozen)
    trouble: OfTrouble = TroubleFlags(),  # noqa: B008 (frozen)
) -> int:
    """Bring folders and photos into an album of a Piwigo gallery.

    `bulkup PATH… --album N` is short for `bulkup upload PATH… --album N`.

    Titles, descriptions, dates and tags come from XMP sidecars and the JSON of Google Takeout
    beside the photos, and from flags.

    What the gallery has already is not sent again, so the same command goes on after any
    interruption.

    Exit codes: 0 every photo is in the album, 1 some are not, or their files stay in spite of
    --after, 2 wrong usage, 3 the run is impossible, 130 interrupted.
    """
    told = telling.telling()
    choice = choose(paths, selecting)
    values = replace(sending.sending(albums, trouble), after=afterwards.where())
    labels = naming.labels()
    roots, account = prepare(paths, gallery, choice)

    from bulkup.run import migrate  # noqa: PLC0415 (heavy)

    task = partial(migrate, roots, account=account, sending=values, choice=choice, labels=labels)
    return _drive(task, told)


@app.command
def verify(
    paths: Paths = (),
    /,
    *,
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
    albums: InAlbums = SoughtFlags(),  # noqa: B008 (frozen)
    checking: ForChecking = CheckingFlags(),  # noqa: B008 (frozen)
    selecting: ForSelecting = SelectionFlags(),  # noqa: B008 (frozen)
    telling: OnTelling = TellingFlags(),  # noqa: B008 (frozen)
    trouble: OfTrouble = TroubleFlags(),  # noqa: B008 (frozen)
) -> int:
    """Check folders and photos against a Piwigo gallery; nothing is sent, nothing changed there.

    Of each photo it is told whether the gallery has it, shows it in its album, and still stores
    the same bytes. What the next upload has to bring, it will bring.

    Exit codes: 0 every photo is there, 1 something is amiss, 2 wrong usage, 3 the run is
    impossible, 130 interrupted.
    """
    told = telling.telling()
    choice = choose(paths, selecting)
    values = checking.checking(albums, trouble)
    roots, account = prepare(paths, gallery, choice)

    from bulkup.run import compare  # noqa: PLC0415 (heavy)

    task = partial(compare, roots, account=account, checking=values, choice=choice)
    return _drive(task, told)


@app.command
def albums(
    *,
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
) -> int:
    """Print the gallery's albums as a tree, each with its number and how many photos it has."""
    account = account_of(gallery)

    import anyio  # noqa: PLC0415 (heavy)

    from bulkup.listing import list_albums  # noqa: PLC0415 (heavy)
    from bulkup.report import print_tree  # noqa: PLC0415 (heavy)

    print_tree(anyio.run(list_albums, account), sys.stdout)
    return Exit.DONE


@app.command
def doctor(
    paths: Annotated[
        tuple[Path, ...],
        Parameter(help="Folders and photos to count.", negative="", show_default=False),
    ] = (),
    /,
    *,
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
    examining: ForExamining = ExaminingFlags(),  # noqa: B008 (frozen)
    selecting: ForSelecting = SelectionFlags(),  # noqa: B008 (frozen)
) -> int:
    """Tell what to know before a migration; nothing is sent that stays, nothing changed there.

    Each line begins with ✓ (well), ! (good to know) or ✗ (in the way), and says what to do. What
    an upload of the paths would be about is told as well.

    Exit codes: 0 nothing is in the way, 1 something is, 2 wrong usage, 130 interrupted.
    """
    choice = selecting.choice()
    values = examining.examining()
    roots, account = prepare(paths, gallery, choice)

    from bulkup.doctor import examine  # noqa: PLC0415 (heavy)
    from bulkup.screen import consult  # noqa: PLC0415 (heavy)

    task = partial(examine, roots, account=account, examining=values, choice=choice)
    well = consult(task, as_json=examining.json)
    if well is None:
        return _complain("interrupted", hint="", code=Exit.INTERRUPTED)
    return Exit.DONE if well else Exit.SOME_FAILED


def _drive(task: "Task", telling: Telling) -> Exit:
    from bulkup.screen import drive  # noqa: PLC0415 (heavy)

    outcome = drive(task, telling)
    if outcome.interrupted:
        return Exit.INTERRUPTED
    astray = outcome.checked.astray if outcome.checked else 0
    amiss = outcome.failed or outcome.amiss_count or outcome.unfinished or astray or outcome.stay
    return Exit.SOME_FAILED if amiss else Exit.DONE


app.command(status)
app.command(watch)
app.command(sandbox)
app.command(demo)


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit code."""
    for name in [name for name in os.environ if name.startswith("BULKUP_")]:
        if not os.environ[name]:
            del os.environ[name]  # set to nothing is as good as not set
    try:
        code = app(
            list(arguments), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        return _complain(str(error), hint="bulkup --help lists what there is.", code=Exit.USAGE)
    except UsageError as error:
        return _complain(error.message, hint=error.hint, code=Exit.USAGE)
    except RunError as error:
        return _complain(error.message, hint=error.hint, code=Exit.IMPOSSIBLE)
    except BulkupError as error:
        return _complain(error.message, hint=error.hint, code=Exit.SOME_FAILED)
    except KeyboardInterrupt:
        return _complain("interrupted", hint="", code=Exit.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.SOME_FAILED
    return int(code or 0)


def _complain(message: str, *, hint: str, code: Exit) -> int:
    from bulkup.report.text import printable  # noqa: PLC0415 (heavy)

    sys.stderr.write(f"bulkup: {printable(message)}\n")
    if hint:
        sys.stderr.write(f"  {printable(hint)}\n")
    return code


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
