"""`bulkup.upload`: an upload as a function, for programs.

It prints nothing, asks for nothing and touches no signal.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from bulkup.app.settings import (
    Account,
    AlbumTarget,
    Level,
    MethodName,
    Timetable,
    UploadSettings,
    default_ledger,
)
from bulkup.app.upload import migrate
from bulkup.cluster import executor_from_flags
from bulkup.engine.ports import Stop
from bulkup.errors import UsageError
from bulkup.events import (
    AlbumChecked,
    Event,
    FileSkipped,
    PhotoFailed,
    PhotoNew,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    RunFinished,
)

FAILURES_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A photo that is not in its album: why, and what to do; `code` names the failure."""

    path: Path
    reason: str
    hint: str
    code: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What became of the files, in numbers; sizes in bytes, times in seconds.

    `present` photos were in the gallery before, `linked` of them are in their album since this
    run. `new` is what a dry run would send. `unfinished` are those that a stop left,
    `astray` those that the gallery does not show in their album at the end.
    `failures` holds the first 10,000 of the `failed`.
    """

    uploaded: int = 0
    present: int = 0
    linked: int = 0
    new: int = 0
    skipped: int = 0
    failed: int = 0
    unfinished: int = 0
    astray: int = 0
    sent_size: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every photo is in its album."""
        return not (self.failed or self.unfinished or self.astray)

    def _add(self, event: Event) -> None:
        match event:
            case PhotoUploaded():
                self.uploaded += 1
                self.sent_size += event.size
            case PhotoPresent():
                self.present += 1
                self.linked += event.linked
            case PhotoNew():
                self.new += 1
            case FileSkipped():
                self.skipped += 1
            case PhotoUnfinished():
                self.unfinished += 1
            case PhotoFailed():
                self.failed += 1
                if len(self.failures) < FAILURES_KEPT:
                    failure = Failure(
                        path=event.path, reason=event.reason, hint=event.hint, code=event.code
                    )
                    self.failures.append(failure)
            case AlbumChecked():
                self.astray += event.astray
            case RunFinished():
                self.seconds = event.seconds


async def upload(
    paths: Sequence[str | os.PathLike[str]],
    *,
    server: Account,
    album: int | str | None = None,
    tree: bool = False,
    create_albums: bool = False,
    private: bool = False,
    concurrency: int = 8,
    finishing: int | None = None,
    level: Level = 0,
    chunk_size: int | None = None,
    bwlimit: int | None = None,
    method: MethodName = "auto",
    update: bool = False,
    raw_as_format: bool = False,
    dry_run: bool = False,
    retries: int = 5,
    patience_s: float = 3600.0,
    ledger: str | os.PathLike[str] | None = None,
    remember: bool = True,
    dask: str | None = None,
    maps: Sequence[str] = (),
    dask_tls_ca: str | os.PathLike[str] | None = None,
    dask_tls_cert: str | os.PathLike[str] | None = None,
    dask_tls_key: str | os.PathLike[str] | None = None,
    on_event: Callable[[Event], None] | None = None,
    stop: Stop | None = None,
) -> Report:
    """Bring files, and what lies in folders, into an album, as the command line does.

    `album` is a number or a path of names, such as `Trips/2019`; with `tree`, the folders become
    albums below it. `bwlimit` in bytes a second. `remember=False` does without the ledger, whose
    place is the platform's unless `ledger` names one. `on_event` hears of everything, in the event
    loop, and must not take long; what it raises ends the run. After `stop.set()` photos in flight
    are finished and no new one is begun; cancelling aborts at once.

    `dask`, `maps` (texts such as `HERE=THERE`) and `dask_tls_…` have the workers of a Dask cluster
    read and send the photos. `dask="local:3"` starts processes that import the program once more:
    what it does itself has to stand below `if __name__ == "__main__":`.

    Raises `UsageError` where a value or a path is wrong, and `RunError` where the run is
    impossible. A photo that fails raises nothing: it is in the report.
    """
    if isinstance(paths, str | os.PathLike):
        raise UsageError("paths is one path", hint="Give a list of them: [path].")
    if isinstance(album, str) and album.strip().isdecimal():
        album = int(album)  # as on the command line; "/2019" is a name
    names = () if album is None or isinstance(album, int) else tuple(album.strip("/").split("/"))
    if not (server.user or server.api_key):
        raise UsageError(
            "the server's user is missing", hint="Give user and password, or api_key."
        )
    sending = UploadSettings(
        into=AlbumTarget(
            album=album if isinstance(album, int) else None,
            names=names,
            create=create_albums,
            tree=tree,
            private=private,
        ),
        concurrency=concurrency,
        finishing=finishing,
        level=level,
        chunk_size=chunk_size,
        bwlimit=Timetable.always(bwlimit),
        method=method,
        dry_run=dry_run,
        update=update,
        raw_as_format=raw_as_format,
        retries=retries,
        patience_s=patience_s,
        ledger=(Path(ledger) if ledger else default_ledger()) if remember else None,
    )
    tls = tuple(
        Path(file) if file else None for file in (dask_tls_ca, dask_tls_cert, dask_tls_key)
    )
    executor_factory = await to_thread.run_sync(
        partial(executor_from_flags, dask, maps=maps, tls=tls)
    )
    report = Report()

    raised: list[Exception] = []

    def emit(event: Event) -> None:
        report._add(event)  # noqa: SLF001 (its only maker)
        if on_event is not None:
            try:
                on_event(event)
            except Exception as error:
                raised.append(error)
                raise

    try:
        await migrate(
            [Path(path) for path in paths],
            account=server,
            sending=sending,
            emit=emit,
            stop=stop or Stop(),
            clock=time.monotonic,
            sleep=anyio.sleep,
            executor_factory=executor_factory,
        )
    except BaseExceptionGroup:
        if raised:
            raise raised[0] from None  # as it was raised, not as the tasks wrap it
        raise
    return report
