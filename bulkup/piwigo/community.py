"""What the Community plugin lets an account do that is not an administrator."""

import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from html import unescape
from typing import Final

import anyio

from bulkup.errors import BulkupError, NotOffered, PhotoError, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import run as run_failures
from bulkup.piwigo import protocol
from bulkup.piwigo.session import SessionPool

STATUS: Final = "community.session.getStatus"
PAGE: Final = "index.php?/add_photos"
"""The plugin's page to add photos: only there it says what is left of the quotas."""

SUMMARY: Final = re.compile(
    r'<p id="uploadWarningsSummary">\s*[0-9]+\w*\. [\w, -]+\.(?: [0-9.]+Mpx\.)?(.*?)<a\b',
    re.DOTALL,
)
STORAGE: Final = re.compile(r"\bvar limit_storage = ([0-9]+);")
ERRORS: Final = re.compile(r'<div class="errors">\s*<ul>(.*?)</ul>', re.DOTALL)
MEGABYTES: Final = re.compile(r"-?[0-9]+\s*MB")


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account may still upload: `photos` and `size` in bytes, None for no limit.

    `refusal` is what the gallery says where it takes nothing more.
    """

    photos: int | None = None
    size: int | None = None
    refusal: str = ""

    def fits(self, size: int, *, photos: int, sizes: int) -> bool:
        """Return whether a photo fits besides `photos` others of `sizes` bytes."""
        return not self.refusal and (
            (self.photos is None or photos < self.photos)
            and (self.size is None or sizes + size <= self.size)
        )


UNLIMITED: Final = Quota()


def read_quota(page: str) -> Quota | None:
    """Parse the page to add photos; None if it is another page."""
    storage = STORAGE.search(page)
    size = int(storage[1]) if storage else None
    if errors := ERRORS.search(page):
        return Quota(size=size, refusal=protocol.plain(errors[1])[: protocol.MESSAGE_LIMIT])
    if (summary := SUMMARY.search(page)) is None:
        return None
    left = re.search(r"[0-9]+", MEGABYTES.sub("", unescape(summary[1])))
    return Quota(photos=int(left[0]) if left else None, size=size)


class Community:
    """The permissions and quotas of one account."""

    def __init__(self, pool: SessionPool, *, status: str) -> None:
        self.status = status
        self.childless: set[int] = set()  # the albums in which it may not create others
        self._pool = pool
        self._permitted: set[int] | None = None
        self._quota: Quota | None = None
        self._in_flight: list[int] = []
        self._ended = anyio.Condition()

    async def albums(self) -> list[protocol.AlbumRow]:
        """Return the albums that the account may upload to, and the visible ones above them."""
        fields = (("recursive", "true"),)
        answer = await self._pool.call(protocol.Request("community.categories.getList", fields))
        rows = protocol.read_albums(answer)
        self._permitted = {row.album_id for row in rows}
        above = protocol.read_ancestors(answer) - self._permitted
        if above:
            usual = (*fields, ("faked_by_community", "false"))
            answer = await self._pool.call(protocol.Request("pwg.categories.getList", usual))
            rows += [row for row in protocol.read_albums(answer) if row.album_id in above]
        return rows

    async def permitted(self) -> set[int]:
        """Return the albums that the account may upload to."""
        if self._permitted is None:
            await self.albums()
        return self._permitted or set()

    async def created(self, album: int) -> None:
        """Count an album that the account has just created as one to upload to."""
        (await self.permitted()).add(album)

    async def report(self, photo_ids: Collection[int], *, album: int) -> frozenset[int]:
        """Tell the administrators of new photos by mail; return those that await approval.

        A photo is told of once, however often this is called.
        """
        fields: protocol.Fields = (
            ("image_id", ",".join(map(str, photo_ids))),
            ("category_id", str(album)),
        )
        request = protocol.Request("community.images.uploadCompleted", fields, token=True)
        return protocol.read_pending(await self._pool.call(request))

    async def quota(self) -> Quota | None:
        """Return what is left of the account's quotas now, None if the gallery does not say."""
        try:
            return read_quota(await self._pool.page(PAGE))
        except (NotOffered, PhotoError):
            return None

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Count a photo against the quotas while it is sent.

        The gallery's web API does not check quotas, so bulkup does, as the plugin's page would.
        Raises `RunError` if the gallery says that they are used up, and `PhotoError` if the photo
        is larger than what is left.
        """
        async with self._ended:
            while not await self._fits(size):
                if not self._in_flight:
                    raise PhotoError(gallery_failures.OVER_QUOTA())
                await self._ended.wait()
            self._in_flight.append(size)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                async with self._ended:
                    self._in_flight.remove(size)
                    if self._quota is not None:
                        self._quota = _less(self._quota, size)
                    self._ended.notify_all()

    async def _fits(self, size: int) -> bool:
        """Return whether a photo fits, and ask the gallery again before that is denied."""
        if self._quota is None or not self._would_fit(size):
            try:
                self._quota = await self.quota() or UNLIMITED
            except BulkupError:  # of no consequence for the upload, which then fails or not
                self._quota = self._quota or UNLIMITED
        if self._quota.refusal:
            raise RunError(run_failures.QUOTA(said=self._quota.refusal))
        return self._would_fit(size)

    def _would_fit(self, size: int) -> bool:
        quota = self._quota or UNLIMITED
        return quota.fits(size, photos=len(self._in_flight), sizes=sum(self._in_flight))


def _less(quota: Quota, size: int) -> Quota:
    """Return a quota after another photo."""
    return replace(
        quota,
        photos=None if quota.photos is None else quota.photos - 1,
        size=None if quota.size is None else quota.size - size,
    )


async def find_community(pool: SessionPool, offer: protocol.Offer) -> Community | None:
    """Return what the plugin lets the account do, None for an administrator or without plugin."""
    if STATUS not in offer.methods:
        return None
    status = protocol.read_real_status(await pool.call(protocol.Request(STATUS)))
    if status in {"admin", "webmaster"}:
        return None
    pool.is_member = True
    return Community(pool, status=status)
