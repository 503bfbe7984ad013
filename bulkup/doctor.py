"""A check-up before a migration: which checks there are, in which order, and what depends on what.

Knows no words and no screens. Nothing is changed on the server.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio.lowlevel
from anyio import to_thread

from bulkup.checks import FIRST, Checks
from bulkup.choice import EVERYTHING, Choice
from bulkup.chunksize import MOST
from bulkup.errors import BulkupError, RunError, Untrusted
from bulkup.estimate import estimate
from bulkup.findings import ArchiveFound, Check, ChunkFound, Failed, Finding, Looking, Tell
from bulkup.ledger import Ledger
from bulkup.memory import Memory, NoLedger
from bulkup.piwigo.survey import surveyed
from bulkup.policy import Policy
from bulkup.recovery import Recovery, Sleep
from bulkup.settings import Account, Examining
from bulkup.visit import credentials_of, trust_of

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
    examining: Examining,
    choice: Choice = EVERYTHING,
    tell: Tell,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    sleep: Sleep,
) -> None:
    """Tell one finding after the other; `wall_clock` returns seconds since 1970."""

    async def doze(seconds: float) -> None:
        await sleep(min(seconds, LONGEST_WAIT_S))

    recovery = Recovery(
        PATIENCE, emit=lambda _: None, probe=anyio.lowlevel.checkpoint, sleep=doze, clock=clock
    )
    async with surveyed(
        account.url, credentials=credentials_of(account), trust=trust_of(account)
    ) as survey:
        checks = Checks(survey, recovery=recovery, clock=clock, wall_clock=wall_clock)
        known = await _look_at_gallery(
            checks, album=examining.album, by_key=bool(account.api_key), tell=tell
        )
    if roots or choice.listing is not None:
        look = partial(_look_at_archive, roots, choice, examining, known, tell)
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
    roots: Sequence[Path], choice: Choice, examining: Examining, known: Known, tell: Tell
) -> ArchiveFound:
    """Count what there is to upload."""
    chunk = known.chunk
    passed = (chunk.passed or chunk.named) if chunk else None
    chunk_size = min(passed or FIRST, MOST)
    async with _remembered(examining.ledger, known.url) as memory:
        counts = await estimate(
            roots,
            choice,
            endings=known.endings,
            chunk_size=chunk_size,
            memory=memory,
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
async def _remembered(file: Path | None, url: str) -> AsyncIterator[Memory]:
    """Lend what the ledger holds of the gallery; nothing where there is none to be had."""
    if file is None or not url or not await to_thread.run_sync(file.exists):
        yield NoLedger()
        return
    ledger = Ledger(file, server=url)
    async with AsyncExitStack() as stack:
        try:
            memory: Memory = await stack.enter_async_context(ledger)
        except RunError:  # another run has it: what this one counts is an estimate
            memory = NoLedger()
        yield memory


async def _check(check: Check, question: Callable[[], Awaitable[F]], tell: Tell) -> F | None:
    """Tell and return what the question finds; None where it comes to nothing, told as well."""
    tell(Looking(check=check))
    try:
        finding = await question()
    except BulkupError as error:
        check = Check.TLS if isinstance(error, Untrusted) else check
        hint = error.hint or "Run the check-up again; if it stays so, ask the host."
        tell(Failed(check=check, reason=error.message, hint=hint))
        return None
    tell(finding)
    return finding
