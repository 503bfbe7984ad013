"""`bulkup.upload`, `verify`, `refresh` and `from_piwigo`: runs as functions, for programs.

It prints nothing, prompts for nothing and installs no signal handlers.
"""

import inspect
import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from anyio import to_thread

from bulkup.app.copy import copy_photos
from bulkup.app.executor import ExecutorFactory
from bulkup.app.options import (
    TAKEOUT_SKIP,
    build_albums,
    build_filters,
    build_labels,
    build_refresh,
    build_settings,
    build_table,
    build_verify,
    texts_of,
)
from bulkup.app.refresh import refresh_photos
from bulkup.app.runner import ErrorLimit
from bulkup.app.settings import Account, Level, MethodName, UploadSettings
from bulkup.app.upload import upload_photos
from bulkup.app.verify import verify_photos
from bulkup.cluster import executor_from_flags
from bulkup.engine.arrange_options import Cover, Sort
from bulkup.engine.context import Stop
from bulkup.errors import UsageError, check_range
from bulkup.events import Event, PhotoChecked, PhotoFailed, Tally, Verdict
from bulkup.source.cells import TableFile
from bulkup.source.filters import Filters, Patterns, read_lines
from bulkup.source.metadata import Labels

FAILURES_KEPT: Final = 10_000
StrPath = str | os.PathLike[str]
COPIED: Final = frozenset(
    {
        *inspect.signature(build_albums).parameters,
        *("concurrency", "finishing", "level", "chunk_size", "bwlimit", "method", "dry_run"),
        *("confirm_present", "retries", "patience", "max_errors"),
    }
)
"""Options of an upload that copying from another Piwigo has, too."""


@dataclass(frozen=True, kw_only=True)  # no slots: a class can inherit them from one base only
class FileOptions:
    """Options of all runs that read files."""

    patterns: str | Sequence[str] = ()
    files_from: StrPath | None = None
    from0: bool = False
    newer_than: datetime | str | None = None
    older_than: datetime | str | None = None
    min_size: int | str | None = None
    max_size: int | str | None = None
    follow_symlinks: bool = False
    no_default_excludes: bool = False
    takeout_skip: str | Sequence[str] = TAKEOUT_SKIP

    metadata: StrPath | None = None
    metadata_map: str | Sequence[str] = ()
    no_sidecars: bool = False

    retries: int = 5
    patience: float | str = "1h"
    ledger: StrPath | None = None
    no_ledger: bool = False
    max_errors: int | None = None


@dataclass(frozen=True, kw_only=True)
class SourceOptions(FileOptions):
    """Options that `UploadOptions` and `RefreshOptions` share."""

    title: str | None = None
    tag: str | Sequence[str] = ()
    author: str | None = None
    comment: str | None = None
    no_embedded: bool = False
    date_from_name: bool = False
    folder_as_tag: bool = False
    rating_as_tag: bool = False
    people_as_tags: bool = False
    keyword_paths: bool = False


@dataclass(frozen=True, kw_only=True)
class AlbumOptions:
    """Options of albums that `UploadOptions` and `VerifyOptions` share."""

    album: int | str | None = None
    tree: bool = False
    unwrap: bool = False
    underscores_to_spaces: bool = False
    rename_album: str | Sequence[str] = ()
    album_levels: int | None = None
    private: bool = False
    share_with: str | Sequence[str] = ()
    album_for_tag: str | Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Options of the Dask cluster."""

    dask: str | None = None
    map: str | Sequence[str] = ()
    dask_tls_ca: StrPath | None = None
    dask_tls_cert: StrPath | None = None
    dask_tls_key: StrPath | None = None


@dataclass(frozen=True, kw_only=True)
class UploadOptions(ClusterOptions, AlbumOptions, SourceOptions):
    """Options of an upload, named like the flags of `bulkup upload` and with the same meaning.

    Sizes, rates, times and dates are numbers (bytes, bytes per second, seconds), `datetime`
    objects, or strings as on the command line, such as `500K`, `15m` or `30d`.

    Albums: `album` is a number, or a path of names such as `Trips/2019`. With `tree`, folders
    become albums below it or at the top level of the gallery.

    Filters: `patterns` are lines in .gitignore syntax. Files that match are excluded, files that
    match a line starting with `!` are included, and the last match wins. If the first line starts
    with `!`, only matching files are included. `files_from` is a file that lists paths.

    `after` is `none`, `trash` or `move:DIR`. `ledger` is the ledger file; None is the platform's
    default. `dask="local:3"` starts processes that import the calling program again: guard its
    code with `if __name__ == "__main__":`.

    The output flags of the command line have no options here; use `on_event`.
    """

    create_albums: bool = False

    concurrency: int = 8
    finishing: int | Literal["auto"] = "auto"
    level: Level = 0
    chunk_size: int | str = "auto"
    bwlimit: int | str = "off"
    method: MethodName = "auto"
    update: bool = False
    confirm_present: bool = False
    raw_as_format: bool = False
    convert: bool = False
    dry_run: bool = False

    after: str = "none"
    sort: Sort = "none"
    cover: Cover = "auto"
    caddie: bool = False
    link: bool = False


@dataclass(frozen=True, kw_only=True)
class RefreshOptions(SourceOptions):
    """Options of `refresh`, named like the flags of `bulkup refresh` and with the same meaning.

    `album` must contain the photos, itself or in albums below it; None accepts any. The others are
    explained for `UploadOptions`.
    """

    album: int | str | None = None
    level: Level = 0
    overwrite: bool = False
    convert: bool = False
    dry_run: bool = False
    concurrency: int = 8


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(ClusterOptions, AlbumOptions, FileOptions):
    """Options of `verify`, named like the flags of `bulkup verify` and with the same meaning.

    Without `album` and `tree`, the photos may be anywhere in the gallery. The others are explained
    for `UploadOptions`.
    """

    concurrency: int = 4
    quick: bool = False
    sort: Sort = "none"
    cover: Cover = "none"
    positions: bool = False
    convert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A photo that is not in its album: the reason, what to do, and the `code` of the failure.

    `verdict` is that of `verify`, None after other runs.
    """

    path: Path
    reason: str
    hint: str
    code: str
    verdict: Verdict | None = None


@dataclass(slots=True)
class Report(Tally):
    """The counts of an upload, and its failures; sizes in bytes.

    `uploaded`, `failed` and `skipped` count files, `uploaded_size` bytes, and `seconds` is the
    duration. `present` photos were already in the gallery; `linked` of them were added to their
    album. `new` photos would be sent by an upload (dry run). `unfinished` photos had no outcome
    when the run stopped. `not_in_album` photos are missing from their album at the end. `refresh`
    counts photos that it `changed`, and those of which it `kept` what was edited in the gallery.
    `verify` counts photos by verdict in `verdicts`, and in `misarranged` the albums that are not
    shown as they should be. `failures` holds the first 10,000 failed photos, or after `verify`
    those whose verdict is not `present`. `ok` is True if every photo is in its album.
    """

    failures: list[Failure] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Count an event."""
        Tally.add(self, event)
        if not isinstance(event, PhotoFailed | PhotoChecked):
            return
        verdict = event.verdict if isinstance(event, PhotoChecked) else None
        if verdict is not Verdict.PRESENT and len(self.failures) < FAILURES_KEPT:
            self.failures.append(
                Failure(
                    path=event.path,
                    reason=event.reason,
                    hint=event.hint,
                    code=event.code,
                    verdict=verdict,
                )
            )


async def upload(
    paths: Sequence[StrPath],
    *,
    account: Account,
    options: UploadOptions,
    on_event: Callable[[Event], None] | None = None,
    stop: Stop | None = None,
    only: Collection[StrPath] | None = None,
) -> Report:
    """Upload files, and the photos in folders, to albums of a gallery.

    `on_event` is called in the event loop with each event and must return quickly; an exception
    from it ends the run and is raised. After `stop.set()`, photos in flight are finished and no
    new one is started; after `stop.pause()`, that is so until `stop.resume()`. Cancellation aborts
    at once. Of the files found, only those in `only` are uploaded, None takes all.

    A failed photo raises no error; it is listed in the report. Raises `UsageError` for an invalid
    option or path, before anything is sent, and `RunError` if the run can't start or continue.
    """
    prepare = partial(_upload_task, options, only)
    return await _run(prepare, paths, account=account, options=options, emit=on_event, stop=stop)


async def refresh(
    paths: Sequence[StrPath],
    *,
    account: Account,
    options: RefreshOptions | None = None,
    on_event: Callable[[Event], None] | None = None,
    stop: Stop | None = None,
) -> Report:
    """Bring the metadata of photos in the gallery to what their files and sidecars say now.

    The report counts `changed` and `kept` photos; `PhotoRefreshed` events have the values. The
    rest is as for `upload`.
    """
    options = options or RefreshOptions()
    prepare = partial(_refresh_task, options)
    return await _run(prepare, paths, account=account, options=options, emit=on_event, stop=stop)


async def verify(
    paths: Sequence[StrPath],
    *,
    account: Account,
    options: VerifyOptions | None = None,
    on_event: Callable[[Event], None] | None = None,
    stop: Stop | None = None,
) -> Report:
    """Compare files with the gallery: present, in their albums, stored unchanged.

    Changes nothing in the gallery. The report counts `verdicts`; photos that are not fine are in
    its `failures`, and `ArrangementDiffers` events name albums that are not as they should be. The
    rest is as for `upload`.
    """
    options = options or VerifyOptions()
    prepare = partial(_verify_task, options)
    return await _run(prepare, paths, account=account, options=options, emit=on_event, stop=stop)


async def from_piwigo(
    source: Account,
    *,
    account: Account,
    options: UploadOptions,
    from_album: int | None = None,
    no_arrange: bool = False,
    ignore_md5: bool = False,
    on_event: Callable[[Event], None] | None = None,
    stop: Stop | None = None,
) -> Report:
    """Copy photos, albums and metadata from another Piwigo, as `bulkup from-piwigo` does.

    `from_album` None copies the whole gallery, which needs the option `tree`; `no_arrange` leaves
    order and covers of albums as they are, and `ignore_md5` is for galleries that make photos
    smaller on arrival. Options that are no flags of `bulkup from-piwigo`
    raise `UsageError`. The rest is as for `upload`; paths are `NUMBER/NAME` of photos there.
    """
    default = UploadOptions()
    for name in UploadOptions.__dataclass_fields__.keys() - COPIED:
        if getattr(options, name) != getattr(default, name):
            raise UsageError(f"{name} does not work with from_piwigo", hint="Leave it out.")
    for each in (source, account):
        _check_account(each)
    with _options_named():
        task = partial(
            copy_photos,
            source=source,
            from_album=from_album,
            arrange=not no_arrange,
            ignore_md5=ignore_md5,
            account=account,
            settings=settings_of(options),
        )
        return await _run_task(task, options, on_event, stop)


Task = Callable[..., Awaitable[None]]


async def _run(
    prepare: Callable[[], Awaitable[Task]],
    paths: Sequence[StrPath],
    *,
    account: Account,
    options: FileOptions,
    emit: Callable[[Event], None] | None,
    stop: Stop | None,
) -> Report:
    """Check the arguments, and run a task for the paths."""
    if isinstance(paths, str | os.PathLike):
        raise UsageError("paths is a single path", hint="Give a list: [path].")
    _check_account(account)
    with _options_named():
        task = partial(
            await prepare(),
            [Path(path) for path in paths],
            account=account,
            filters=await to_thread.run_sync(filters_of, options),
            table=await to_thread.run_sync(table_of, options),
        )
        return await _run_task(task, options, emit, stop)


def _check_account(account: Account) -> None:
    if not (account.user or account.api_key):
        raise UsageError("the user of the account is missing", hint="Set user, or api_key.")


@contextmanager
def _options_named() -> Iterator[None]:
    """Name options in place of flags in errors."""
    try:
        yield
    except UsageError as error:
        raise UsageError(_option_names(error.message), hint=_option_names(error.hint)) from None


def _option_names(message: str) -> str:
    """Return a message with the flags in it replaced by the options of the same name."""
    return re.sub(
        r"(?<![\w-])--([a-z][a-z0-9-]*)", lambda flag: flag[1].replace("-", "_"), message
    )


def settings_of(options: UploadOptions) -> UploadSettings:
    """Return the checked settings of the options. Raises `UsageError`."""
    return build_settings(
        into=build_albums(**_of(options, build_albums)), **_of(options, build_settings)
    )


def filters_of(options: FileOptions) -> Filters:
    """Return the checked filters of the options; reads files. Raises `UsageError`."""
    patterns = texts_of(options.patterns)
    rules = tuple(read_lines("\n".join(patterns), file="patterns"))
    only = bool(patterns) and patterns[0].startswith("!")
    return build_filters(patterns=Patterns(rules, only=only), **_of(options, build_filters))


def labels_of(options: SourceOptions) -> Labels:
    """Return the checked labels of the options. Raises `UsageError`."""
    return build_labels(**_of(options, build_labels))


def table_of(options: FileOptions) -> TableFile | None:
    """Return the checked table of the options, None without one. Raises `UsageError`."""
    return build_table(**_of(options, build_table))


def _of(options: FileOptions, build: Callable[..., object]) -> dict[str, Any]:
    """Return the options that a function has parameters for; `patterns` is built from one."""
    names = inspect.signature(build).parameters.keys() - {"into", "patterns", "now_s"}
    return {name: getattr(options, name) for name in names}


def _executor_factory(options: ClusterOptions) -> ExecutorFactory | None:
    files = (options.dask_tls_ca, options.dask_tls_cert, options.dask_tls_key)
    tls = tuple(None if file is None else Path(file) for file in files)
    return executor_from_flags(options.dask, maps=texts_of(options.map), tls=tls)


async def _upload_task(options: UploadOptions, only: Collection[StrPath] | None) -> Task:
    settings = settings_of(options)
    factory = await to_thread.run_sync(_executor_factory, options)
    labels = labels_of(options)
    task = partial(upload_photos, settings=settings, labels=labels, executor_factory=factory)
    if only is None:
        return task
    chosen = {Path(path) for path in only}
    return partial(task, only=lambda found: found.path in chosen)


async def _refresh_task(options: RefreshOptions) -> Task:
    settings = build_refresh(**_of(options, build_refresh))
    return partial(refresh_photos, settings=settings, labels=labels_of(options))


async def _verify_task(options: VerifyOptions) -> Task:
    settings = build_verify(**_of(options, build_verify))
    factory = await to_thread.run_sync(_executor_factory, options)
    return partial(verify_photos, settings=settings, executor_factory=factory)


async def _run_task(
    task: Task,
    options: FileOptions,
    on_event: Callable[[Event], None] | None,
    stop: Stop | None,
) -> Report:
    if options.max_errors is not None:
        check_range("--max-errors", options.max_errors, least=1, most=2**31 - 1)
    report = Report()
    raised: list[Exception] = []

    def emit(event: Event) -> None:
        report.add(event)
        if on_event is not None:
            try:
                on_event(event)
            except Exception as error:
                raised.append(error)
                raise

    stop = stop or Stop()
    limit = ErrorLimit(emit, most=options.max_errors, stop=stop.set)
    try:
        await task(emit=limit.emit, stop=stop)
    except BaseExceptionGroup:
        if raised:
            raise raised[0] from None  # without the exception group
        raise
    return report
