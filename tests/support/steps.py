"""A sandbox with a hook at the nth step of a run, and the check of what it stores."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD
from tests.support.runs import stored_sums

SENDING = {"pwg.images.upload", "pwg.images.uploadAsync", "pwg.images.addChunk"}


class SteppedSandbox(Sandbox):
    """Calls `act` at the nth step of a run: a request arrives, or has been processed.

    At the latest when `last` requests that send photos have been processed: a run that sends as
    many always gets there. The answer waits until the call returns.
    """

    def __init__(
        self, nth: int, *, last: int = -1, version: str = "16.4.0", finish_s: float = 0.0
    ) -> None:
        super().__init__(version=version, admin=("admin", PASSWORD), finish_s=finish_s)
        self.act: Callable[[], None] = lambda: None
        self.steps = 0
        self._nth = nth
        self._sending_left = last
        self._acted = False

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self._step()
        response = await super()._serve(request)
        self._sending_left -= self.requests[-1].method in SENDING
        self._step()
        return response

    def _step(self) -> None:
        self.steps += 1
        if not self._acted and (self.steps == self._nth or self._sending_left == 0):
            self._acted = True
            self.act()


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
