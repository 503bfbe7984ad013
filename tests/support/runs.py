"""Helpers for engine tests: archives, runs against a sandbox, their outcomes."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TypeVar

import anyio.lowlevel

from bulkup.engine import pipeline, verify
from bulkup.engine.albums import AlbumResolver, Albums, FolderAlbums, FurtherAlbums, Titles
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.context import RunContext, Stop
from bulkup.engine.executor import Executor, LocalExecutor
from bulkup.engine.ledger_port import Ledger, NoLedger
from bulkup.engine.retry import Policy, Recovery, Sleep
from bulkup.events import (
    Event,
    FileFound,
    FileSkipped,
    PhotoChecked,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    SkipReason,
)
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import connect
from bulkup.piwigo.session import Credentials, Timeouts
from bulkup.sandbox import Sandbox
from bulkup.source.metadata import Labels
from bulkup.source.sidecars import Describer

ADMIN = Credentials("admin", "secret")
FOUR_METHODS = {
    *("pwg.session.login", "pwg.session.getStatus", "pwg.session.logout"),
    "pwg.images.upload",
}
JPEG_HEAD = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100")
OUTCOMES = (
    PhotoUploaded | PhotoPresent | PhotoChecked | FileSkipped | PhotoFailed | PhotoUnfinished
)
E_ = TypeVar("E_", bound=Event)


def picture(chance: Random, *, size: int) -> bytes:
    """Return `size` random bytes that begin and end as a JPEG."""
    return JPEG_HEAD + chance.randbytes(max(0, size - len(JPEG_HEAD) - 2)) + b"\xff\xd9"


def make_archive(
    folder: Path, *, count: int, names: int, size: tuple[int, int] = (300, 5000), seed: int = 1
) -> dict[Path, str]:
    """Write `count` photos with `names` different base names; return the MD5 of each path."""
    chance = Random(seed)
    sums = {}
    for number in range(count):
        path = folder / f"folder {number // names:02}" / f"IMG_{number % names:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = picture(chance, size=chance.randint(*size))
        path.write_bytes(content)
        sums[path] = hashlib.md5(content).hexdigest()
    return sums


@dataclass
class Outcome:
    """The events of a run; `watch` is called at each."""

    watch: Callable[[Event], object] = lambda _: None
    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)
        self.watch(event)

    def of(self, kind: type[E_]) -> list[E_]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def balances(self) -> bool:
        """Return whether every file found has exactly one outcome, also one found twice."""
        found = Counter(event.path for event in self.of(FileFound))
        ends = Counter(event.path for event in self.events if isinstance(event, OUTCOMES))
        again = Counter(
            event.path
            for event in self.of(FileSkipped)
            if event.reason is SkipReason.REPEATED and found[event.path] > 1
        )
        return found == ends and all(count == 1 for count in (found - again).values())


async def no_wait(_: float) -> None:
    """Return at once, after a checkpoint."""
    await anyio.lowlevel.checkpoint()


class Clock:
    """A clock that only its own sleep sets forward."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await no_wait(seconds)

    def __call__(self) -> float:
        return self.now


class OneReader(LocalExecutor):
    """An executor that reads one file after the other."""

    readers: ClassVar[int] = 1


async def run(
    box: Sandbox,
    *roots: Path,
    method: str = "auto",
    outcome: Outcome | None = None,
    timeouts: Timeouts | None = None,
    labels: Labels | None = None,
    retries: int = 5,
    patience_s: float = 3600.0,
    sleep: Sleep = no_wait,
    clock: Callable[[], float] = time.monotonic,
    proof_s: float = 0.0,
    **how: Any,  # noqa: ANN401 (what `upload` takes)
) -> Outcome:
    """Run the engine against a sandbox, with retries at once; return the events."""
    outcome = outcome or Outcome()
    emit = outcome.emit
    door = Recovery(Policy(), emit=emit, probe=anyio.lowlevel.checkpoint, sleep=no_wait)
    async with connect(
        box.url,
        credentials=ADMIN,
        method=method,
        timeouts=timeouts,
        retrying=door.run,
        describe=Describer(labels, emit=emit) if labels else None,
    ) as server:
        policy = Policy(retries=retries, patience_s=patience_s, proof_s=proof_s)
        recovery = Recovery(policy, emit=emit, probe=server.probe, sleep=sleep, clock=clock)
        how = {"finishing": 2} | how
        await upload(server, *roots, outcome=outcome, recovery=recovery, clock=clock, **how)
    return outcome


async def upload(
    server: PiwigoServer,
    *roots: Path,
    outcome: Outcome,
    recovery: Recovery,
    clock: Callable[[], float] = time.monotonic,
    chunks: ChunkSize | None = None,
    chunk_size: int | None = None,
    album: int = 1,
    tree: bool = False,
    unwrap: bool = False,
    spaces: bool = False,
    endings: Collection[str] | None = None,
    stop: Stop | None = None,
    memory: Ledger | None = None,
    executor: Executor | None = None,
    **plan: Any,  # noqa: ANN401 (what else `pipeline.Plan` has)
) -> None:
    """Run the engine with a server, by default without a ledger."""
    grows = server.method.name != "legacy"
    await pipeline.run(
        pipeline.Plan(
            roots=roots,
            folder_albums=FolderAlbums(
                roots=roots, base=album, tree=tree, unwrap=unwrap, spaces=spaces
            ),
            endings=endings or server.offer.endings,
            **plan,
        ),
        run_context(server, recovery, outcome, stop, memory, clock=clock),
        sender=server,
        worker_counter=server.worker_counter,
        albums=Albums(server, recovery=recovery, emit=outcome.emit),
        chunk_size=chunks or ChunkSize(server.offer.chunk_size, user_size=chunk_size, grows=grows),
        executor=executor or LocalExecutor(),
        remarks=server.metadata.remarks,
    )


def run_context(
    server: PiwigoServer,
    recovery: Recovery,
    outcome: Outcome,
    stop: Stop | None,
    memory: Ledger | None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> RunContext:
    return RunContext(
        gallery=server,
        recovery=recovery,
        ledger=memory or NoLedger(),
        emit=outcome.emit,
        stop=stop or Stop(),
        clock=clock,
    )


async def check(
    box: Sandbox,
    *roots: Path,
    album: int | None = 1,
    retries: int = 5,
    outcome: Outcome | None = None,
    timeouts: Timeouts | None = None,
    memory: Ledger | None = None,
    tree: bool = False,
    unwrap: bool = False,
    spaces: bool = False,
    titles: Titles | None = None,
    further: Sequence[FurtherAlbums] = (),
    **plan: Any,  # noqa: ANN401 (what else `verify.Plan` has)
) -> Outcome:
    """Verify archives against a sandbox, with retries at once; return the events.

    `album` None: photos may be anywhere in the gallery.
    """
    outcome = outcome or Outcome()
    emit = outcome.emit
    door = Recovery(Policy(), emit=emit, probe=anyio.lowlevel.checkpoint, sleep=no_wait)
    async with connect(box.url, credentials=ADMIN, timeouts=timeouts, retrying=door.run) as server:
        policy = Policy(retries=retries, proof_s=0.0)
        recovery = Recovery(policy, emit=emit, probe=server.probe, sleep=no_wait)
        album_resolver = None
        if album is not None:
            album_resolver = AlbumResolver(
                FolderAlbums(roots=roots, base=album, tree=tree, unwrap=unwrap, spaces=spaces),
                Albums(server, recovery=recovery, emit=emit),
                emit=emit,
                make=False,
                titles=titles,
                further=further,
            )
        await verify.run(
            verify.Plan(roots=roots, endings=server.offer.endings, **plan),
            run_context(server, recovery, outcome, None, memory),
            album_resolver=album_resolver,
            executor=LocalExecutor(),
        )
    return outcome


def failures(outcome: Outcome) -> dict[str, str]:
    """Return the reason of each failed photo, by its file name."""
    return {event.path.name: event.reason for event in outcome.of(PhotoFailed)}


def stored_sums(box: Sandbox) -> Counter[str]:
    """Count the photos of the sandbox by their MD5."""
    return Counter(photo.md5 or "" for photo in box.gallery.photos.values())
