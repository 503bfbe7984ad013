"""Helpers for engine tests: archives, runs against a sandbox, their outcomes."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

import anyio.lowlevel

from bulkup.engine import pipeline, verify
from bulkup.engine.albums import AlbumResolver, Albums, FolderAlbums, Titles
from bulkup.engine.chunksize import ChunkSize
from bulkup.engine.ports import Ledger, NoLedger, RunContext, Stop
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
from bulkup.source.disposal import Mover, Trash
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.metadata import Labels
from bulkup.source.sidecars import Describer

ADMIN = Credentials("admin", "secret")
FOUR_METHODS = {
    "pwg.session.login",
    "pwg.session.getStatus",
    "pwg.images.upload",
    "pwg.session.logout",
}
JPEG_HEAD = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100")
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
    """The events of a run."""

    events: list[Event] = field(default_factory=list)

    def of(self, kind: type[E_]) -> list[E_]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def balances(self) -> bool:
        """Return whether every file found has exactly one outcome, also one found twice."""
        found = Counter(event.path for event in self.of(FileFound))
        ends = Counter(
            event.path
            for event in self.events
            if isinstance(
                event,
                PhotoUploaded
                | PhotoPresent
                | PhotoChecked
                | FileSkipped
                | PhotoFailed
                | PhotoUnfinished,
            )
        )
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


async def run(
    box: Sandbox,
    *roots: Path,
    method: str = "auto",
    chunk_size: int | None = None,
    chunks: ChunkSize | None = None,
    concurrency: int = 8,
    finishing: int | None = 2,
    album: int = 1,
    tree: bool = False,
    unwrap: bool = False,
    spaces: bool = False,
    level: int = 0,
    update: bool = False,
    formats: bool = False,
    retries: int = 5,
    stop: Stop | None = None,
    outcome: Outcome | None = None,
    timeouts: Timeouts | None = None,
    endings: Collection[str] | None = None,
    memory: Ledger | None = None,
    filters: Filters = EVERYTHING,
    away: Mover | Trash | None = None,
    sleep: Sleep = no_wait,
    clock: Callable[[], float] = time.monotonic,
    patience_s: float = 3600.0,
    labels: Labels | None = None,
    titles: Titles | None = None,
) -> Outcome:
    """Run the engine against a sandbox, with retries at once; return the events."""
    outcome = outcome or Outcome()
    emit = outcome.events.append
    async with connect(
        box.url,
        credentials=ADMIN,
        method=method,
        timeouts=timeouts,
        retrying=Recovery(Policy(), emit=emit, probe=anyio.lowlevel.checkpoint, sleep=no_wait).run,
        describe=Describer(labels, emit=emit) if labels else None,
    ) as server:
        policy = Policy(retries=retries, patience_s=patience_s)
        recovery = Recovery(policy, emit=emit, probe=server.probe, sleep=sleep, clock=clock)
        await pipeline.run(
            pipeline.Plan(
                roots=roots,
                folder_albums=FolderAlbums(
                    roots=roots, base=album, tree=tree, unwrap=unwrap, spaces=spaces
                ),
                filters=filters,
                level=level,
                concurrency=concurrency,
                finishing=finishing,
                endings=endings or server.offer.endings,
                update=update,
                formats=formats,
                disposal=away,
                titles=titles,
            ),
            RunContext(
                gallery=server,
                recovery=recovery,
                ledger=memory or NoLedger(),
                emit=emit,
                stop=stop or Stop(),
                clock=clock,
            ),
            sender=server,
            census=server.census,
            albums=Albums(server, recovery=recovery, emit=emit),
            chunk_size=chunks or chunk_size_of(server, user_size=chunk_size),
        )
    return outcome


def chunk_size_of(server: PiwigoServer, *, user_size: int | None = None) -> ChunkSize:
    """Return the initial chunk size of a run without a ledger."""
    return ChunkSize(
        server.offer.chunk_size, user_size=user_size, grows=server.method.name != "legacy"
    )


async def check(
    box: Sandbox,
    *roots: Path,
    album: int | None = 1,
    quick: bool = False,
    concurrency: int = 4,
    retries: int = 5,
    stop: Stop | None = None,
    outcome: Outcome | None = None,
    timeouts: Timeouts | None = None,
    memory: Ledger | None = None,
    filters: Filters = EVERYTHING,
    tree: bool = False,
    unwrap: bool = False,
    spaces: bool = False,
    titles: Titles | None = None,
) -> Outcome:
    """Verify archives against a sandbox, with retries at once; return the events.

    `album` None: photos may be anywhere in the gallery.
    """
    outcome = outcome or Outcome()
    emit = outcome.events.append
    door = Recovery(Policy(), emit=emit, probe=anyio.lowlevel.checkpoint, sleep=no_wait)
    async with connect(box.url, credentials=ADMIN, timeouts=timeouts, retrying=door.run) as server:
        recovery = Recovery(Policy(retries=retries), emit=emit, probe=server.probe, sleep=no_wait)
        album_resolver = None
        if album is not None:
            album_resolver = AlbumResolver(
                FolderAlbums(roots=roots, base=album, tree=tree, unwrap=unwrap, spaces=spaces),
                Albums(server, recovery=recovery, emit=emit),
                emit=emit,
                make=False,
                titles=titles,
            )
        await verify.run(
            verify.Plan(
                roots=roots,
                filters=filters,
                concurrency=concurrency,
                quick=quick,
                endings=server.offer.endings,
            ),
            RunContext(
                gallery=server,
                recovery=recovery,
                ledger=memory or NoLedger(),
                emit=emit,
                stop=stop or Stop(),
                clock=time.monotonic,
            ),
            album_resolver=album_resolver,
        )
    return outcome


def failures(outcome: Outcome) -> dict[str, str]:
    """Return the reason of each failed photo, by its file name."""
    return {event.path.name: event.reason for event in outcome.of(PhotoFailed)}


def stored_sums(box: Sandbox) -> Counter[str]:
    """Count the photos of the sandbox by their MD5."""
    return Counter(photo.md5 for photo in box.gallery.photos.values())
