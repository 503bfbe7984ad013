"""The `gui` command."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from cyclopts import CycloptsError, Group
from cyclopts.argument import Argument

from bulkup.app.settings import default_ledger
from bulkup.cli import LAYERS, app
from bulkup.cli.command import command
from bulkup.cli.common import Exit
from bulkup.cli.config import default_file, write_profile
from bulkup.cli.flags import flag, flags
from bulkup.cli.usage_errors import explain
from bulkup.errors import UsageError, check_range

if TYPE_CHECKING:
    from bulkup.gui.session import FlagHelp

PARSING = Lock()
"""Held while `LAYERS` has the settings of one command."""


@flags("Browser")
@dataclass(frozen=True, slots=True, kw_only=True)
class GuiFlags:
    """Where the pages are served."""

    port: Annotated[
        int | None,
        flag("Port to listen on; 0 picks a free one. Default: 8766 if it is free.", metavar="N"),
    ] = None
    no_browser: Annotated[
        bool, flag("Open no browser; open the address that is printed yourself.")
    ] = False


@command
def gui(*, options: GuiFlags = GuiFlags()) -> int:
    """Serve the pages of a migration."""
    if options.port is not None:
        check_range("--port", options.port, least=0, most=65535)
    if not find_spec("jinja2"):
        raise UsageError(
            "bulkup gui needs a library that is not installed", hint="pip install 'bulkup[gui]'"
        )

    import webbrowser
    from functools import partial

    import anyio

    from bulkup.gui.server import serve

    task = partial(
        serve,
        options.port,
        file=default_ledger().with_name("gui.json"),
        flags=help_texts(),
        elsewhere=settings_elsewhere,
        save_profile=save_profile,
        say=_print,
        browser=None if options.no_browser else webbrowser.open,
    )
    anyio.run(task)
    return Exit.DONE


def help_texts() -> dict[str, "FlagHelp"]:
    """Return the help texts of the upload's flags, by the names of options."""
    from bulkup.gui.session import FlagHelp

    arguments = app["upload"].assemble_argument_collection()
    return {
        argument.field_info.name: FlagHelp(str(argument.parameter.help or ""), _group_of(argument))
        for argument in arguments
        if argument.parse and not argument.children
    }


def settings_elsewhere(arguments: Sequence[str]) -> dict[str, str]:
    """Return what the config file and the environment add to these arguments, with the place.

    Secrets, and what only changes the output, are left out.
    """
    from bulkup.api import UploadOptions
    from bulkup.app.settings import Account

    options = UploadOptions.__dataclass_fields__.keys() | Account.__dataclass_fields__.keys()
    names = {*options, "include", "exclude", "exclude_from", "flat", "header", "header_file"}
    with PARSING:
        try:
            app.parse_args([*arguments], exit_on_error=False, print_error=False)
        except CycloptsError as error:
            return {explain(error).message: ""}
        except UsageError as error:
            return {error.message: error.hint}
        return {
            f"--{origin.flag}": origin.origin
            for origin in LAYERS.origins()
            if origin.origin not in {"flag", "default"} and origin.flag.replace("-", "_") in names
        }


def _group_of(argument: Argument) -> str:
    """Return the name of the group of a flag."""
    groups = argument.parameter.group
    found = groups if isinstance(groups, Iterable) else ()
    return next((group.name for group in found if isinstance(group, Group)), "")


def save_profile(name: str, settings: Mapping[str, object]) -> Path:
    """Save settings as a profile in the config file, and return the file. Raises `UsageError`."""
    file = Path(os.environ.get("BULKUP_CONFIG") or default_file())
    write_profile(file, name, settings)
    return file


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
