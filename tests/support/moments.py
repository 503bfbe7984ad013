"""A hook at the nth step of a run as the sandbox sees it, and the check of its outcome."""

import hashlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import anyio

from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.http import Seen
from tests.support.commands import PASSWORD
from tests.support.runs import stored_sums

SENDING = {"pwg.images.upload", "pwg.images.uploadAsync", "pwg.images.addChunk"}


class Moment:
    """Calls `act` at the nth step of a run; a request arrives, or has been processed.

    At the latest at the step `last` of requests that send photos: a run that sends as many always
    gets there. The answer waits until the call returns.
    """

    def __init__(self, nth: int = 0, *, last: int = 0) -> None:
        self.count = 0
        self.reached = anyio.Event()
        self.act: Callable[[], None] = lambda: None
        self._nth = nth
        self._last = last
        self._sending = 0

    def step(self, method: str) -> None:
        self.count += 1
        self._sending += method in SENDING
        at_last = method in SENDING and self._sending == self._last
        if not self.reached.is_set() and (self.count == self._nth or at_last):
            self.reached.set()
            self.act()


class Coming(Faults):
    """No faults, but a step for each request before it is processed."""

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self._moment = moment

    def strike(self, method: str) -> Fault | None:
        self._moment.step(method)
        return super().strike(method)


class Answered(deque[Seen]):
    """The log of processed requests, a step for each before its answer is sent."""

    def __init__(self, moment: Moment) -> None:
        super().__init__()
        self._moment = moment

    def append(self, seen: Seen, /) -> None:
        super().append(seen)
        self._moment.step(seen.method)


def sandbox(version: str, moment: Moment, *, finish_s: float = 0.0) -> Sandbox:
    faults = Coming(moment)
    admin = ("admin", PASSWORD)
    box = Sandbox(version=version, admin=admin, faults=faults, finish_s=finish_s)
    box.requests = Answered(moment)
    return box


def exactly(box: Sandbox, archive: dict[Path, str]) -> bool:
    """Check that the gallery has each photo of the archive once, in album 1, and nothing else."""
    gallery = box.gallery
    assert stored_sums(box) == dict.fromkeys(archive.values(), 1)
    for number, photo in gallery.photos.items():
        assert hashlib.md5(gallery.content(number)).hexdigest() == photo.md5
        assert photo.file in {path.name for path, md5 in archive.items() if md5 == photo.md5}
        assert photo.albums == {1}
    assert not gallery.lounge
    assert gallery.count_in(1) == len(gallery.photos)
    return True
