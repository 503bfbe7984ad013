"""The command line: its commands, and the exit codes.

Heavy modules are imported by the commands that need them, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from errno import ENOSPC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.argument import ArgumentCollection

from bulkup import __version__
from bulkup.cli.common import (
    EXAMPLES,
    AndThen,
    Exit,
    ForLabels,
    ForSelecting,
    ForSending,
    InAlbums,
    IntoAlbums,
    OfTrouble,
    OnGallery,
    OnMachines,
    OnTelling,
    Paths,
    SilentExit,
    account_of,
    check_command,
    choose,
    explain,
    prepare,
    say_cautions,
    silenced,
)
from bulkup.cli.config import ConfigLayers
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import GalleryFlags, LabelFlags, MachineFlags, RetryFlags
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.sandbox import demo, sandbox
from bulkup.cli.setup import completion_of, config_of, login, logout
from bulkup.cli.status import status
from bulkup.cli.upload_flags import (
    AfterFlags,
    AlbumFlags,
    DoctorFlags,
    UploadFlags,
    VerifyAlbumFlags,
    VerifyFlags,
)
from bulkup.cli.watch import watch
from bulkup.errors import BulkupError, UsageError
from bulkup.output.options import OutputOptions

if TYPE_CHECKING:
    from bulkup.app.runner import Task


def _arguments() -> Iterator[ArgumentCollection]:
    for name in app:
        if not name.startswith("-"):
            yield app[name].assemble_argument_collection()


LAYERS = ConfigLayers(_arguments)

app = App(
    name="bulkup",
    help="Bring a whole photo archive into a Piwigo gallery.",
    version=f"bulkup {__version__}",
    help_format="markdown",
    help_epilogue=EXAMPLES["upload"],
    config=LAYERS,
    suppress_keyboard_interrupt=False,  # `run` says so
)
PHOTOS = Group("Photos", sort_key=0)
GALLERY = Group("The gallery", sort_key=1)
SETTING_UP = Group("Setting up", sort_key=2)
REHEARSING = Group("Rehearsing", sort_key=3)
for shown in ("--help", "--version"):
    app[shown].group = SETTING_UP

ForExamining = Annotated[DoctorFlags, Parameter(name="*")]
ForChecking = Annotated[VerifyFlags, Parameter(name="*")]


@app.default
@app.command(group=PHOTOS)
def upload(
    *paths: Paths,
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
    albums: IntoAlbums = AlbumFlags(),  # noqa: B008 (frozen)
    sending: ForSending = UploadFlags(),  # noqa: B008 (frozen)
    selecting: ForSelecting = FilterFlags(),  # noqa: B008 (frozen)
    naming: ForLabels = LabelFlags(),  # noqa: B008 (frozen)
    afterwards: AndThen = AfterFlags(),  # noqa: B008 (frozen)
    machines: OnMachines = MachineFlags(),  # noqa: B008 (frozen)
    telling: OnTelling = OutputFlags(),  # noqa: B008 (frozen)
    trouble: OfTrouble = RetryFlags(),  # noqa: B008 (frozen)
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
    filters = choose(paths, selecting)
    values = replace(sending.sending(albums, trouble), after=afterwards.where())
    labels = naming.labels()
    executor_factory = machines.executor_factory()
    roots, account = prepare(paths, gallery, filters)

    from bulkup.app.upload import migrate  # noqa: PLC0415 (heavy)

    task = partial(
        migrate,
        roots,
        account=account,
        sending=values,
        filters=filters,
        labels=labels,
        executor_factory=executor_factory,
    )
    return _drive(task, told)


@app.command(group=PHOTOS, help_epilogue=EXAMPLES["verify"])
def verify(
    *paths: Paths,
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
    albums: InAlbums = VerifyAlbumFlags(),  # noqa: B008 (frozen)
    checking: ForChecking = VerifyFlags(),  # noqa: B008 (frozen)
    selecting: ForSelecting = FilterFlags(),  # noqa: B008 (frozen)
    telling: OnTelling = OutputFlags(),  # noqa: B008 (frozen)
    trouble: OfTrouble = RetryFlags(),  # noqa: B008 (frozen)
) -> int:
    """Check folders and photos against a Piwigo gallery; nothing is sent, nothing changed there.

    Of each photo it is told whether the gallery has it, shows it in its album, and still stores
    the same bytes. What the next upload has to bring, it will bring.

    Exit codes: 0 every photo is there, 1 something is amiss, 2 wrong usage, 3 the run is
    impossible, 130 interrupted.
    """
    told = telling.telling()
    filters = choose(paths, selecting)
    values = checking.checking(albums, trouble)
    roots, account = prepare(paths, gallery, filters)

    from bulkup.app.upload import compare  # noqa: PLC0415 (heavy)

    task = partial(compare, roots, account=account, checking=values, filters=filters)
    return _drive(task, told)


@app.command(group=GALLERY, help_epilogue=EXAMPLES["albums"])
def albums(
    *,
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
) -> int:
    """Print the gallery's albums as a tree, each with its number and how many photos it has."""
    account = account_of(gallery)
    say_cautions(account)

    import anyio  # noqa: PLC0415 (heavy)

    from bulkup.app.gallery import list_albums  # noqa: PLC0415 (heavy)
    from bulkup.output.listings import print_tree  # noqa: PLC0415 (heavy)

    print_tree(anyio.run(list_albums, account), sys.stdout)
    return Exit.DONE


@app.command(group=GALLERY, help_epilogue=EXAMPLES["doctor"])
def doctor(
    *paths: Annotated[Path, Parameter(help="Folders and photos to count.", negative="")],
    gallery: OnGallery = GalleryFlags(),  # noqa: B008 (frozen)
    examining: ForExamining = DoctorFlags(),  # noqa: B008 (frozen)
    selecting: ForSelecting = FilterFlags(),  # noqa: B008 (frozen)
) -> int:
    """Tell what to know before a migration; nothing is sent that stays, nothing changed there.

    Each line begins with ✓ (well), ! (good to know) or ✗ (in the way), and says what to do. What
    an upload of the paths would be about is told as well.

    Exit codes: 0 nothing is in the way, 1 something is, 2 wrong usage, 130 interrupted.
    """
    filters = selecting.filters()
    values = examining.examining()
    roots, account = prepare(paths, gallery, filters)

    say_cautions(account)

    from bulkup.app.doctor import examine  # noqa: PLC0415 (heavy)
    from bulkup.app.runner import run_doctor  # noqa: PLC0415 (heavy)

    task = partial(examine, roots, account=account, examining=values, filters=filters)
    well = run_doctor(task, as_json=examining.json)
    if well is None:
        return _complain("interrupted", hint="", code=Exit.INTERRUPTED)
    return Exit.DONE if well else Exit.SOME_FAILED


def _drive(task: "Task", telling: OutputOptions) -> Exit:
    from bulkup.app.runner import run_task  # noqa: PLC0415 (heavy)

    with silenced(telling):
        outcome = run_task(task, telling)
    if outcome.interrupted:
        return Exit.INTERRUPTED
    return Exit.DONE if outcome.ok else Exit.SOME_FAILED


app.command(status, group=GALLERY, help_epilogue=EXAMPLES["status"])
app.command(watch, group=PHOTOS, help_epilogue=EXAMPLES["watch"])
app.command(login, group=SETTING_UP, help_epilogue=EXAMPLES["login"])
app.command(logout, group=SETTING_UP, help_epilogue=EXAMPLES["logout"])
app.command(
    config_of(app, LAYERS), name="config", group=SETTING_UP, help_epilogue=EXAMPLES["config"]
)
app.command(
    completion_of(app), name="completion", group=SETTING_UP, help_epilogue=EXAMPLES["completion"]
)
app.command(sandbox, group=REHEARSING, help_epilogue=EXAMPLES["sandbox"])
app.command(demo, group=REHEARSING, help_epilogue=EXAMPLES["demo"])


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit code."""
    for name in [name for name in os.environ if name.startswith("BULKUP_")]:
        if not os.environ[name]:
            del os.environ[name]  # set to nothing is as good as not set
    try:
        check_command(arguments, [name for name in app if not name.startswith("-")])
        code = app(
            list(arguments), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        wrong = explain(error)
        return _complain(wrong.message, hint=wrong.hint, code=Exit.USAGE)
    except UsageError as error:
        hint = f"{error.hint} {LAYERS.sources_of(error.message)}".strip()
        return _complain(error.message, hint=hint, code=Exit.USAGE)
    except BulkupError as error:
        return _complain(error.message, hint=error.hint, code=Exit.of(error))
    except SilentExit as end:
        return end.code
    except KeyboardInterrupt:
        return _complain("interrupted", hint="", code=Exit.INTERRUPTED)
    except BrokenPipeError:
        _drop_output()
        return Exit.SOME_FAILED
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        _drop_output()
        return _complain(
            f"nothing more can be written: {error.strerror}",
            hint="Free some room where the output goes.",
            code=Exit.SOME_FAILED,
        )
    return int(code or 0)


def _drop_output() -> None:
    """Lose what is still to be printed: at the end that would be told as one failure more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, *, hint: str, code: Exit) -> int:
    from bulkup.output.text import printable  # noqa: PLC0415 (heavy)

    sys.stderr.write(f"bulkup: {printable(message)}\n")
    if hint:
        sys.stderr.write(f"  {printable(hint)}\n")
    return code
