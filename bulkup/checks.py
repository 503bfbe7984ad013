"""The checks on a gallery: each asks what it has to know, and returns what was found.

Knows what an answer means, and neither the order of the checks nor words. Nothing is changed on
the server: the questions only read, and of the files that try how much passes nothing stays.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Final

from bulkup.chunksize import LEAST
from bulkup.errors import NotOffered, PhotoError, RunError, Transient
from bulkup.failures import stops
from bulkup.findings import (
    AccountFound,
    AddressFound,
    AlbumFound,
    AlbumMissing,
    ChunkFound,
    DuplicatesFound,
    LatencyFound,
    MethodsFound,
    TlsFound,
    TypesFound,
    VersionFound,
    WorkersFound,
)
from bulkup.pacing import ceiling_for
from bulkup.piwigo.catalogue import Offer
from bulkup.piwigo.discover import clean_url, is_local, scheme_hint
from bulkup.piwigo.results import Status
from bulkup.piwigo.survey import Survey, ways
from bulkup.recovery import Recovery

REQUESTS: Final = 10  # by which the latency is told
ALBUMS_SHOWN: Final = 5
DETECTING: Final = 14  # the first version that can compare by itself what is uploaded
MOST_WORKERS: Final = 12  # beyond them nothing depends on their number
FIRST: Final = 500 * 1024  # Piwigo's own default
LARGEST: Final = 32 * 1024 * 1024
LONG_S: Final = 4.0  # files larger than one that took so long are not tried
DAY_S: Final = 86_400

USED: Final = (
    "pwg.images.exist",
    "pwg.images.setInfo",
    "pwg.images.checkFiles",
    "pwg.images.delete",
    "pwg.categories.getList",
    "pwg.categories.getImages",
)
"""Methods without which an upload is slower, or less sure of what came of it."""


class Checks:
    """The checks on one gallery: `address` first, then `account`, then `methods`, then the rest.

    Each raises a `BulkupError` where it comes to nothing.
    """

    def __init__(
        self,
        survey: Survey,
        *,
        recovery: Recovery,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._survey = survey
        self._patiently = recovery.run
        self._clock = clock
        self._wall_clock = wall_clock
        self._version = ""
        self._status: Status | None = None
        self._offer: Offer | None = None

    @property
    def status(self) -> Status:
        """What the gallery told at the log-in."""
        if self._status is None:
            raise RuntimeError("nobody is logged in")
        return self._status

    @property
    def offer(self) -> Offer:
        """What the gallery says of itself."""
        if self._offer is None:
            raise RuntimeError("nobody has asked what is offered")
        return self._offer

    async def address(self) -> AddressFound:
        """Find the gallery."""
        given = clean_url(self._survey.url)
        try:
            return AddressFound(url=await self._patiently(self._survey.find), given=given)
        except Transient as error:
            more = scheme_hint(self._survey.url)
            raise RunError(stops.NO_ANSWER(reason=error.message, more=more)) from None

    async def tls(self) -> TlsFound:
        """Look at the encryption; that the certificate is trusted, `address` has shown."""
        tls = await self._patiently(self._survey.encryption)
        if tls is None:
            return TlsFound(local=is_local(self._survey.url))
        left_s = None if tls.until is None else tls.until - self._wall_clock()
        return TlsFound(
            version=tls.version,
            days=None if left_s is None else int(left_s // DAY_S),
            trusted=tls.trusted,
        )

    async def version(self) -> VersionFound:
        """Ask for the version of Piwigo."""
        self._version = await self._patiently(self._survey.version)
        return VersionFound(version=self._version)

    async def latency(self) -> LatencyFound:
        """Ask again and again, one question after the other."""
        times = []
        for _ in range(REQUESTS):
            began = self._clock()
            await self._patiently(self._survey.version)
            times.append(self._clock() - began)
        return LatencyFound(
            median_s=statistics.median(times), worst_s=max(times), requests=REQUESTS
        )

    async def account(self, *, api_key: bool) -> AccountFound:
        """Log in; who is no administrator is refused by that."""
        status = self._status = await self._patiently(self._survey.log_in)
        self._version = self._version or status.version
        return AccountFound(user=status.user, status=status.rank, api_key=api_key)

    async def methods(self) -> MethodsFound:
        """Ask what is offered."""
        status = self.status
        offer = self._offer = await self._patiently(lambda: self._survey.offer(status))
        offered = ways(offer)
        if not offered:
            raise RunError(stops.NO_METHOD())
        missing = tuple(name for name in USED if name not in offer.methods)
        return MethodsFound(offered=offered, auto=offered[0], missing=missing)

    async def types(self) -> TypesFound:
        """Tell which files are taken."""
        endings = self.offer.endings
        return TypesFound(endings=None if endings is None else tuple(sorted(endings)))

    async def chunk(self, *, look: Callable[[int], None]) -> ChunkFound:
        """Send files, each twice as large, until one is refused or takes long.

        That is how an upload feels its way, too. Where the first is refused, smaller ones are
        sent. `look` hears of each size before it is tried.
        """
        named = self.status.chunk_size
        if not self._survey.can_probe(self.offer):
            return ChunkFound(named=named, passed=None, refused=None, tried=False)
        size = first = named or FIRST
        found = ChunkFound(named=named, passed=None, refused=None)
        while size <= LARGEST and not (found.refused or found.slow):
            look(size)
            found = await self._try(size, found)
            size *= 2
        size = first // 2
        while found.passed is None and size >= LEAST:
            look(size)
            found = await self._try(size, found)
            size //= 2
        return found

    async def _try(self, size: int, found: ChunkFound) -> ChunkFound:
        began = self._clock()
        try:
            await self._patiently(lambda: self._survey.send_through(size))
        except (NotOffered, PhotoError, Transient) as error:
            return replace(found, refused=size, reason=error.message)
        seconds = self._clock() - began
        return replace(
            found, passed=size, slow=seconds > LONG_S, rate=size / seconds if seconds else None
        )

    async def duplicates(self) -> DuplicatesFound:
        """Ask for an MD5 that no photo has, and go by the version for the rest."""
        major = VersionFound(version=self._version).major
        return DuplicatesFound(
            by_md5=await self._patiently(lambda: self._survey.tells_md5s(self.offer)),
            detection=False if major is not None and major < DETECTING else None,
        )

    async def album(self, album: int | None) -> AlbumFound | AlbumMissing:
        """Ask for the album's name, or which ones there are. Raises `RunError` for none such."""
        catalogue = self._survey.catalogue(self.offer)
        if album is not None:
            name = await self._patiently(lambda: catalogue.album_name(album))
            return AlbumFound(album=album, name=name)
        try:
            albums = await self._patiently(catalogue.albums)
        except (NotOffered, PhotoError):
            albums = []
        at_top = {album.album_id: album.name for album in albums if not album.parent}
        return AlbumMissing(first=dict(islice(at_top.items(), ALBUMS_SHOWN)), count=len(albums))

    async def workers(self) -> WorkersFound:
        """Count the PHP workers."""
        workers = await self._patiently(lambda: self._survey.workers(MOST_WORKERS))
        return WorkersFound(workers=workers, most=MOST_WORKERS, finishing=ceiling_for(workers))
