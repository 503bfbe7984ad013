"""The command line: runs commands and returns exit codes."""

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from errno import ENOSPC

from cyclopts import CycloptsError, Group
from cyclopts.argument import ArgumentCollection

from bulkup import __version__
from bulkup.cli.command import CommandApp
from bulkup.cli.common import Exit, SilentExit, print_error
from bulkup.cli.config import ConfigLayers
from bulkup.cli.help import COMMANDS, GROUPS, unwrap
from bulkup.cli.upload import upload
from bulkup.cli.usage_errors import check_command, explain
from bulkup.errors import BulkupError, UsageError


def _arguments() -> Iterator[ArgumentCollection]:
    """Yield the arguments of each command, those of `upload` first."""
    for name in COMMANDS:
        yield app[name].assemble_argument_collection()


LAYERS = ConfigLayers(_arguments)

app = CommandApp(
    name="bulkup",
    help="Upload a photo archive to a Piwigo gallery.",
    version=f"bulkup {__version__}",
    help_format="plaintext",
    help_epilogue=COMMANDS["upload"].epilogue,
    config=LAYERS,
    suppress_keyboard_interrupt=False,  # `run` reports it
)
_groups = {name: Group(name, sort_key=order) for order, name in enumerate(GROUPS)}
for shown in ("--help", "--version"):
    app[shown].group = _groups["Setup"]
app.default(upload.default_command)
for name, text in COMMANDS.items():  # by path: only the module of the given command is imported
    app.command(
        f"bulkup.cli.{text.module}:{name.replace('-', '_')}",
        name=name,
        group=_groups[text.group],
        help=unwrap(text.help),
    )


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    for name in [name for name in os.environ if name.startswith("BULKUP_")]:
        if not os.environ[name]:
            del os.environ[name]  # an empty variable counts as not set
    try:
        check_command(arguments, COMMANDS)
        command, bound, _ = app.parse_args(list(arguments), exit_on_error=False, print_error=False)
        if not gc.isenabled():  # `bulkup.__main__` disables it for the start
            gc.freeze()
            gc.enable()
        code = command(*bound.args, **bound.kwargs)
    except CycloptsError as error:
        wrong = explain(error)
        return print_error(wrong.message, hint=wrong.hint, code=Exit.USAGE)
    except UsageError as error:
        hint = f"{error.hint} {LAYERS.sources_of(error.message)}".strip()
        return print_error(error.message, hint=hint, code=Exit.USAGE)
    except BulkupError as error:
        return print_error(error.message, hint=error.hint, code=Exit.of(error))
    except SilentExit as end:
        return end.code
    except KeyboardInterrupt:
        return print_error("interrupted", hint="", code=Exit.INTERRUPTED)
    except BrokenPipeError:
        _discard_output()
        return Exit.SOME_FAILED
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        _discard_output()
        return print_error(
            f"output can't be written: {error.strerror}",
            hint="Free some disk space.",
            code=Exit.SOME_FAILED,
        )
    return int(code or 0)


def _discard_output() -> None:
    """Discard buffered output, which would fail again when Python exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
