"""What is kept of a run while it goes on: its failures soon, its numbers, and how it ended."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from bulkup.chronicle import SAVE_S, chronicled
from bulkup.departures import FilePutAway, FileStays
from bulkup.errors import RunError
from bulkup.events import (
    AlbumChecked,
    Emit,
    Event,
    FileFound,
    FileSkipped,
    PhotoChecked,
    PhotoFailed,
    PhotoNew,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    RunFinished,
    RunStarted,
)
from bulkup.failures import Told
from bulkup.history import Ending, Trouble, Undertaking
from bulkup.kinds import SkipReason, Verdict
from tests.engine.runs import Clock

END = RunFinished(seconds=1.0)
ROOT = Path("/photos")


class Book:
    """Keeps in memory what it is given, and what each time."""

    def __init__(self, *, failures: int = 0, full: bool = False) -> None:
        self.failures = failures
        self.full = full
        self.what: Undertaking | None = None
        self.times: list[tuple[list[str], list[str]]] = []
        self.counts: Mapping[str, int] = {}
        self.ended: tuple[Ending, str, Sequence[Path]] | None = None

    async def begin_run(self, what: Undertaking) -> tuple[int, int]:
        self.what = what
        return 1, self.failures

    async def keep_run(
        self,
        run: int,
        *,
        album: int,
        counts: Mapping[str, int],
        failed: Mapping[Path, Trouble],
        mended: Collection[Path],
    ) -> None:
        assert (run, album) == (1, 9)
        await checkpoint()
        if self.full:
            raise RunError(Told("the disk is full"))
        self.counts = counts
        self.times.append((sorted(map(str, failed)), sorted(map(str, mended))))

    async def end_run(
        self, run: int, ending: Ending, *, error: str, roots: Sequence[Path]
    ) -> None:
        assert run == 1
        self.ended = ending, error, roots


def started(task: str = "upload") -> RunStarted:
    return RunStarted(
        url="https://photos.example.org/",
        version="16.4.0",
        user="admin",
        album=9,
        album_name="Trips",
        method="async",
        concurrency=8,
        chunk_size=500_000,
        task=task,  # type: ignore[arg-type]
    )


async def keep(
    book: Book,
    body: Callable[[Emit], None],
    *,
    task: str = "upload",
    interrupted: bool = False,
    clock: Clock | None = None,
) -> list[Event]:
    """Have a run kept, and return the events that were passed on."""
    passed: list[Event] = []
    async with chronicled(
        book,
        started(task),
        roots=[ROOT],
        emit=passed.append,
        interrupted=lambda: interrupted,
        clock=clock or Clock(),
    ) as emit:
        body(emit)
        await settled()
    return passed


def telling(*events: Event) -> Callable[[Emit], None]:
    def tell(emit: Emit) -> None:
        for event in events:
            emit(event)

    return tell


async def settled() -> None:
    for _ in range(20):
        await checkpoint()


def failed(name: str = "a.jpg") -> PhotoFailed:
    return PhotoFailed(path=Path(name), size=7, reason="empty", hint="look", code="empty")


def uploaded(name: str = "a.jpg") -> PhotoUploaded:
    return PhotoUploaded(
        path=Path(name), size=100, md5="0" * 32, image_id=1, attempts=1, seconds=1.0
    )


def present(name: str = "a.jpg") -> PhotoPresent:
    return PhotoPresent(path=Path(name), size=100, image_id=1, linked=True)


def checked(verdict: Verdict, name: str = "a.jpg") -> PhotoChecked:
    return PhotoChecked(
        path=Path(name), size=1, verdict=verdict, image_id=1, reason="why", hint="what"
    )


async def test_every_event_is_passed_on_and_counted() -> None:
    path = Path("a.jpg")
    events: list[Event] = [
        FileFound(path=path, size=1),
        FileFound(path=path, size=1),
        uploaded(),
        present(),
        failed(),
        FileSkipped(path=path, reason=SkipReason.JUNK),
        PhotoUnfinished(path=path, size=1),
        PhotoNew(path=path, size=1),
        FilePutAway(path=path, where=None),
        FileStays(path=path, reason="", hint=""),
        AlbumChecked(verified=1, unverified=0, relinked=0, astray=3),
        END,
    ]
    book = Book()
    passed = await keep(book, telling(*events))
    assert passed == events
    assert book.counts == {
        "found": 2,
        "uploaded": 1,
        "uploaded_bytes": 100,
        "present": 1,
        "linked": 1,
        "failed": 1,
        "skipped": 1,
        "unfinished": 1,
        "new": 1,
        "put_away": 1,
        "stays": 1,
        "astray": 3,
    }
    assert book.what == Undertaking(task="upload", album=9, album_name="Trips")
    assert book.ended == (Ending.DONE, "", [ROOT])


async def test_a_failure_is_kept_before_the_run_ends() -> None:
    book = Book()
    kept = []

    async with chronicled(
        book,
        started(),
        roots=[],
        emit=lambda _: None,
        interrupted=lambda: False,
        clock=Clock(),
    ) as emit:
        emit(failed())
        await settled()
        kept += book.times
    assert kept == [(["a.jpg"], [])]


async def test_what_comes_together_is_kept_together() -> None:
    book = Book()
    await keep(book, telling(*(failed(f"{n:03}.jpg") for n in range(500))))
    assert len(book.times[0][0]) == 500
    assert len(book.times) == 2  # and the end


async def test_where_nothing_is_open_successes_are_not_kept() -> None:
    book = Book()
    await keep(book, telling(uploaded(), present()))
    assert book.times == [([], [])]


async def test_successes_mend_what_is_open() -> None:
    book = Book(failures=1)
    await keep(book, telling(uploaded("a.jpg"), present("b.jpg")))
    assert book.times[0] == ([], ["a.jpg", "b.jpg"])


async def test_of_what_fails_and_succeeds_the_last_word_counts() -> None:
    book = Book()
    events: list[Event] = [failed("a.jpg"), uploaded("a.jpg"), failed("b.jpg"), present("b.jpg")]
    await keep(book, telling(*events, failed("b.jpg")))
    assert book.times[0] == (["b.jpg"], ["a.jpg"])


async def test_a_type_that_nobody_brings_any_more_is_mended_and_other_skipping_is_not() -> None:
    book = Book(failures=2)

    def skip(emit: Emit) -> None:
        emit(FileSkipped(path=Path("a.nef"), reason=SkipReason.TYPE))
        emit(FileSkipped(path=Path("b.jpg"), reason=SkipReason.EXCLUDED))

    await keep(book, skip)
    assert book.times[0] == ([], ["a.nef"])


async def test_a_dry_run_leaves_failures_as_they_are() -> None:
    book = Book(failures=1)
    await keep(book, telling(failed(), present("b.jpg")), task="dry-run")
    assert book.times == [([], [])]
    assert book.counts["failed"] == 1


async def test_what_verify_finds_amiss_is_open_and_what_it_finds_well_is_mended() -> None:
    book = Book(failures=1)
    amiss = [Verdict.MISSING, Verdict.NOT_IN_ALBUM, Verdict.DIFFERING, Verdict.FAILED]

    def check(emit: Emit) -> None:
        for verdict in Verdict:
            emit(checked(verdict, verdict.value))

    await keep(book, check, task="verify")
    assert book.times[0] == (sorted(verdict.value for verdict in amiss), ["present"])
    assert book.counts["missing"] == book.counts["unknown"] == 1


async def test_numbers_are_kept_now_and_then_while_something_happens() -> None:
    book, clock = Book(), Clock()

    async with chronicled(
        book,
        started(),
        roots=[],
        emit=lambda _: None,
        interrupted=lambda: False,
        clock=clock,
    ) as emit:
        emit(uploaded())
        await settled()
        assert book.times == []
        clock.now += SAVE_S
        emit(uploaded())
        await settled()
        assert len(book.times) == 1
        assert book.counts["uploaded"] == 2
        emit(uploaded())
        await settled()
        assert len(book.times) == 1


# how it ended


async def test_a_run_that_was_to_stop_is_kept_as_interrupted() -> None:
    book = Book()
    await keep(book, telling(END), interrupted=True)
    assert book.ended == (Ending.INTERRUPTED, "", ())


async def test_a_run_that_is_cancelled_is_kept_with_its_last_failures() -> None:
    book = Book()

    def cancel(emit: Emit) -> None:
        emit(failed())
        scope.cancel()

    with anyio.CancelScope() as scope:
        await keep(book, cancel)
    assert book.times[-1] == (["a.jpg"], [])
    assert book.ended == (Ending.INTERRUPTED, "", ())


async def test_what_ended_a_run_is_kept_and_goes_on() -> None:
    book = Book()

    def fail(_: Emit) -> None:
        raise RunError(Told("the server is gone"))

    with pytest.raises(RunError, match="the server is gone"):
        await keep(book, fail)
    assert book.ended == (Ending.FAILED, "the server is gone", ())


async def test_a_bug_is_kept_by_its_kind() -> None:
    book = Book()

    def fail(_: Emit) -> None:
        raise ZeroDivisionError("secret")

    with pytest.raises(ExceptionGroup):
        await keep(book, fail)
    assert book.ended == (Ending.FAILED, "ExceptionGroup", ())


async def test_a_ledger_that_fails_ends_the_run() -> None:
    book = Book(full=True)
    with pytest.raises(RunError, match="the disk is full"):
        await keep(book, telling(failed()))


async def test_a_ledger_that_fails_at_the_very_end_is_told() -> None:
    book = Book(full=True)
    with pytest.raises(RunError, match="the disk is full"):
        await keep(book, telling(END))
