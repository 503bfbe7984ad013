"""The photos that wait for a worker, and which of them a worker gets."""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import anyio

from bulkup.engine.ports import Job, UploadContext
from bulkup.errors import RunError
from bulkup.events import Emit
from bulkup.source.photos import Photo

MOST_PHOTOS: Final = 200
MOST_BYTES: Final = 2 * 1024**3
"""A batch is full with so many photos, or with so many bytes of them."""

MOST_FOLDERS: Final = 100_000
"""So many folders are remembered that a worker does not see."""

_numbers = count(1)


@dataclass(eq=False, slots=True, kw_only=True)
class Call:
    """Something to be done with a photo: to read it, or with a job and its journey to send it.

    `emit` hears what goes on with it. `unseen` tells which workers can't see the file and why,
    `changed` that it is another one now than when the job was made. `begun` tells that a worker
    that is lost may have sent some of it, `finishing` that it may have had the photo finished.
    """

    photo: Photo
    emit: Emit
    job: Job | None = None
    context: UploadContext | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    over: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: BaseException | None = None
    unseen: dict[str, str] = field(default_factory=dict)
    changed: bool = False
    begun: bool = False
    finishing: bool = False

    def end(self, value: object = None, *, error: BaseException | None = None) -> None:
        """Give whoever waits for it what has come of it."""
        if not self.over.is_set():
            self.value, self.error = value, error
            self.over.set()

    def result(self) -> Any:  # noqa: ANN401 (what a call returns depends on its kind)
        """Return what has come of it, or raise that."""
        if isinstance(self.error, RunError):  # many calls may end by the same one
            raise type(self.error)(self.error.failure)
        if self.error is not None:
            raise self.error
        return self.value


class WorkQueue:
    """The calls that no worker has taken."""

    def __init__(self) -> None:
        self._queues: tuple[deque[Call], deque[Call]] = (deque(), deque())
        self._blind: dict[Path, set[str]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    def add(self, call: Call, *, first: bool = False) -> None:
        """Have a call wait, as the `first` one where it has waited before."""
        queue = self._queues[call.job is not None]
        if first:
            queue.appendleft(call)
        else:
            queue.append(call)

    def discard(self, call: Call) -> None:
        """Have a call wait no longer."""
        queue = self._queues[call.job is not None]
        if call in queue:
            queue.remove(call)

    def empty(self) -> list[Call]:
        """Have no call wait any longer; return those that did."""
        calls = [call for queue in self._queues for call in queue]
        for queue in self._queues:
            queue.clear()
        return calls

    def any_for(self, worker: str, workers: Collection[str]) -> bool:
        """Tell whether there is something for one of these workers."""
        return any(self._suits(call, worker, workers) for queue in self._queues for call in queue)

    def take(self, worker: str, workers: Collection[str], *, least: int) -> list[Call]:
        """Return a batch for one of these workers, which holds back a share for the others.

        Of what is to be read and of what is to be sent it is a batch each, of up to 200 photos and
        2 GiB; where little is left, of `least` photos, so that all workers end at once.
        """
        taken: list[Call] = []
        for queue in self._queues:
            share = -(-len(queue) // max(1, 2 * len(workers)))
            most = min(MOST_PHOTOS, max(least, share))
            mine = self._batch(queue, worker, workers, most=most)
            for call in mine:
                queue.remove(call)
            taken += mine
        return taken

    def _batch(
        self, queue: Iterable[Call], worker: str, workers: Collection[str], *, most: int
    ) -> list[Call]:
        batch: list[Call] = []
        size = 0
        for call in queue:
            if len(batch) == most or size >= MOST_BYTES:
                break
            if self._suits(call, worker, workers):
                batch.append(call)
                size += call.photo.size
        return batch

    def _suits(self, call: Call, worker: str, workers: Collection[str]) -> bool:
        if worker in call.unseen:
            return False
        blind = self._blind.get(call.photo.path.parent)
        return not blind or worker not in blind or all(other in blind for other in workers)

    def unseen(self, call: Call, worker: str, why: str) -> None:
        """Take in that a worker can't see a photo, and so perhaps nothing in its folder."""
        call.unseen[worker] = why
        if len(self._blind) >= MOST_FOLDERS:
            self._blind.clear()
        self._blind.setdefault(call.photo.path.parent, set()).add(worker)

    def seen(self, call: Call, worker: str) -> None:
        """Take in that a worker sees a photo, and so its folder."""
        folder = call.photo.path.parent
        if blind := self._blind.get(folder):
            blind.discard(worker)
            if not blind:
                del self._blind[folder]
