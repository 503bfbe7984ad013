"""The photos of a run to fingerprint or upload, and the queue of those that no worker has."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

from bulkup.engine.context import UploadContext
from bulkup.engine.job import Job
from bulkup.errors import RunError
from bulkup.events import Emit
from bulkup.source.photos import Photo

MOST_PHOTOS: Final = 200
MOST_BYTES: Final = 2 * 1024**3
"""A batch is full at this many photos, or bytes."""

MOST_FOLDERS: Final = 100_000
"""How many folders are remembered as unreadable for a worker."""

_numbers = count(1)


def resolve(
    future: "asyncio.Future[Any]", value: object = None, *, error: Exception | None = None
) -> None:
    """Set the result of a future, or its error, unless it has one or was cancelled."""
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)


@dataclass(eq=False, slots=True, kw_only=True)
class Call:
    """A photo to upload, or only to fingerprint if it has no job; `result` is set in the end.

    `unseen` maps workers to the reason why they can't read the file. `changed` is as in `Order`.
    `finishing`: a worker was allowed to finish the photo. `aliases` are the temporary names under
    which workers tried that.
    """

    photo: Photo
    emit: Emit
    job: Job | None = None
    context: UploadContext | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    result: "asyncio.Future[Any]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    unseen: dict[str, str] = field(default_factory=dict)
    changed: bool = False
    finishing: bool = False
    aliases: set[str] = field(default_factory=set)

    def take_content(self, content: tuple[int, int] | None, md5: str) -> None:
        """Record the content that a worker found: its MD5, and size and time if it changed."""
        if content is not None:
            self.photo = replace(self.photo, size=content[0], mtime_ns=content[1])
        if self.job is not None:
            self.job = replace(self.job, photo=self.photo, md5=md5)

    def end(self, value: object = None, *, error: Exception | None = None) -> None:
        """Set the result, unless there is one."""
        if isinstance(error, RunError):  # several calls may end with the same one
            error = type(error)(error.failure)
        resolve(self.result, value, error=error)


class WorkQueue:
    """The calls not assigned to a worker: those to upload, and those to fingerprint."""

    def __init__(self) -> None:
        self._queues: dict[bool, deque[Call]] = {False: deque(), True: deque()}
        self.unseen_by: defaultdict[Path, set[str]] = defaultdict(set)

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
            if call.result.done():
                continue
            if self._suits(call, worker, workers):
                batch.append(call)
                size += call.photo.size
            else:
                others.append(call)
        queue.extendleft(reversed(others))
        return batch

    def _suits(self, call: Call, worker: str, workers: Collection[str]) -> bool:
        unseen_by = self.unseen_by.get(call.photo.path.parent, ()) if self.unseen_by else ()
        return worker not in call.unseen and (
            worker not in unseen_by or all(other in unseen_by for other in workers)
        )

    def unseen(self, call: Call, worker: str, reason: str) -> None:
        """Record that a worker can't read a photo, and perhaps nothing in its folder."""
        call.unseen[worker] = reason
        if len(self.unseen_by) > MOST_FOLDERS:
            self.unseen_by.clear()
        self.unseen_by[call.photo.path.parent].add(worker)

    def seen(self, call: Call, worker: str) -> None:
        """Record that a worker can read a photo, and thus its folder."""
        if self.unseen_by and (unseen_by := self.unseen_by.get(call.photo.path.parent)):
            unseen_by.discard(worker)
