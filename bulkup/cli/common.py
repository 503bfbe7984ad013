"""Parts that several commands share: exit codes, accounts, paths, and running a task."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bulkup.app.credentials import ask_password, find, variable_of
from bulkup.app.settings import Account, require
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import GalleryFlags
from bulkup.cli.usage_errors import LOGIN_HINT, SOURCE_HINT
from bulkup.errors import BulkupError, RunError, UsageError
from bulkup.output.options import OutputOptions

if TYPE_CHECKING:
    from bulkup.app.runner import Task
    from bulkup.source.filters import Filters

# for `*paths`, which takes paths before and after flags
Paths = Annotated[Path, Parameter(help="Folders, photos and zip archives.")]


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0  # every photo is in its album
    SOME_FAILED = 1  # some photos are not, or the doctor found a problem
    USAGE = 2  # wrong flag, setting or file; nothing was sent
    IMPOSSIBLE = 3  # log-in refused, not a Piwigo, no such album, server gone
    INTERRUPTED = 130  # by Ctrl-C or SIGTERM

    @classmethod
    def of(cls, error: BulkupError) -> "Exit":
        """Return the exit code of a command that ends with this error."""
        if isinstance(error, UsageError):
            return cls.USAGE
        return cls.IMPOSSIBLE if isinstance(error, RunError) else cls.SOME_FAILED


class SilentExit(Exception):
    """A run has failed under `-qq`: only its exit `code` is reported."""

    def __init__(self, code: Exit) -> None:
        super().__init__()
        self.code = code


@contextmanager
def silenced(output: OutputOptions) -> Iterator[None]:
    """Turn errors that end a run into `SilentExit` under `-qq`; usage errors are not changed."""
    try:
        yield
    except UsageError:
        raise
    except BulkupError as error:
        if output.quiet <= 1:
            raise
        raise SilentExit(Exit.of(error)) from None


def run_task(task: "Task", output: OutputOptions) -> Exit:
    """Run a task with its outputs, and return the exit code."""
    from bulkup.app import runner

    with silenced(output):
        outcome = runner.run_task(task, output)
    if outcome.interrupted:
        return Exit.INTERRUPTED
    return Exit.DONE if outcome.ok else Exit.SOME_FAILED


def filters_for(paths: Sequence[Path], selection: FilterFlags) -> "Filters":
    """Return the filters. Raises `UsageError`, also if neither paths nor a list is given."""
    filters = selection.filters()
    if not paths and filters.listing is None:
        raise UsageError(
            "no folders or photos given",
            hint="Give at least one: bulkup ./photos --album N, or list them with --files-from. "
            "See bulkup --help.",
        )
    return filters


def prepare(
    paths: Sequence[Path], gallery: GalleryFlags, filters: "Filters"
) -> tuple[list[Path], Account]:
    """Return the checked paths and the account. Raises `UsageError`."""
    gallery.account()  # reports errors before the password prompt of `account_of`

    from bulkup.source.scan import check_roots

    return check_roots(paths, filters), account_of(gallery)


def account_of(gallery: GalleryFlags) -> Account:
    """Return the account with its secret, from the key ring or a prompt if no flag gives it.

    Raises `UsageError`.
    """
    from bulkup.app.gallery import checked_url

    account = gallery.account()
    url = checked_url(account)
    if account.api_key:
        return account
    password = gallery.password() if account.user else ""
    if account.user and not password:
        password = find(url, account.user)
    if password:
        return replace(account, password=password)
    if key := find(url, ""):
        return replace(account, user="", api_key=key)
    other = " of the other gallery" if gallery.prefix else ""
    flag = f"--{gallery.prefix}user"
    require(account.user, flag=flag, variable=variable_of(flag), what=f"the user name{other}")
    password = ask_password(f"Password of {account.user}{other}")
    if not password:
        hint = SOURCE_HINT if other else LOGIN_HINT
        raise UsageError(f"the password{other} is missing", hint=hint)
    return replace(account, password=password)


def print_cautions(account: Account) -> None:
    """Print the warnings of an account on stderr, for commands without a run's outputs."""
    for caution in account.cautions:
        _print_lines(f"! {caution.message}", caution.hint)


def print_error(message: str, *, hint: str, code: Exit) -> Exit:
    """Print an error on stderr, and return its exit code."""
    _print_lines(f"bulkup: {message}", hint)
    return code


def _print_lines(message: str, hint: str) -> None:
    from bulkup.output.text import printable

    sys.stderr.write(f"{printable(message)}\n")
    if hint:
        sys.stderr.write(f"  {printable(hint)}\n")
