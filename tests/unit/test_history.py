"""Runs and open failures in the ledger: what is kept, when it goes, and who may read it when."""

import os
import sqlite3
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from anyio import from_thread, to_thread

from bulkup.annals import RUNS_KEPT
from bulkup.database import SCHEMA
from bulkup.errors import RunError, UsageError
from bulkup.history import (
    AlbumHistory,
    Ending,
    GalleryHistory,
    OpenFailure,
    PastRun,
    Trouble,
    Undertaking,
)
from bulkup.ledger import Ledger
from bulkup.lookback import Lookback, Wanted, looking_back
from bulkup.memory import Entry, State

SERVER = "https://photos.example.org/"
OTHER = "http://other.example.org/piwigo/"
NOW = 1_700_000_000.0
UPLOAD = Undertaking(task="upload", album=9, album_name="Trips")
EVERYTHING = Wanted()
T = TypeVar("T")


class Clock:
    """The time of day, as a test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def ledger(folder: Path, *, server: str = SERVER, now: Clock | None = None) -> Ledger:
    return Ledger(folder / "ledger.sqlite", server=server, now=now or Clock())


def trouble(code: str = "empty", **changes: str) -> Trouble:
    words = {"reason": "the file is empty", "hint": "Remove the file."} | changes
    return Trouble(code=code, size=7, **words)


async def keep(
    opened: Ledger,
    *failed: Path,
    mended: tuple[Path, ...] = (),
    what: Undertaking = UPLOAD,
    roots: tuple[Path, ...] = (),
    ending: Ending = Ending.DONE,
    counts: Mapping[str, int] | None = None,
    code: str = "empty",
) -> int:
    """Keep a whole run, and return its number."""
    number, _ = await opened.begin_run(what)
    await opened.keep_run(
        number,
        album=what.album,
        counts=counts or {},
        failed={path: trouble(code) for path in failed},
        mended=mended,
    )
    await opened.end_run(number, ending, error="", roots=roots)
    return number


async def look(folder: Path, question: Callable[[Lookback], T]) -> T:
    """Ask a ledger, in a thread: reading it may block."""

    def ask() -> T:
        with looking_back(folder / "ledger.sqlite") as lookback:
            return question(lookback)

    return await to_thread.run_sync(ask)


async def failures(folder: Path, wanted: Wanted = EVERYTHING) -> list[OpenFailure]:
    return await look(folder, lambda lookback: list(lookback.failures(wanted)))


async def open_paths(folder: Path) -> list[tuple[Path, int]]:
    return [(failure.path, failure.album) for failure in await failures(folder)]


async def gallery_of(folder: Path, wanted: Wanted = EVERYTHING) -> GalleryHistory:
    (gallery,) = await look(folder, lambda lookback: lookback.galleries(wanted))
    return gallery


async def albums(folder: Path, wanted: Wanted = EVERYTHING) -> dict[int, AlbumHistory]:
    return {album.album: album for album in (await gallery_of(folder, wanted)).albums}


async def runs(folder: Path, album: int = 9) -> list[PastRun]:
    return list((await albums(folder))[album].runs)


def put(folder: Path, name: str | bytes) -> Path:
    path = folder / os.fsdecode(name)
    path.write_bytes(b"")
    return path


# open failures


async def test_a_failure_stays_open_with_its_reason_and_what_to_do(tmp_path: Path) -> None:
    path = put(tmp_path, b"new\nline \xff.jpg")
    async with ledger(tmp_path) as opened:
        await keep(opened, path)
    (failure,) = await failures(tmp_path)
    assert failure == OpenFailure(url=SERVER, album=9, path=path, trouble=trouble(), at=NOW)


async def test_a_photo_that_fails_again_is_one_failure_with_the_last_reason(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "a.jpg")
    async with ledger(tmp_path) as opened:
        await keep(opened, path)
        await keep(opened, path, code="wrong-type")
    (failure,) = await failures(tmp_path)
    assert failure.trouble.code == "wrong-type"


async def test_what_succeeds_is_open_no_more_in_its_album_alone(tmp_path: Path) -> None:
    path, nine, ten = (
        put(tmp_path, "a.jpg"),
        UPLOAD,
        Undertaking(task="upload", album=10, album_name=""),
    )
    anywhere = Undertaking(task="verify", album=0, album_name="")
    async with ledger(tmp_path) as opened:
        for what in (nine, ten, anywhere):
            await keep(opened, path, what=what)
        await keep(opened, mended=(path,), what=nine)
        assert await open_paths(tmp_path) == [(path, 10)]
        await keep(opened, path, what=nine)
        await keep(opened, mended=(path,), what=anywhere)
    assert await open_paths(tmp_path) == [(path, 9), (path, 10)]


async def test_each_gallery_has_failures_of_its_own(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jpg")
    for server in (SERVER, OTHER):
        async with ledger(tmp_path, server=server) as opened:
            await keep(opened, path)
    async with ledger(tmp_path, server=OTHER) as opened:
        await keep(opened, mended=(path,))
    assert [failure.url for failure in await failures(tmp_path)] == [SERVER]


async def test_a_file_that_vanished_leaves_nothing_to_try_again(tmp_path: Path) -> None:
    gone, there = tmp_path / "gone.jpg", put(tmp_path, "there.jpg")
    async with ledger(tmp_path) as opened:
        await keep(opened, gone, code="empty")
        await keep(opened, gone, there, code="not-there")
    assert await open_paths(tmp_path) == [(there, 9)]


async def test_a_run_clears_what_it_did_not_meet_only_where_the_file_is_gone(
    tmp_path: Path,
) -> None:
    inside, outside = tmp_path / "photos", tmp_path / "photos.old"
    inside.mkdir()
    outside.mkdir()
    names = ("a.jpg", b"b\xff.jpg", "c.jpg")
    first, second, third = (put(inside, name) for name in names)
    elsewhere = put(outside, "d.jpg")
    async with ledger(tmp_path) as opened:
        await keep(opened, first, second, third, elsewhere)
        for path in (first, second, elsewhere):
            path.unlink()
        await keep(opened, roots=(inside,))
    assert await open_paths(tmp_path) == [(elsewhere, 9), (third, 9)]


async def test_more_failures_are_cleared_than_are_looked_at_in_one_go(tmp_path: Path) -> None:
    stays = put(tmp_path, "stays.jpg")
    async with ledger(tmp_path) as opened:
        await keep(opened, stays, *(tmp_path / f"{number}.jpg" for number in range(2500)))
        await keep(opened, roots=(tmp_path,))
    assert await open_paths(tmp_path) == [(stays, 9)]


async def test_the_top_of_a_disk_is_a_root_as_others_are(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        await keep(opened, tmp_path / "gone.jpg")
        await keep(opened, roots=(Path("/"),))
    assert await open_paths(tmp_path) == []


async def test_what_is_kept_of_a_run_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    good, bad = put(tmp_path, "good.jpg"), put(tmp_path, "bad.jpg")
    async with ledger(tmp_path) as opened:
        await keep(opened, good)
        number, open_now = await opened.begin_run(UPLOAD)
        assert open_now == 1
        with pytest.raises(RunError, match="can't be used"):
            await opened.keep_run(
                number,
                album=9,
                counts={},
                failed={bad: Trouble(code="x", reason="x", hint="x", size=None)},  # type: ignore[arg-type]
                mended=[good],
            )
    assert await open_paths(tmp_path) == [(good, 9)]


async def test_half_characters_in_words_are_no_trouble(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        number, _ = await opened.begin_run(
            Undertaking(task="upload", album=9, album_name="\udcff")
        )
        failed = {put(tmp_path, "a.jpg"): trouble(reason="no \ud800", hint="\udcff")}
        await opened.keep_run(number, album=9, counts={}, failed=failed, mended=())
        await opened.end_run(number, Ending.FAILED, error="\udcff", roots=())
    assert (await failures(tmp_path))[0].trouble.reason == "no ?"


async def test_any_number_of_failures_is_read_in_a_little_memory(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        number, _ = await opened.begin_run(UPLOAD)
        for thousand in range(20):
            paths = (tmp_path / f"{thousand:02}" / f"{name}.jpg" for name in range(1000))
            failed = {path: trouble() for path in paths}
            await opened.keep_run(number, album=9, counts={}, failed=failed, mended=())
    tracemalloc.start()
    try:
        count = await look(
            tmp_path, lambda lookback: sum(1 for _ in lookback.failures(EVERYTHING))
        )
        assert (await gallery_of(tmp_path)).failures == count == 20_000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2_000_000


# runs


async def test_of_each_album_the_last_run_of_each_task_is_told(tmp_path: Path) -> None:
    clock = Clock()
    verify = Undertaking(task="verify", album=9, album_name="Trips")
    async with ledger(tmp_path, now=clock) as opened:
        await keep(opened, counts={"uploaded": 5})
        clock.now += 60
        await keep(opened, counts={"uploaded": 1, "failed": 2}, ending=Ending.INTERRUPTED)
        clock.now += 60
        await keep(opened, what=verify)
    last, before = await runs(tmp_path)
    assert last.what == verify
    assert last.ending is Ending.DONE
    assert before.ending is Ending.INTERRUPTED
    assert before.counts == {"uploaded": 1, "failed": 2}
    assert before.began == NOW + 60
    assert not before.going_on


async def test_a_run_that_goes_on_is_told_from_one_that_died(tmp_path: Path) -> None:
    clock = Clock()
    async with ledger(tmp_path, now=clock) as opened:
        number, _ = await opened.begin_run(UPLOAD)
        clock.now += 30
        await opened.keep_run(number, album=9, counts={"uploaded": 3}, failed={}, mended=())
        (alive,) = await runs(tmp_path)
    (dead,) = await runs(tmp_path)
    assert (alive.ending, alive.going_on) == (Ending.OPEN, True)
    assert (dead.ending, dead.going_on) == (Ending.OPEN, False)
    assert dead.counts == {"uploaded": 3}
    assert dead.seen - dead.began == 30


async def test_a_dead_run_is_not_taken_for_the_one_after_it(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        await opened.begin_run(UPLOAD)
    async with ledger(tmp_path) as opened:
        await opened.begin_run(Undertaking(task="upload", album=10, album_name=""))
        assert [run.going_on for run in (*await runs(tmp_path, 9), *await runs(tmp_path, 10))] == [
            False,
            True,
        ]


async def test_looking_does_not_keep_a_run_out(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        await opened.begin_run(UPLOAD)
    path = put(tmp_path, "a.jpg")

    async def bring() -> None:
        async with ledger(tmp_path) as opened:
            await keep(opened, path)

    def ask(lookback: Lookback) -> list[Path]:
        assert lookback.galleries(EVERYTHING)
        from_thread.run(bring)
        return [failure.path for failure in lookback.failures(EVERYTHING)]

    assert await look(tmp_path, ask) == [path]


async def test_old_runs_make_room(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        other = Undertaking(task="verify", album=9, album_name="")
        await opened.begin_run(other)
        for _ in range(RUNS_KEPT + 20):
            await opened.begin_run(UPLOAD)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        rows = database.execute("SELECT task, count(*) FROM runs GROUP BY task").fetchall()
    assert rows == [("upload", RUNS_KEPT), ("verify", 1)]


# albums and galleries


def entry(path: Path, *albums: int, state: State = State.DONE, size: int = 100) -> Entry:
    return Entry(
        path=path,
        size=size,
        mtime_ns=1,
        md5="0123456789abcdef0123456789abcdef",
        state=state,
        image_id=1,
        albums=frozenset(albums),
    )


async def test_files_are_counted_for_each_album_and_once_for_the_gallery(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        await opened.record(
            [
                entry(tmp_path / "a.jpg", 9, 10),
                entry(tmp_path / "b.jpg", 9, size=50),
                entry(tmp_path / "c.jpg", state=State.HASHED),
                entry(tmp_path / "d.jpg", state=State.FAILED),
            ]
        )
    gallery = await gallery_of(tmp_path)
    assert (gallery.files, gallery.size) == (2, 150)
    sizes = {album.album: (album.files, album.size) for album in gallery.albums}
    assert sizes == {9: (2, 150), 10: (1, 100)}


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(album=9),
        Wanted(album="Trips"),
        Wanted(album="Family/Trips"),
        Wanted(url=SERVER, album=9),
        Wanted(url="http://photos.example.org/", album=9),
    ],
    ids=str,
)
async def test_a_gallery_and_an_album_are_told_alone(tmp_path: Path, wanted: Wanted) -> None:
    path = put(tmp_path, "a.jpg")
    async with ledger(tmp_path) as opened:
        await keep(opened, path)
        await keep(opened, path, what=Undertaking(task="upload", album=10, album_name="Cats"))
    assert [failure.album for failure in await failures(tmp_path, wanted)] == [9]
    assert set(await albums(tmp_path, wanted)) == {9}


async def test_what_the_ledger_does_not_know_is_said(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        await keep(opened)
    with pytest.raises(UsageError, match="knows nothing of https://no") as raised:
        await gallery_of(tmp_path, Wanted(url="https://no.example.org/"))
    assert SERVER in raised.value.hint
    with pytest.raises(UsageError, match="knows nothing of album 77"):
        await gallery_of(tmp_path, Wanted(album=77))


async def test_damaged_rows_are_overlooked(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        await opened.record([entry(tmp_path / "a.jpg", 9)])
        await keep(opened)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database:
        database.execute("UPDATE photos SET albums = '{nonsense'")
        database.execute("UPDATE runs SET counts = '[1]', ending = 'strange'")
        database.commit()
    (run,) = await runs(tmp_path)
    assert (run.counts, run.ending) == ({}, Ending.FAILED)


# which files it reads


def make_old(file: Path, *, version: int) -> None:
    """Take away what was not there in an older form of the ledger."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("DROP TABLE runs")
        database.execute("DROP TABLE failures")
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()


async def test_an_older_ledger_is_read_as_it_is_and_brought_up_by_the_next_run(
    tmp_path: Path,
) -> None:
    async with ledger(tmp_path) as opened:
        await opened.record([entry(tmp_path / "a.jpg", 9)])
    file = tmp_path / "ledger.sqlite"
    make_old(file, version=2)
    assert (await albums(tmp_path))[9].files == 1
    assert await failures(tmp_path) == []
    with pytest.raises(UsageError):
        await gallery_of(tmp_path, Wanted(album="Trips"))
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
    async with ledger(tmp_path) as opened:
        await keep(opened, put(tmp_path, "b.jpg"))
        assert len(await opened.look_up([tmp_path / "a.jpg"])) == 1
    assert len(await failures(tmp_path)) == 1
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


async def test_a_newer_ledger_and_a_strange_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    async with ledger(tmp_path):
        pass
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(RunError, match="written by a newer bulkup"):
        await failures(tmp_path)
    file.write_bytes(b"This is no database.\n" * 1000)
    with pytest.raises(RunError, match="can't be read: file is not a database"):
        await failures(tmp_path)
    assert file.read_bytes() == b"This is no database.\n" * 1000


async def test_a_ledger_that_is_not_there_is_said_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no ledger"):
        await failures(tmp_path)
    assert not await to_thread.run_sync(os.listdir, tmp_path)


async def test_a_strange_name_of_the_ledger_is_no_trouble(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a?b#c%d \xff")
    async with ledger(folder) as opened:
        await keep(opened, tmp_path)
    assert await open_paths(folder) == [(tmp_path, 9)]


async def test_a_reader_that_takes_its_time_sees_what_comes_behind_it(tmp_path: Path) -> None:
    names = [put(tmp_path, f"{number:04}.jpg") for number in range(1500)]
    async with ledger(tmp_path) as opened:
        await keep(opened, *names)

        async def mend() -> None:
            await keep(opened, mended=tuple(names[:1400]))

        def read(lookback: Lookback) -> list[Path]:
            reading = lookback.failures(EVERYTHING)
            first = [next(reading).path for _ in range(3)]
            from_thread.run(mend)
            return [*first, *(failure.path for failure in reading)]

        found = await look(tmp_path, read)
    assert found == names[:1000] + names[1400:]
