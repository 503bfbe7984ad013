"""The `doctor` use case: checks of the gallery, and an estimate of the archive.

The checks only read. The files sent to find size limits do not stay on the server. On request,
the gallery computes missing MD5s.
"""

import math
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.lowlevel
from anyio import to_thread

from bulkup.app.gallery import credentials_of, transport_of
from bulkup.app.settings import Account, DoctorSettings
from bulkup.engine.chunksize import LEAST, MOST
from bulkup.engine.ledger_port import IPTC_FACTS, Ledger, NoLedger, State
from bulkup.engine.pacing import ceiling_for
from bulkup.engine.retry import Policy, Recovery, Sleep
from bulkup.errors import (
    BulkupError,
    NotOffered,
    PhotoError,
    ProxyUnreachable,
    RunError,
    ServerUnavailable,
    TLSError,
    Transient,
)
from bulkup.errors import run as run_failures
from bulkup.events import SkipReason, discard
from bulkup.output import findings
from bulkup.output.findings import Check, CheckProgress, Finding, OnFinding
from bulkup.piwigo.community import Community
from bulkup.piwigo.connect import clean_url, scheme_hint
from bulkup.piwigo.inspect import LAST_PHOTO, Survey, offered_methods, open_survey
from bulkup.piwigo.protocol import Offer, Status
from bulkup.piwigo.transport import is_local
from bulkup.source.files import on_disk
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo, ending_of
from bulkup.source.scan import Found, Skipped, Unreadable, find
from bulkup.store.ledger import SqliteLedger

TYPES_KEPT: Final = 200
OTHER_TYPES: Final = "…"
EXAMPLES: Final = 5
REQUESTS: Final = 10  # of which the latency is measured
ALBUMS_SHOWN: Final = 5
DUPLICATES_SINCE: Final = 14  # the first version with duplicate detection of its own
MOST_WORKERS: Final = 12  # more make no difference
FIRST: Final = 500 * 1024  # Piwigo's default chunk size
LARGEST: Final = 32 * 1024 * 1024
LONG_S: Final = 4.0  # no file larger than one that took this long is tried
DAY_S: Final = 86_400
CONFIGURATION: Final = "admin.php?page=configuration"  # has the order of all other albums
SAMPLE: Final = 20  # photos asked for their MD5
BLOCK: Final = 9  # with 10 and more, Piwigo stores an empty MD5 for a file that it can't read
LARGEST_BLOCK: Final = 10_000
LONGEST_WAIT_S: Final = 10.0  # even if a server asks for more

POLICY: Final = Policy(retries=2)
"""Few retries: a user who waits for the doctor should soon see that the server does not answer."""

USED: Final = (
    "pwg.images.exist",
    "pwg.images.setInfo",
    "pwg.images.checkFiles",
    "pwg.images.delete",
    "pwg.categories.getList",
    "pwg.categories.getImages",
)
"""Methods without which an upload is slower, or its result less certain."""

F = TypeVar("F", bound=Finding)


async def examine(
    roots: Sequence[Path],
    *,
    account: Account,
    settings: DoctorSettings,
    filters: Filters = EVERYTHING,
    on_finding: OnFinding,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
    sleep: Sleep = anyio.sleep,
) -> None:
    """Run all checks. `wall_clock` returns seconds since 1970."""

    async def wait(seconds: float) -> None:
        await sleep(min(seconds, LONGEST_WAIT_S))

    recovery = Recovery(
        POLICY, emit=discard, probe=anyio.lowlevel.checkpoint, sleep=wait, clock=clock
    )
    archive = bool(roots) or filters.listing is not None
    async with open_survey(
        account.url, credentials=credentials_of(account), transport=transport_of(account)
    ) as survey:
        checks = GalleryChecks(survey, recovery=recovery, clock=clock, wall_clock=wall_clock)
        known = await _check_gallery(
            checks,
            album=settings.album,
            by_key=bool(account.api_key),
            fill=settings.fill_md5,
            archive=archive,
            ledger=settings.ledger,
            on_finding=on_finding,
        )
    if archive:
        question = partial(_check_archive, roots, filters, settings, known, on_finding)
        await _check(Check.ARCHIVE, question, on_finding)


@dataclass(slots=True)
class Known:
    """Findings about the gallery that the estimate of the archive depends on."""

    url: str = ""
    endings: Sequence[str] | None = None
    ids_left: int | None = None
    chunk: findings.ChunkFound | None = None


async def _check_gallery(
    checks: "GalleryChecks",
    *,
    album: int | None,
    by_key: bool,
    fill: bool,
    archive: bool,
    ledger: Path | None,
    on_finding: OnFinding,
) -> Known:
    """Check the gallery, until a check fails that the rest depends on."""
    known = Known()
    address = await _check(Check.ADDRESS, checks.address, on_finding)
    if address is None:
        return known
    known.url = address.url
    await _check(Check.TLS, checks.tls, on_finding)
    await _check(Check.VERSION, checks.version, on_finding)
    await _check(Check.LATENCY, checks.latency, on_finding)
    if await _check(Check.ACCOUNT, lambda: checks.account(api_key=by_key), on_finding) is None:
        return known
    if await _check(Check.METHODS, checks.methods, on_finding) is None:
        return known
    if community := checks.members:
        await _check(Check.COMMUNITY, lambda: checks.community(community), on_finding)
    types = await _check(Check.TYPES, checks.types, on_finding)
    known.endings = types.endings if types else None

    def progress(check: Check) -> Callable[[int], None]:
        return lambda at: on_finding(CheckProgress(check=check, at=at))

    trying = progress(Check.CHUNK)
    known.chunk = await _check(Check.CHUNK, lambda: checks.chunk(trying=trying), on_finding)
    await _check(Check.DUPLICATES, checks.duplicates, on_finding)
    left = progress(Check.MD5S)
    await _check(Check.MD5S, lambda: checks.md5s(fill=fill, progress=left), on_finding)
    if await _check(Check.ALBUM, lambda: checks.album(album), on_finding):
        await _check(Check.ORDER, lambda: checks.order(album), on_finding)
    await _check(Check.WORKERS, checks.workers, on_finding)
    await _check(Check.IPTC, lambda: _known_of_iptc(ledger, known.url), on_finding)
    if archive:
        known.ids_left = await checks.ids_left()
    return known


async def _check(
    check: Check, question: Callable[[], Awaitable[F]], on_finding: OnFinding
) -> F | None:
    """Pass the finding of a check to `on_finding`, and return it; None if the check failed."""
    on_finding(CheckProgress(check=check))
    try:
        finding = await question()
    except BulkupError as error:
        check = Check.TLS if isinstance(error, TLSError) else check
        hint = error.hint or "Run the doctor again; if the problem persists, ask the host."
        on_finding(findings.Failed(check=check, reason=error.message, hint=hint))
        return None
    on_finding(finding)
    return finding


class GalleryChecks:
    """The checks of one gallery: `address` first, then `account`, then `methods`, then the rest.

    Each raises `BulkupError` where it fails.
    """

    _status: Status  # the answer to the log-in, from `account` on
    _offer: Offer  # what the gallery offers, from `methods` on

    def __init__(
        self,
        survey: Survey,
        *,
        recovery: Recovery,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._survey = survey
        self._retrying = recovery.run
        self._clock = clock
        self._wall_clock = wall_clock
        self._version = ""

    async def address(self) -> findings.AddressFound:
        """Find the gallery."""
        given = clean_url(self._survey.url)
        try:
            url = await self._retrying(self._survey.find)
            return findings.AddressFound(url=url, given=given, proxy=self._survey.proxy)
        except ProxyUnreachable as error:
            raise ServerUnavailable(error.failure) from None
        except Transient as error:
            more = scheme_hint(self._survey.url)
            raise RunError(run_failures.NO_ANSWER(reason=error.message, more=more)) from None

    async def tls(self) -> findings.TlsFound:
        """Check the encryption; `address` has shown that the certificate is trusted."""
        tls = self._survey.encryption()
        if tls is None:
            return findings.TlsFound(local=is_local(self._survey.url))
        left_s = None if tls.until is None else tls.until - self._wall_clock()
        return findings.TlsFound(
            version=tls.version,
            days=None if left_s is None else int(left_s // DAY_S),
            trusted=tls.trusted,
        )

    async def version(self) -> findings.VersionFound:
        """Ask for the version of Piwigo."""
        self._version = await self._retrying(self._survey.version)
        return findings.VersionFound(version=self._version)

    async def latency(self) -> findings.LatencyFound:
        """Measure some requests, one after the other."""
        times = []
        for _ in range(REQUESTS):
            began = self._clock()
            await self._retrying(self._survey.version)
            times.append(self._clock() - began)
        return findings.LatencyFound(
            median_s=statistics.median(times), worst_s=max(times), requests=REQUESTS
        )

    async def account(self, *, api_key: bool) -> findings.AccountFound:
        """Log in, which fails for a user who is not an administrator."""
        status = self._status = await self._retrying(self._survey.log_in)
        self._version = self._version or status.version
        rank = status.rank
        if rank == "admin":  # the Community plugin pretends that
            rank = await self._retrying(self._survey.real_status) or rank
        return findings.AccountFound(user=status.user, status=rank, api_key=api_key)

    async def methods(self) -> findings.MethodsFound:
        """Ask for the upload methods."""
        offer = self._offer = await self._retrying(lambda: self._survey.offer(self._status))
        offered = offered_methods(offer)
        if not offered:
            raise RunError(run_failures.NO_METHOD())
        missing = tuple(name for name in USED if name not in offer.methods)
        return findings.MethodsFound(offered=offered, auto=offered[0], missing=missing)

    @property
    def members(self) -> Community | None:
        """What the Community plugin permits, None for an administrator."""
        return self._survey.community

    async def community(self, community: Community) -> findings.CommunityFound:
        """Ask what the plugin permits, and what is left of the account's quotas."""
        albums = await self._retrying(community.albums)
        permitted = await self._retrying(community.permitted)
        quota = await self._retrying(community.quota)
        names = {row.album_id: row.name for row in albums if row.album_id in permitted}
        return findings.CommunityFound(
            albums=len(names),
            first=dict(islice(names.items(), ALBUMS_SHOWN)),
            photos_left=quota.photos if quota else None,
            bytes_left=quota.size if quota else None,
            refusal=quota.refusal if quota else "",
            quota_known=quota is not None,
        )

    async def types(self) -> findings.TypesFound:
        """Return the accepted file types."""
        endings = self._offer.endings
        return findings.TypesFound(endings=None if endings is None else tuple(sorted(endings)))

    async def chunk(self, *, trying: Callable[[int], None]) -> findings.ChunkFound:
        """Send files of doubling size until one is refused or slow, as an upload does.

        If the first is refused, send smaller ones. `trying` gets each size before it is tried.
        """
        named = self._status.chunk_size
        if not self._survey.can_send_file(self._offer):
            return findings.ChunkFound(named=named, passed=None, refused=None, tried=False)
        size = first = named or FIRST
        found = findings.ChunkFound(named=named, passed=None, refused=None)
        while size <= LARGEST and not (found.refused or found.slow):
            trying(size)
            found = await self._try(size, found)
            size *= 2
        size = first // 2
        while found.passed is None and size >= LEAST:
            trying(size)
            found = await self._try(size, found)
            size //= 2
        return found

    async def _try(self, size: int, found: findings.ChunkFound) -> findings.ChunkFound:
        began = self._clock()
        try:
            await self._retrying(lambda: self._survey.send_file(size))
        except (NotOffered, PhotoError, Transient) as error:
            return replace(found, refused=size, reason=error.message)
        seconds = self._clock() - began
        return replace(
            found, passed=size, slow=seconds > LONG_S, rate=size / seconds if seconds else None
        )

    async def duplicates(self) -> findings.DuplicatesFound:
        """Look up an MD5 that no photo has; infer the rest from the version."""
        major = findings.VersionFound(version=self._version).major
        return findings.DuplicatesFound(
            by_md5=await self._retrying(lambda: self._survey.finds_by_md5(self._offer)),
            detection=False if major is not None and major < DUPLICATES_SINCE else None,
        )

    async def md5s(self, *, fill: bool, progress: Callable[[int], None]) -> findings.Md5sFound:
        """Ask a sample of the photos for their MD5, and the gallery whether all others have one.

        With `fill`, it first computes those missing; `progress` gets the number of photos left.
        """
        offer, survey, fillable = self._offer, self._survey, self._offer.md5s_reliable
        if fill and not fillable:
            raise RunError(run_failures.WOULD_MIX_MD5S(version=offer.version or "of unknown age"))
        filled, unread = await self._fill(progress) if fill else (None, 0)
        catalogue, sample, without = survey.catalogue(offer), 0, 0
        with suppress(NotOffered, PhotoError):
            for photo_id in await self._retrying(lambda: survey.sample(offer, SAMPLE)):
                identity = await self._retrying(partial(catalogue.identity, photo_id))
                sample, without = sample + 1, without + (not identity.md5)
        complete = False if without or unread else None
        if complete is None and fillable:
            with suppress(BulkupError):
                complete = not (await survey.fill_md5s(offer, 0))[1]
        return findings.Md5sFound(
            sampled=sample,
            without=without,
            complete=complete,
            fillable=fillable,
            filled=filled,
            unread=unread,
        )

    async def _fill(self, progress: Callable[[int], None]) -> tuple[int, int]:
        """Let the gallery compute missing MD5s; return how many it did, and for how many it can't.

        It takes the first photos without one each time, so a block of photos whose files it can't
        read has to grow, and one that takes too long is halved.
        """
        size, most, filled, left, unread = BLOCK, LARGEST_BLOCK, 0, None, 0
        while True:
            try:
                fill = partial(self._survey.fill_md5s, self._offer, size)
                added, now = await self._retrying(fill)
            except Transient:
                if size == 1:
                    raise
                size = most = size // 2
                continue
            progress(now)
            filled += added if left is None else max(0, left - now)
            if left is not None and now >= left:
                if size >= min(now, most):
                    return filled, now
                unread, size = size, min(2 * size, most)
            elif not now:
                return filled, unread
            left = now

    async def album(self, album: int | None) -> findings.AlbumFound | findings.AlbumMissing:
        """Ask for the album's name, or for some albums. Raises `RunError` if it does not exist."""
        catalogue = self._survey.catalogue(self._offer)
        if album is not None:
            name = await self._retrying(lambda: catalogue.album_name(album))
            return findings.AlbumFound(album=album, name=name)
        try:
            albums = await self._retrying(catalogue.albums)
        except (NotOffered, PhotoError):
            albums = []
        at_top = {album.album_id: album.name for album in albums if not album.parent}
        return findings.AlbumMissing(
            first=dict(islice(at_top.items(), ALBUMS_SHOWN)), count=len(albums)
        )

    async def order(self, album: int | None) -> findings.OrderFound:
        """Return the order in which the album shows photos, or else most albums."""
        try:
            displays = await self._retrying(self._survey.catalogue(self._offer).album_displays)
        except (NotOffered, PhotoError):
            displays = {}
        if album in displays:
            return findings.OrderFound(
                order=displays[album].order, page=displays[album].order_page
            )
        orders = Counter(display.order for display in displays.values())
        most = orders.most_common(1)[0][0] if orders else ""
        return findings.OrderFound(order=most, page=f"{self._offer.url}{CONFIGURATION}")

    async def ids_left(self) -> int | None:
        """Return how many photos can still get a number, None if unknown."""
        catalogue = self._survey.catalogue(self._offer)
        try:
            newest = await self._retrying(catalogue.newest_photo)
        except BulkupError:  # other checks report what is wrong with the gallery
            return None
        return None if newest is None else max(0, LAST_PHOTO - newest)

    async def workers(self) -> findings.WorkersFound:
        """Count the PHP workers."""
        workers = await self._retrying(lambda: self._survey.workers(MOST_WORKERS))
        return findings.WorkersFound(
            workers=workers, most=MOST_WORKERS, finishing=ceiling_for(workers)
        )


async def _known_of_iptc(file: Path | None, url: str) -> findings.IptcFound:
    """Return what the last upload has found out of the IPTC texts that the gallery reads."""
    async with _ledger_if_free(file, url) as ledger:
        facts = await ledger.facts(max_age_s=math.inf)
        ages_s = await ledger.ages_s()
    reads = {kind: bool(facts[fact]) for kind, fact in IPTC_FACTS.items() if fact in facts}
    oldest_s = max((ages_s.get(IPTC_FACTS[kind], 0.0) for kind in reads), default=None)
    return findings.IptcFound(
        reads=reads, days=None if oldest_s is None else max(0, int(oldest_s // DAY_S))
    )


async def _check_archive(
    roots: Sequence[Path],
    filters: Filters,
    settings: DoctorSettings,
    known: Known,
    on_finding: OnFinding,
) -> findings.ArchiveFound:
    """Count the files to upload."""
    chunk = known.chunk
    passed = (chunk.passed or chunk.named) if chunk else None
    chunk_size = min(passed or FIRST, MOST)
    async with _ledger_if_free(settings.ledger, known.url) as ledger:
        counts = await estimate(
            roots,
            filters,
            endings=known.endings,
            chunk_size=chunk_size,
            ledger=ledger,
            album=settings.album,
            progress=lambda files: on_finding(CheckProgress(check=Check.ARCHIVE, at=files)),
        )
    rate = chunk.rate if chunk else None
    return findings.ArchiveFound(
        photos=counts.photos,
        size=counts.size,
        present=counts.photos - counts.left,
        requests=counts.requests,
        chunk_size=chunk_size,
        seconds=counts.left_size / rate if rate else None,
        types=None if known.endings is None else dict(counts.types.most_common()),
        by_rule=counts.by_rule,
        unreadable=counts.unreadable,
        empty=counts.empty,
        examples={str(path): reason for path, reason in counts.examples.items()},
        ids_left=known.ids_left,
    )


@asynccontextmanager
async def _ledger_if_free(file: Path | None, url: str) -> AsyncIterator[Ledger]:
    """Open the ledger of the gallery; yield an empty one if it is missing or in use."""
    if file is None or not url or not await to_thread.run_sync(file.exists):
        yield NoLedger()
        return
    async with AsyncExitStack() as stack:
        try:
            ledger: Ledger = await stack.enter_async_context(SqliteLedger(file, server=url))
        except RunError:  # in use by another run: an estimate can do without
            ledger = NoLedger()
        yield ledger


@dataclass(slots=True)
class Estimate:
    """The counts so far, sizes in bytes. `left` counts files that are not done by the ledger.

    `by_rule` counts files excluded by filters, `types` those of types that the gallery refuses.
    """

    photos: int = 0
    size: int = 0
    left: int = 0
    left_size: int = 0
    requests: int = 0
    types: Counter[str] = field(default_factory=Counter)
    by_rule: int = 0
    unreadable: int = 0
    empty: int = 0
    examples: dict[Path, str] = field(default_factory=dict)

    def add(self, found: Found, *, done: bool, chunk_size: int) -> None:
        """Count a file; `done` means that it needs no upload."""
        match found:
            case Photo(size=0):
                self.empty += 1
                self._add_example(found.path, "it is empty")
            case Photo():
                self.photos += 1
                self.size += found.size
                if not done:
                    self.left += 1
                    self.left_size += found.size
                    self.requests += -(-found.size // chunk_size)
            case Unreadable():
                self.unreadable += 1
                self._add_example(found.path, found.reason_text)
            case Skipped(reason=SkipReason.TYPE):
                kind = ending_of(found.path)
                if kind not in self.types and len(self.types) >= TYPES_KEPT:
                    kind = OTHER_TYPES
                self.types[kind] += 1
            case Skipped():
                self.by_rule += 1

    def _add_example(self, path: Path, reason: str) -> None:
        if len(self.examples) < EXAMPLES:
            self.examples[path] = reason


async def estimate(
    roots: Sequence[Path],
    filters: Filters = EVERYTHING,
    *,
    endings: Collection[str] | None,
    chunk_size: int,
    ledger: Ledger,
    album: int | None,
    progress: Callable[[int], None],
) -> Estimate:
    """Walk the roots and count; `progress` gets the number of files seen, batch by batch.

    `filters` and `endings` as for `find`. A photo is done if it is in `album`, or in any if None.
    """
    counts = Estimate()
    seen = 0
    async with aclosing(find(roots, filters, endings=endings)) as walk:
        async for some in walk:
            batch = await to_thread.run_sync(_checked_for_access, some, abandon_on_cancel=True)
            photos = [found.path for found in batch if isinstance(found, Photo) and found.size]
            known = await ledger.look_up(photos)
            for found in batch:
                entry = known.get(found.path)
                done = (
                    entry is not None
                    and isinstance(found, Photo)
                    and entry.state is State.DONE
                    and entry.is_of(found)
                    and (album is None or album in entry.albums)
                )
                counts.add(found, done=done, chunk_size=chunk_size)
            seen += len(batch)
            progress(seen)
    return counts


def _checked_for_access(batch: Sequence[Found]) -> list[Found]:
    """Return the files, with `Unreadable` for those without read permission."""
    return [
        Unreadable(found.path, "Permission denied")
        if isinstance(found, Photo) and not os.access(on_disk(found.path), os.R_OK)
        else found
        for found in batch
    ]
