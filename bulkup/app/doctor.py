"""The check-up before a migration: its checks of the gallery, and an estimate of the archive.

The checks only read; of what they send to find out size limits nothing stays on the server.
"""

import os
import statistics
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import anyio.lowlevel
from anyio import to_thread

from bulkup.app.gallery import credentials_of, trust_of
from bulkup.app.settings import Account, DoctorSettings
from bulkup.engine.chunksize import LEAST, MOST
from bulkup.engine.pacing import ceiling_for
from bulkup.engine.ports import Ledger, NoLedger, State
from bulkup.engine.retry import Policy, Recovery, Sleep
from bulkup.errors import BulkupError, NotOffered, PhotoError, RunError, TLSError, Transient
from bulkup.errors import run as run_failures
from bulkup.events import SkipReason
from bulkup.output.doctor import (
    AccountFound,
    AddressFound,
    AlbumFound,
    AlbumMissing,
    ArchiveFound,
    Check,
    ChunkFound,
    DuplicatesFound,
    Failed,
    Finding,
    LatencyFound,
    Looking,
    MethodsFound,
    Tell,
    TlsFound,
    TypesFound,
    VersionFound,
    WorkersFound,
)
from bulkup.piwigo.client import Offer
from bulkup.piwigo.connect import clean_url, is_local, scheme_hint
from bulkup.piwigo.inspect import Survey, surveyed, ways
from bulkup.piwigo.protocol import Status
from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, Unreadable, find
from bulkup.store.ledger import SqliteLedger

TYPES_KEPT: Final = 200
OTHER_TYPES: Final = "…"
EXAMPLES: Final = 5


@dataclass(slots=True)
class Estimate:
    """The counts so far; sizes in bytes. `left` is what the ledger does not hold as brought."""

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


async def estimate(
    roots: Sequence[Path],
    filters: Filters = EVERYTHING,
    *,
    endings: Collection[str] | None,
    chunk_size: int,
    ledger: Ledger,
    album: int | None,
    look: Callable[[int], None],
) -> Estimate:
    """Walk the roots and count; `look` hears now and then how many files were seen.

    `filters` and `endings` as for `find`; `album` None: what is brought to any album is brought.
    """
    counts = Estimate()
    seen = 0
    async with aclosing(find(roots, filters, endings=endings)) as walk:
        async for some in walk:
            batch = await to_thread.run_sync(_tried, some, abandon_on_cancel=True)
            photos = [found for found in batch if isinstance(found, Photo) and found.size]
            known = await ledger.look_up([photo.path for photo in photos])
            for found in batch:
                if not isinstance(found, Photo):
                    _leave_out(found, counts)
                elif not found.size:
                    counts.empty += 1
                    _example(counts, found.path, "it is empty")
                else:
                    entry = known.get(found.path)
                    brought = (
                        entry is not None
                        and entry.state is State.DONE
                        and entry.is_of(found)
                        and (album is None or album in entry.albums)
                    )
                    _take(found, counts, brought=brought, chunk_size=chunk_size)
            seen += len(batch)
            look(seen)
    return counts


def _tried(batch: Sequence[Found]) -> list[Found]:
    """Return what was found, with files that nobody may read as such."""
    return [
        Unreadable(found.path, "Permission denied")
        if isinstance(found, Photo) and not os.access(found.path, os.R_OK)
        else found
        for found in batch
    ]


def _take(photo: Photo, counts: Estimate, *, brought: bool, chunk_size: int) -> None:
    counts.photos += 1
    counts.size += photo.size
    if not brought:
        counts.left += 1
        counts.left_size += photo.size
        counts.requests += -(-photo.size // chunk_size)


def _leave_out(found: Skipped | Unreadable, counts: Estimate) -> None:
    if isinstance(found, Unreadable):
        counts.unreadable += 1
        _example(counts, found.path, found.reason)
    elif found.reason is not SkipReason.TYPE:
        counts.by_rule += 1
    else:
        kind = found.path.suffix[1:].lower()
        if kind not in counts.types and len(counts.types) >= TYPES_KEPT:
            kind = OTHER_TYPES
        counts.types[kind] += 1


def _example(counts: Estimate, path: Path, reason: str) -> None:
    if len(counts.examples) < EXAMPLES:
        counts.examples[path] = reason


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
        self._retrying = recovery.run
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
            return AddressFound(url=await self._retrying(self._survey.find), given=given)
        except Transient as error:
            more = scheme_hint(self._survey.url)
            raise RunError(run_failures.NO_ANSWER(reason=error.message, more=more)) from None

    async def tls(self) -> TlsFound:
        """Look at the encryption; that the certificate is trusted, `address` has shown."""
        tls = await self._retrying(self._survey.encryption)
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
        self._version = await self._retrying(self._survey.version)
        return VersionFound(version=self._version)

    async def latency(self) -> LatencyFound:
        """Ask again and again, one question after the other."""
        times = []
        for _ in range(REQUESTS):
            began = self._clock()
            await self._retrying(self._survey.version)
            times.append(self._clock() - began)
        return LatencyFound(
            median_s=statistics.median(times), worst_s=max(times), requests=REQUESTS
        )

    async def account(self, *, api_key: bool) -> AccountFound:
        """Log in; who is no administrator is refused by that."""
        status = self._status = await self._retrying(self._survey.log_in)
        self._version = self._version or status.version
        return AccountFound(user=status.user, status=status.rank, api_key=api_key)

    async def methods(self) -> MethodsFound:
        """Ask what is offered."""
        status = self.status
        offer = self._offer = await self._retrying(lambda: self._survey.offer(status))
        offered = ways(offer)
        if not offered:
            raise RunError(run_failures.NO_METHOD())
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
            await self._retrying(lambda: self._survey.send_through(size))
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
            by_md5=await self._retrying(lambda: self._survey.tells_md5s(self.offer)),
            detection=False if major is not None and major < DETECTING else None,
        )

    async def album(self, album: int | None) -> AlbumFound | AlbumMissing:
        """Ask for the album's name, or which ones there are. Raises `RunError` for none such."""
        catalogue = self._survey.catalogue(self.offer)
        if album is not None:
            name = await self._retrying(lambda: catalogue.album_name(album))
            return AlbumFound(album=album, name=name)
        try:
            albums = await self._retrying(catalogue.albums)
        except (NotOffered, PhotoError):
            albums = []
        at_top = {album.album_id: album.name for album in albums if not album.parent}
        return AlbumMissing(first=dict(islice(at_top.items(), ALBUMS_SHOWN)), count=len(albums))

    async def workers(self) -> WorkersFound:
        """Count the PHP workers."""
        workers = await self._retrying(lambda: self._survey.workers(MOST_WORKERS))
        return WorkersFound(workers=workers, most=MOST_WORKERS, finishing=ceiling_for(workers))


F = TypeVar("F", bound=Finding)

PATIENCE: Final = Policy(retries=2)
"""How often a question is asked: whoever waits for a check-up sees soon that nobody answers."""

LONGEST_WAIT_S: Final = 10.0  # whatever a server asks for


@dataclass(slots=True)
class Known:
    """What was found out for the checks that follow."""

    url: str = ""
    endings: Sequence[str] | None = None
    chunk: ChunkFound | None = None


async def examine(
    roots: Sequence[Path],
    *,
    account: Account,
    examining: DoctorSettings,
    filters: Filters = EVERYTHING,
    tell: Tell,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Tell one finding after the other; `wall_clock` returns seconds since 1970."""

    async def wait(seconds: float) -> None:
        await sleep(min(seconds, LONGEST_WAIT_S))

    recovery = Recovery(
        PATIENCE,
        emit=lambda _: None,
        probe=anyio.lowlevel.checkpoint,
        sleep=wait,
        clock=clock,
    )
    async with surveyed(
        account.url, credentials=credentials_of(account), trust=trust_of(account)
    ) as survey:
        checks = Checks(survey, recovery=recovery, clock=clock, wall_clock=wall_clock)
        known = await _look_at_gallery(
            checks, album=examining.album, by_key=bool(account.api_key), tell=tell
        )
    if roots or filters.listing is not None:
        look = partial(_look_at_archive, roots, filters, examining, known, tell)
        await _check(Check.ARCHIVE, look, tell)


async def _look_at_gallery(
    checks: Checks, *, album: int | None, by_key: bool, tell: Tell
) -> Known:
    """Make the checks on the gallery, as far as it lets us, and return what they found out."""
    known = Known()
    address = await _check(Check.ADDRESS, checks.address, tell)
    if address is None:
        return known
    known.url = address.url
    await _check(Check.TLS, checks.tls, tell)
    await _check(Check.VERSION, checks.version, tell)
    await _check(Check.LATENCY, checks.latency, tell)
    if await _check(Check.ACCOUNT, lambda: checks.account(api_key=by_key), tell) is None:
        return known
    if await _check(Check.METHODS, checks.methods, tell) is None:
        return known
    types = await _check(Check.TYPES, checks.types, tell)
    known.endings = types.endings if types else None

    def trying(size: int) -> None:
        tell(Looking(check=Check.CHUNK, at=size))

    known.chunk = await _check(Check.CHUNK, lambda: checks.chunk(look=trying), tell)
    await _check(Check.DUPLICATES, checks.duplicates, tell)
    await _check(Check.ALBUM, lambda: checks.album(album), tell)
    await _check(Check.WORKERS, checks.workers, tell)
    return known


async def _look_at_archive(
    roots: Sequence[Path], filters: Filters, examining: DoctorSettings, known: Known, tell: Tell
) -> ArchiveFound:
    """Count what there is to upload."""
    chunk = known.chunk
    passed = (chunk.passed or chunk.named) if chunk else None
    chunk_size = min(passed or FIRST, MOST)
    async with _remembered(examining.ledger, known.url) as ledger:
        counts = await estimate(
            roots,
            filters,
            endings=known.endings,
            chunk_size=chunk_size,
            ledger=ledger,
            album=examining.album,
            look=lambda files: tell(Looking(check=Check.ARCHIVE, at=files)),
        )
    rate = chunk.rate if chunk else None
    return ArchiveFound(
        photos=counts.photos,
        size=counts.size,
        brought=counts.photos - counts.left,
        requests=counts.requests,
        chunk_size=chunk_size,
        seconds=counts.left_size / rate if rate else None,
        types=None if known.endings is None else dict(counts.types.most_common()),
        by_rule=counts.by_rule,
        unreadable=counts.unreadable,
        empty=counts.empty,
        examples={str(path): reason for path, reason in counts.examples.items()},
    )


@asynccontextmanager
async def _remembered(file: Path | None, url: str) -> AsyncIterator[Ledger]:
    """Lend what the ledger holds of the gallery; nothing where there is none to be had."""
    if file is None or not url or not await to_thread.run_sync(file.exists):
        yield NoLedger()
        return
    async with AsyncExitStack() as stack:
        try:
            ledger: Ledger = await stack.enter_async_context(SqliteLedger(file, server=url))
        except RunError:  # another run has it: what this one counts is an estimate
            ledger = NoLedger()
        yield ledger


async def _check(check: Check, question: Callable[[], Awaitable[F]], tell: Tell) -> F | None:
    """Tell and return what the question finds; None where it comes to nothing, told as well."""
    tell(Looking(check=check))
    try:
        finding = await question()
    except BulkupError as error:
        check = Check.TLS if isinstance(error, TLSError) else check
        hint = error.hint or "Run the check-up again; if it stays so, ask the host."
        tell(Failed(check=check, reason=error.message, hint=hint))
        return None
    tell(finding)
    return finding
