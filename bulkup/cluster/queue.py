"""The photos that wait for a worker, and which of them a worker gets."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

import anyio

from bulkup.engine.ports import Job, UploadContext
from bulkup.errors import RunError
from bulkup.events import Emit
from bulkup.source.photos import Photo

MOST_PHOTOS: Final = 200
MOST_BYTES: Final = 2 * 1024**3
"""A batch is full at this many photos, or bytes."""

MOST_FOLDERS: Final = 100_000
"""How many folders are remembered as unreadable for a worker."""

_numbers = count(1)


@dataclass(eq=False, slots=True, kw_only=True)
class Call:
    """A photo to upload, or only to fingerprint if it has no job; `over` once it has a result.

    `unseen` maps workers to the reason why they can't read the file. `changed` and `lost` are as
    in `Order`. `begun`: a worker has started it. `finishing`: one was allowed to finish the photo.
    """

    photo: Photo
    emit: Emit
    job: Job | None = None
    context: UploadContext | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    over: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: Exception | None = None
    unseen: dict[str, str] = field(default_factory=dict)
    changed: bool = False
    begun: bool = False
    finishing: bool = False
    lost: bool = False

    def take_content(self, content: tuple[int, int] | None, md5: str) -> None:
        """Record the content that a worker found: its MD5, and size and time if it changed."""
        if content is not None:
            self.photo = replace(self.photo, size=content[0], mtime_ns=content[1])
        if self.job is not None:
            self.job = replace(self.job, photo=self.photo, md5=md5)

    def end(self, value: object = None, *, error: Exception | None = None) -> None:
        """Set the result, unless there is one."""
        if not self.over.is_set():
            self.value, self.error = value, error
            self.over.set()

    async def result(self) -> Any:  # noqa: ANN401 (depends on the kind of call)
        """Return the result, or raise the error; a cancelled call ends without a result."""
        try:
            await self.over.wait()
        finally:
            self.over.set()
        if isinstance(self.error, RunError):  # several calls may end with the same one
            raise type(self.error)(self.error.failure)
        if self.error is not None:
            raise self.error
        return self.value


class WorkQueue:
    """The calls not assigned to a worker: those to upload, and those to fingerprint."""

    def __init__(self) -> None:
        self._queues: dict[bool, deque[Call]] = {False: deque(), True: deque()}
        self._unseen_by: defaultdict[Path, set[str]] = defaultdict(set)

    def add(self, call: Call, *, first: bool = False) -> None:
        """Add a call, at the front if `first`."""
        queue = self._queues[call.job is not None]
        (queue.appendleft if first else queue.append)(call)

    def __iter__(self) -> Iterator[Call]:
        return chain(*self._queues.values())

    def take(
        self, worker: str, workers: Collection[str], *, uploads: bool, least: int
    ) -> list[Call]:
        """Remove and return a batch for `worker`, one of `workers`.

        It holds up to 200 photos and 2 GiB, and fewer when few are left, down to `least` photos,
        so that all workers finish at about the same time.
        """
        queue, batch, others = self._queues[uploads], list[Call](), list[Call]()
        most = min(MOST_PHOTOS, max(least, -(-len(queue) // max(1, 2 * len(workers)))))
        size = 0
        while queue and len(batch) < most and size < MOST_BYTES:
            call = queue.popleft()
            if call.over.is_set():
                continue
            if self._suits(call, worker, workers):
                batch.append(call)
                size += call.photo.size
            else:
                others.append(call)
        queue.extendleft(reversed(others))
        return batch

    def _suits(self, call: Call, worker: str, workers: Collection[str]) -> bool:
        unseen_by = self._unseen_by.get(call.photo.path.parent, ())
        return worker not in call.unseen and (
            worker not in unseen_by or all(other in unseen_by for other in workers)
        )

    def unseen(self, call: Call, worker: str, reason: str) -> None:
        """Record that a worker can't read a photo, and perhaps nothing in its folder."""
        call.unseen[worker] = reason
        if len(self._unseen_by) > MOST_FOLDERS:
            self._unseen_by.clear()
        self._unseen_by[call.photo.path.parent].add(worker)

    def seen(self, call: Call, worker: str) -> None:
        """Record that a worker can read a photo, and thus its folder."""
        if unseen_by := self._unseen_by.get(call.photo.path.parent):
            unseen_by.discard(worker)
