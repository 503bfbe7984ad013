"""What is kept of a run while it goes on: its failures soon, its numbers, and how it ended."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkup import events
from bulkup.errors import FailureMessage, RunError
from bulkup.events import (
    AlbumChecked,
    Emit,
    Event,
    FileMoved,
    FileSkipped,
    RunStarted,
    SkipReason,
    discard,
)
from bulkup.store.ledger import SqliteLedger
from bulkup.store.recorder import SAVE_S, record_run
from bulkup.store.run_history import Ending, Failure, HistoryWriter, RunInfo
from tests.support import sample_run
from tests.support.runs import Clock
from tests.support.sample_run import CHECK, DRY_RUN, RUN, checked, failure, new, present, uploaded

END = events.RunFinished(seconds=1.0)
ROOT = Path("/photos")
T = TypeVar("T")
A, B = Path("a.jpg"), Path("b.jpg")


class RunStore(HistoryWriter):
    """The history of a run in memory: each update, and the end."""

    def __init__(self, *, failures: int = 0, full: bool = False) -> None:
        self.failures = failures
        self.full = full
        self.info: RunInfo | None = None
        self.times: list[tuple[list[str], list[str]]] = []
        self.counts: Mapping[str, int] = {}
        self.ended: tuple[Ending, str, Sequence[Path]] | None = None

    def begin(self, info: RunInfo) -> tuple[int, int]:
        self.info = info
        return 1, self.failures

    def update(
        self,
        run: int,
        *,
        album: int,
        counts: Mapping[str, int],
        failed: Mapping[Path, Failure],
        resolved: Collection[Path],
    ) -> None:
        assert (run, album) == (1, 9)
        if self.full:
            raise RunError(FailureMessage("the disk is full"))
        self.counts = counts
        self.times.append((sorted(map(str, failed)), sorted(map(str, resolved))))

    def end(self, run: int, ending: Ending, *, error: str, roots: Sequence[Path]) -> None:
        assert run == 1
        self.ended = ending, error, roots

    async def write_history(self, write: Callable[[HistoryWriter], T]) -> T:
        """Write, as a ledger does."""
        await checkpoint()
        return write(self)


def recording(
    book: RunStore,
    *,
    run: RunStarted = RUN,
    emit: Emit = discard,
    interrupted: bool = False,
    clock: Clock | None = None,
) -> AbstractAsyncContextManager[Emit]:
    """Have a run kept; yield what it emits to."""
    ledger = SqliteLedger(Path("unused.sqlite"), server=run.url)
    ledger.write_history = book.write_history  # type: ignore[method-assign]
    clock, interrupt = clock or Clock(), lambda: interrupted
    return record_run(ledger, run, roots=[ROOT], emit=emit, interrupted=interrupt, clock=clock)


async def keep(*history: Event, failures: int = 0, full: bool = False, **how: Any) -> RunStore:  # noqa: ANN401
    """Have a run of these events kept, each of which is passed on, and return what is kept."""
    book, passed = RunStore(failures=failures, full=full), list[Event]()
    async with recording(book, emit=passed.append, **how) as emit:
        for event in history:
            emit(event)
        await settled()
    assert passed == [*history]
    return book


async def settled() -> None:
    for _ in range(20):
        await checkpoint()


async def test_every_event_is_passed_on_and_counted() -> None:
    book = await keep(
        *sample_run.found(A, A),
        uploaded(A, 100),
        present(A, linked=True),
        failure(A),
        sample_run.skipped(A),
        sample_run.unfinished(A),
        new(A),
        FileMoved(path=A, where=None),
        events.FileNotMoved(path=A, reason="", hint=""),
        AlbumChecked(verified=1, unverified=0, relinked=0, not_in_album=3),
        END,
    )
    once = ("uploaded", "present", "linked", "failed", "skipped", "unfinished", "new")
    many = {"found": 2, "uploaded_bytes": 100, "not-in-album": 3}
    assert book.counts == dict.fromkeys((*once, "moved", "not_moved"), 1) | many
    assert book.info == RunInfo(task="upload", album=9, album_name="Holidays")
    assert book.ended == (Ending.DONE, "", [ROOT])


async def test_failures_are_kept_before_the_run_ends_and_those_that_come_together_together() -> (
    None
):
    book, names = RunStore(), [f"{n:03}.jpg" for n in range(500)]
    async with recording(book) as emit:
        for name in names:
            emit(failure(Path(name)))
        await settled()
        assert book.times == [(names, [])]
    assert len(book.times) == 2  # and the end


RAW = FileSkipped(path=Path("a.nef"), reason=SkipReason.TYPE)
OUT = FileSkipped(path=B, reason=SkipReason.EXCLUDED)
CHECKED = [checked(Path(verdict), verdict) for verdict in events.Verdict]
BAD_AGAIN = [failure(B), present(B), failure(B)]
AMISS = ["differing", "failed", "missing", "not-in-album", "unplaced"]


@pytest.mark.parametrize(
    ("run", "open_now", "history", "soon", "counts"),
    [
        (RUN, 0, [uploaded(A), present(A)], [], {}),
        (RUN, 1, [uploaded(A), present(B)], [([], ["a.jpg", "b.jpg"])], {"uploaded": 1}),
        # the last word counts
        (RUN, 0, [failure(A), uploaded(A), *BAD_AGAIN], [(["b.jpg"], ["a.jpg"])], {}),
        (RUN, 2, [RAW, OUT], [([], ["a.nef"])], {}),  # only a type left out mends
        (DRY_RUN, 1, [failure(A), present(B)], [], {"failed": 1}),  # leaves them as they are
        (CHECK, 1, CHECKED, [(AMISS, ["present"])], {"missing": 1, "unknown": 1}),
    ],
)
async def test_failures_are_opened_and_resolved_before_the_last_update(
    run: RunStarted,
    open_now: int,
    history: list[Event],
    soon: list[tuple[list[str], list[str]]],
    counts: dict[str, int],
) -> None:
    book = await keep(*history, failures=open_now, run=run)
    assert book.times == [*soon, ([], [])]
    assert counts.items() <= book.counts.items()


async def test_numbers_are_kept_now_and_then_while_something_happens() -> None:
    book, clock = RunStore(), Clock()
    async with recording(book, clock=clock) as emit:
        for later_s, times in ((0.0, 0), (SAVE_S, 1), (0.0, 1)):
            clock.now += later_s
            emit(uploaded(A))
            await settled()
            assert len(book.times) == times
        assert book.counts["uploaded"] == 2


# how it ended


async def test_a_run_that_is_stopped_or_cancelled_is_kept_with_its_last_failures() -> None:
    assert (await keep(END, interrupted=True)).ended == (Ending.INTERRUPTED, "", ())
    book = RunStore()
    with anyio.CancelScope() as scope:
        async with recording(book) as emit:
            emit(failure(A))
            scope.cancel()
            await settled()
    assert book.times[-1] == (["a.jpg"], [])
    assert book.ended == (Ending.INTERRUPTED, "", ())


@pytest.mark.parametrize(
    ("error", "raised", "kept"),
    [
        (RunError(FailureMessage("the server is gone")), RunError, "the server is gone"),
        (ZeroDivisionError("secret"), ExceptionGroup, "ExceptionGroup"),
    ],
)
async def test_what_ended_a_run_is_kept_and_goes_on_and_a_bug_by_its_kind(
    error: Exception, raised: type[Exception], kept: str
) -> None:
    book = RunStore()
    with pytest.raises(raised):
        async with recording(book):
            raise error
    assert book.ended == (Ending.FAILED, kept, ())


@pytest.mark.parametrize("event", [failure(A), END], ids=["on the way", "at the very end"])
async def test_a_ledger_that_fails_ends_the_run(event: Event) -> None:
    with pytest.raises(RunError, match="the disk is full"):
        await keep(event, full=True)
