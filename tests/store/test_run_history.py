"""Runs and open failures in the ledger: what is kept, when it goes, and who may read it when."""

import os
import sqlite3
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from anyio import from_thread, to_thread

from bulkup.engine.ledger_port import Fact, State
from bulkup.errors import RunError, UsageError
from bulkup.store import run_history
from bulkup.store.database import SCHEMA
from bulkup.store.ledger import SqliteLedger
from bulkup.store.run_history import PAGE, Ending, Failure, HistoryFilter, OpenFailure, RunInfo
from tests.support.ledgers import entry

SERVER = "https://photos.example.org/"
OTHER = "http://other.example.org/piwigo/"
NOW = 1_700_000_000.0
UPLOAD = RunInfo(task="upload", album=9, album_name="Trips")
VERIFY = RunInfo(task="verify", album=9, album_name="Trips")
OTHER_ALBUM = RunInfo(task="upload", album=10, album_name="Cats")
EVERYTHING = HistoryFilter()
T = TypeVar("T")
TROUBLE = Failure(code="empty", size=7, reason="the file is empty", hint="Remove the file.")


class RunStore:
    """A ledger in a folder of photos, the time of its runs, and what a reader finds in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ledger.sqlite"
        self.now = NOW

    def open(self, server: str = SERVER) -> SqliteLedger:
        return SqliteLedger(self.file, server=server, now=lambda: self.now)

    def put(self, name: str | bytes) -> Path:
        path = self.folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        return path

    def sql(self, *statements: str) -> list[tuple[object, ...]]:
        """Run statements, and return what the last one tells."""
        with closing(sqlite3.connect(self.file, isolation_level=None)) as database:
            return [database.execute(statement).fetchall() for statement in statements][-1]

    async def look(self, question: Callable[[run_history.HistoryReader], T]) -> T:
        """Ask the ledger, in a thread: reading it may block."""

        def ask() -> T:
            with run_history.open_history(self.file) as lookback:
                return question(lookback)

        return await to_thread.run_sync(ask)

    async def keep(
        self,
        *failed: Path,
        resolved: Sequence[Path] = (),
        info: RunInfo = UPLOAD,
        server: str = SERVER,
        roots: Sequence[Path] = (),
        ending: Ending = Ending.DONE,
        found: Failure = TROUBLE,
        **counts: int,
    ) -> None:
        """Keep a whole run, in which these files had this failure."""
        async with self.open(server) as opened:
            met = dict.fromkeys(failed, found)

            def write(history: run_history.HistoryWriter) -> None:
                number, _ = history.begin(info)
                history.update(
                    number, album=info.album, counts=counts, failed=met, resolved=resolved
                )
                history.end(number, ending, error=info.album_name, roots=roots)

            await opened.write_history(write)

    async def failures(self, wanted: HistoryFilter = EVERYTHING) -> list[OpenFailure]:
        return await self.look(lambda lookback: list(lookback.failures(wanted)))

    async def open_paths(self) -> list[tuple[str, int, Path]]:
        return [(failure.url, failure.album, failure.path) for failure in await self.failures()]

    async def gallery(self, wanted: HistoryFilter = EVERYTHING) -> run_history.GalleryHistory:
        (gallery,) = await self.look(lambda lookback: lookback.galleries(wanted))
        return gallery

    async def albums(
        self, wanted: HistoryFilter = EVERYTHING
    ) -> dict[int, run_history.AlbumHistory]:
        return {album.album: album for album in (await self.gallery(wanted)).albums}

    async def runs(self, album: int = 9) -> list[run_history.PastRun]:
        return list((await self.albums())[album].runs)


@pytest.fixture
def book(tmp_path: Path) -> RunStore:
    """Return a ledger in a folder whose name is hard to write in the address of a database."""
    return RunStore(tmp_path / os.fsdecode(b"a?b#c%d \xff"))


# open failures


async def test_a_failure_stays_open_with_its_last_reason_and_what_to_do(book: RunStore) -> None:
    path = book.put(b"new\nline \xff.jpg")
    await book.keep(path, found=replace(TROUBLE, code="wrong-type"))
    await book.keep(path)
    (failure,) = await book.failures()
    assert failure == OpenFailure(url=SERVER, album=9, path=path, cause=TROUBLE, at=NOW)
    half = replace(TROUBLE, reason="no \ud800", hint="\udcff")  # characters
    await book.keep(path, info=replace(UPLOAD, album_name="\udcff"), found=half)
    assert (await book.failures())[0].cause.reason == "no ?"


async def test_what_succeeds_is_open_no_more_in_its_album_alone(book: RunStore) -> None:
    path, anywhere = book.put("a.jpg"), replace(VERIFY, album=0)
    for what in (UPLOAD, OTHER_ALBUM, anywhere):
        await book.keep(path, info=what)
    await book.keep(path, server=OTHER)
    await book.keep(resolved=[path])
    assert await book.open_paths() == [(OTHER, 9, path), (SERVER, 10, path)]
    await book.keep(path)
    await book.keep(resolved=[path], info=anywhere)
    await book.keep(resolved=[path], server=OTHER)
    assert await book.open_paths() == [(SERVER, 9, path), (SERVER, 10, path)]


async def test_a_run_clears_what_it_did_not_meet_if_the_file_is_gone(book: RunStore) -> None:
    names = ("photos/a.jpg", b"photos/b\xff.jpg", "photos.old/d.jpg", "photos/c.jpg")
    first, second, elsewhere, third = [book.put(name) for name in names]
    more = [
        book.folder / "photos" / f"{n}.jpg" for n in range(PAGE + 9)
    ]  # not looked at in one go
    await book.keep(first, second, third, elsewhere, *more)
    for path in (first, second, elsewhere):
        path.unlink()
    await book.keep(roots=[book.folder / "photos"])
    assert await book.open_paths() == [(SERVER, 9, elsewhere), (SERVER, 9, third)]
    await book.keep(elsewhere, third, found=replace(TROUBLE, code="not-there"))
    assert await book.open_paths() == [(SERVER, 9, third)]


async def test_what_is_kept_of_a_run_is_kept_whole_or_not_at_all(book: RunStore) -> None:
    good, bad = book.put("good.jpg"), book.put("bad.jpg")
    await book.keep(good)
    with pytest.raises(RunError, match="can't be used"):
        await book.keep(bad, resolved=[good], found=replace(TROUBLE, size=None))  # type: ignore[arg-type]
    assert await book.open_paths() == [(SERVER, 9, good)]


async def test_any_number_of_failures_is_read_in_a_little_memory(book: RunStore) -> None:
    def read(lookback: run_history.HistoryReader) -> int:
        return sum(1 for _ in lookback.failures(EVERYTHING))

    paths = [book.folder / f"{number}.jpg" for number in range(6 * PAGE)]
    await book.keep(*paths)
    interned = [sys.intern(path.name) for path in paths]  # a path does it
    assert await book.look(read) == len(interned)
    tracemalloc.start()
    try:
        assert await book.look(read) == (await book.gallery()).failures
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2_000_000


async def test_a_reader_that_takes_its_time_sees_what_comes_behind_it(book: RunStore) -> None:
    names = [book.put(f"{number:04}.jpg") for number in range(PAGE + 9)]
    await book.keep(*names)

    async def mend() -> None:
        await book.keep(resolved=names[: PAGE + 6])

    def read(lookback: run_history.HistoryReader) -> list[Path]:
        assert lookback.galleries(EVERYTHING)
        reading = lookback.failures(EVERYTHING)
        first = [next(reading).path for _ in range(3)]
        from_thread.run(mend)  # reading does not keep a run out
        return [*first, *(failure.path for failure in reading)]

    assert await book.look(read) == names[:PAGE] + names[PAGE + 6 :]


# runs


async def test_of_each_album_the_last_run_of_each_task_is_reported_with_present_names_of_counts(
    book: RunStore,
) -> None:
    await book.keep(uploaded=5)
    book.now += 60
    await book.keep(uploaded=1, astray=2, put_away=3, stays=4, ending=Ending.INTERRUPTED)
    await book.keep(info=VERIFY)
    last, before = await book.runs()
    assert (last.info, last.ending) == (VERIFY, Ending.DONE)
    assert before.ending is Ending.INTERRUPTED
    assert before.counts == {"uploaded": 1, "not-in-album": 2, "moved": 3, "not_moved": 4}
    assert before.began == NOW + 60
    assert not before.running


async def test_a_run_that_goes_on_differs_from_one_that_died(book: RunStore) -> None:
    async with book.open() as opened:
        number, open_now = await opened.write_history(lambda history: history.begin(UPLOAD))
        assert open_now == 0
        book.now += 30
        await opened.write_history(
            lambda history: history.update(
                number, album=9, counts={"uploaded": 3}, failed={}, resolved=()
            )
        )
        (alive,) = await book.runs()
    await book.keep(book.put("a.jpg"), info=VERIFY)
    async with book.open() as opened:
        _, open_now = await opened.write_history(lambda history: history.begin(OTHER_ALBUM))
        assert open_now == 1
        (_, dead), (other,) = await book.runs(9), await book.runs(10)
    assert (alive.ending, alive.running) == (Ending.OPEN, True)
    assert (dead.ending, dead.running) == (Ending.OPEN, False)
    assert dead.counts == {"uploaded": 3}
    assert dead.seen - dead.began == 30
    assert other.running


async def test_old_runs_make_room(book: RunStore) -> None:
    async with book.open() as opened:
        for info in (VERIFY, *[UPLOAD] * (run_history.RUNS_KEPT + 20)):
            await opened.write_history(partial(run_history.HistoryWriter.begin, info=info))
    counts = book.sql("SELECT task, count(*) FROM runs GROUP BY task")
    assert counts == [("upload", run_history.RUNS_KEPT), ("verify", 1)]


# albums and galleries


async def test_files_are_counted_for_each_album_and_once_for_the_gallery_but_damaged_rows_are_not(
    book: RunStore,
) -> None:
    none = frozenset[int]()
    async with book.open() as opened:
        await opened.record(
            [
                entry("/a.jpg", albums=frozenset({9, 10}), size=100),
                entry("/b.jpg", albums=frozenset({9}), size=50),
                entry("/c.jpg", albums=none, state=State.HASHED),
                entry("/d.jpg", albums=none, state=State.FAILED),
            ]
        )
    gallery = await book.gallery()
    assert (gallery.files, gallery.size) == (2, 150)
    sizes = {album.album: (album.files, album.size) for album in gallery.albums}
    assert sizes == {9: (2, 150), 10: (1, 100)}
    await book.keep()
    book.sql(
        "UPDATE photos SET albums = '{nonsense'",
        "UPDATE runs SET counts = '[1]', ending = 'strange'",
    )
    album = (await book.albums())[9]
    assert album.files == 0
    assert [(run.counts, run.ending) for run in album.runs] == [({}, Ending.FAILED)]


async def test_a_gallery_and_an_album_are_reported_alone(book: RunStore) -> None:
    path = book.put("a.jpg")
    for what in (UPLOAD, OTHER_ALBUM):
        await book.keep(path, info=what)
    for wanted in (
        *(HistoryFilter(album=album) for album in (9, "Trips", "Family/Trips")),
        *(HistoryFilter(url=url, album=9) for url in (SERVER, SERVER.replace("https:", "http:"))),
    ):
        assert [failure.album for failure in await book.failures(wanted)] == [9]
        assert set(await book.albums(wanted)) == {9}


# which files it reads


async def test_an_older_ledger_is_read_and_brought_up_by_the_next_run_and_a_newer_one_refused(
    book: RunStore,
) -> None:
    first = book.folder / "a.jpg"
    async with book.open() as opened:
        await opened.record([entry(first)])
    assert book.sql("PRAGMA journal_mode") == [("wal",)]
    book.sql(*(f"DROP TABLE {name}" for name in ("runs", "failures", "facts")))
    book.sql("ALTER TABLE photos DROP COLUMN compared", "PRAGMA user_version = 1")
    assert (await book.albums())[9].files == 1
    assert await book.failures() == []
    with pytest.raises(UsageError):
        await book.gallery(HistoryFilter(album="Trips"))
    assert book.sql("PRAGMA user_version") == [(1,)]
    await book.keep(book.put("b.jpg"))
    async with book.open() as opened:
        assert len(await opened.look_up([first])) == 1
        await opened.record([entry(first, compared=True)])
        assert await opened.look_up([first]) == {first: entry(first, compared=True)}
        await opened.learn(Fact.WORKERS, 5)
        assert await opened.facts(max_age_s=60) == {Fact.WORKERS: 5}
    assert len(await book.failures()) == 1
    assert book.sql("PRAGMA user_version") == [(SCHEMA,)]
    book.sql(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(RunError, match="written by a newer bulkup"):
        await book.failures()
