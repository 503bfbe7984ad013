"""The ledger: what it keeps and for whom, who may hold it, and what it does on a bad disk."""

import math
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import anyio
import pytest

from bulkup.engine.ledger_port import Entry, Fact, State, Unarranged
from bulkup.errors import RunError
from bulkup.source.photos import Photo
from bulkup.store.database import SCHEMA
from bulkup.store.ledger import SqliteLedger
from tests.support.disks import fill
from tests.support.ledgers import entry

SERVER = "https://photos.example.org/"
OTHER = "https://other.example.org/"
NOW = 1_700_000_000.0


def ledger(folder: Path, *, server: str = SERVER, now: float = NOW) -> SqliteLedger:
    return SqliteLedger(folder / "ledger.sqlite", server=server, now=lambda: now)


async def keep(folder: Path, *entries: Entry, server: str = SERVER) -> None:
    async with ledger(folder, server=server) as opened:
        await opened.record(entries)


async def kept(folder: Path, *paths: Path | str, server: str = SERVER) -> list[Entry]:
    async with ledger(folder, server=server) as opened:
        return list((await opened.look_up([Path(path) for path in paths])).values())


async def refused(folder: Path, words: str) -> str:
    """Return the hint with which the ledger of the folder is refused."""
    with pytest.raises(RunError, match=words) as caught:
        await ledger(folder).__aenter__()
    return caught.value.hint


def sql(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database, database:
        return database.execute(statement, values).fetchall()


# what it keeps


async def test_an_entry_comes_back_as_it_was_given(tmp_path: Path) -> None:
    names = [
        *(b"plain.jpg", b"not \xff\xfe UTF-8.jpg", "sun 🌅.jpg".encode(), b"a\nb.jpg"),
        *(b"a'b\"c;--.jpg", "e\u0301.jpg".encode(), "\u00e9.jpg".encode()),
    ]
    given = [
        *(entry(tmp_path / os.fsdecode(name)) for name in names),
        entry("/1.jpg", state=State.HASHED, image_id=None, albums=frozenset()),
        entry("/2.jpg", state=State.FAILED, error="the server refuses: “no”\n\x00"),
        entry("/3.jpg", size=0, mtime_ns=-5),
        entry("/4.jpg", size=2**40, image_id=2**31),
        entry("/5.jpg", compared=True),
    ]
    await keep(tmp_path, *given)
    back = await kept(tmp_path, *(each.path for each in given))
    assert {each.path: each for each in back} == {each.path: each for each in given}
    photo = Photo(Path("/a.jpg"), 5000, 2**63 + 5)  # beyond all integers: in the year 2262
    await keep(tmp_path, entry("/a.jpg", mtime_ns=photo.mtime_ns))
    (back_then,) = await kept(tmp_path, "/a.jpg")
    assert not back_then.is_of(photo)  # it is only read again


async def test_a_path_is_the_same_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await keep(tmp_path / "deep" / "er", entry("photos/../a.jpg"))  # its folder is made
    (back,) = await kept(tmp_path / "deep" / "er", tmp_path / "a.jpg")
    assert back.path == tmp_path / "a.jpg"


async def test_each_server_has_entries_of_its_own_which_are_kept_until_forgotten(
    tmp_path: Path,
) -> None:
    paths = [Path(f"/{number}.jpg") for number in range(20)]
    async with ledger(tmp_path) as mine, ledger(tmp_path, server=OTHER) as theirs:
        for path in paths:
            await mine.record([entry(path, image_id=1)])
            await theirs.record([entry(path, image_id=2)])
        for opened, image_id in ((mine, 1), (theirs, 2)):
            found = (await opened.look_up(paths)).values()
            assert [each.image_id for each in found] == [image_id] * 20
        await mine.record([entry("/another.jpg", image_id=8)])
        for images, files in (([1, 9], paths), ([], [])):
            assert {known.path for known in await mine.files_of(images)} == {*files}
        assert len(await mine.files_of([1, 2])) == 20  # a number is another server's photo, too
        await mine.forget([paths[0], tmp_path / "never there.jpg"])
    assert {left.path for left in await kept(tmp_path, *paths)} == {*paths[1:]}
    assert len(await kept(tmp_path, *paths, server=OTHER)) == 20


async def test_what_is_recorded_anew_replaces_what_was_together_or_not_at_all(
    tmp_path: Path,
) -> None:
    failed = entry("/a.jpg", state=State.FAILED, error="no \ud83d \udcff")  # half a character
    await keep(tmp_path, failed)
    (back,) = await kept(tmp_path, "/a.jpg")
    assert back.error.startswith("no ")
    with pytest.raises(RunError):
        await keep(tmp_path, entry("/a.jpg"), entry("/b.jpg", state=State.HASHED, md5=None))
    assert await kept(tmp_path, "/a.jpg") == [back]
    await keep(tmp_path, entry("/a.jpg"))
    assert await kept(tmp_path, "/a.jpg") == [entry("/a.jpg")]


def test_an_entry_is_of_a_file_of_the_same_size_and_time() -> None:
    photos = [Photo(Path("/a.jpg"), *found) for found in ((5000, 10), (5001, 10), (5000, 11))]
    assert [entry("/a.jpg", mtime_ns=10).is_of(photo) for photo in photos] == [True, False, False]


async def test_names_of_half_photos_are_kept_until_they_are_ended(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened:
        for name in ("one.jpg", "two.jpg", "two.jpg", "three.jpg"):
            await opened.begin(name)
        await opened.end("one.jpg")
    async with ledger(tmp_path) as opened:
        assert sorted(await opened.remains()) == ["three.jpg", "two.jpg"]
    async with ledger(tmp_path, server=OTHER) as opened:
        assert await opened.remains() == []


async def test_what_is_to_be_arranged_is_kept_until_it_is(tmp_path: Path) -> None:
    def left(back: list[Entry]) -> list[int]:
        return [each.unarranged for each in sorted(back, key=lambda each: each.path)]

    paths = [Path(f"/{number}.jpg") for number in range(4)]
    async with ledger(tmp_path) as mine, ledger(tmp_path, server=OTHER) as theirs:
        await mine.record([entry(path, image_id=8) for path in paths])
        await theirs.record([entry(path, image_id=8) for path in paths])
        await mine.plan_photos(paths[:2], Unarranged.SENT)
        await mine.plan_photos([*paths[1:3], Path("/no entry.jpg")], Unarranged.ADDED)
        await mine.record([entry(paths[0], image_id=7), entry(paths[1], image_id=9)])
        await theirs.plan_photos(paths, Unarranged.ADDED)
        for name in ("a 'b' 🙂", "half \ud83d"):
            await mine.plan_album(3, name)
            await mine.plan_album(3, name)
        await theirs.arranged([8], [(3, "a 'b' 🙂")])
    assert left(await kept(tmp_path, *paths, server=OTHER)) == [0, 0, 0, 0]
    assert left(await kept(tmp_path, *paths)) == [2, 2, 1, 0]
    async with ledger(tmp_path) as mine:
        assert set(await mine.planned_albums()) == {(3, "a 'b' 🙂"), (3, "half ?")}
        await mine.arranged(iter([7, 8]), [(3, "half \ud83d"), (4, "a 'b' 🙂")])
        assert set(await mine.planned_albums()) == {(3, "a 'b' 🙂")}
    assert left(await kept(tmp_path, *paths)) == [0, 2, 0, 0]


async def test_what_was_sent_is_done_once_its_own_server_showed_the_album(tmp_path: Path) -> None:
    async with ledger(tmp_path) as mine, ledger(tmp_path, server=OTHER) as theirs:
        await mine.record([entry("/a.jpg", state=State.SENT)])
        await theirs.record([entry("/a.jpg", state=State.SENT)])
        await mine.settle()
    assert await kept(tmp_path, "/a.jpg") == [entry("/a.jpg")]
    known = entry("/a.jpg", state=State.HASHED, albums=frozenset())
    assert await kept(tmp_path, "/a.jpg", server=OTHER) == [known], "it is to be asked about"
    async with ledger(tmp_path, server=OTHER) as theirs:
        await theirs.settle()
    assert await kept(tmp_path, "/a.jpg", server=OTHER) == [known]


async def test_what_was_found_out_about_a_server_is_kept_with_its_date(tmp_path: Path) -> None:
    async with ledger(tmp_path) as opened, ledger(tmp_path, server=OTHER) as theirs:
        await opened.learn(Fact.WORKERS, 5)
        await opened.learn(Fact.WORKERS, 8)
        await opened.learn(Fact.CHUNK, 2**21)
        assert await theirs.facts(max_age_s=60) == {}
    async with ledger(tmp_path, now=NOW + 60) as opened:
        assert await opened.facts(max_age_s=61) == {Fact.WORKERS: 8, Fact.CHUNK: 2**21}
        assert await opened.facts(max_age_s=60) == {}
        assert await opened.facts(max_age_s=math.inf) == {Fact.WORKERS: 8, Fact.CHUNK: 2**21}
        assert await opened.ages_s() == {Fact.WORKERS: 60.0, Fact.CHUNK: 60.0}


# who may hold it


async def test_a_second_run_at_once_is_kept_out_but_however_the_first_ends_the_next_may_begin(
    tmp_path: Path,
) -> None:
    with suppress(ZeroDivisionError):
        async with ledger(tmp_path) as first:
            assert "--ledger" in await refused(tmp_path, f"another run for {SERVER}")
            await first.record([entry("/a.jpg")])
            raise ZeroDivisionError
    with anyio.CancelScope() as scope:
        async with ledger(tmp_path):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert await kept(tmp_path, "/a.jpg") == [entry("/a.jpg")]


# what it can not use


async def test_a_ledger_of_a_newer_bulkup_is_refused_with_the_way_out(tmp_path: Path) -> None:
    sql(tmp_path, f"PRAGMA user_version = {SCHEMA + 1}")
    size = (tmp_path / "ledger.sqlite").stat().st_size
    hint = await refused(tmp_path, "was written by a newer bulkup")
    assert "Update bulkup" in hint
    assert "--ledger" in hint
    assert not set_aside(tmp_path)
    assert sql(tmp_path, "PRAGMA user_version") == [(SCHEMA + 1,)]
    assert (tmp_path / "ledger.sqlite").stat().st_size == size
    (tmp_path / "ledger.sqlite").unlink()
    await keep(tmp_path)  # the next run may begin


def set_aside(folder: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in folder.glob("*.damaged-*"))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "garbled": lambda _: b"This is no database.\n" * 1000,
    "garbled head": lambda content: b"\xff" * 100 + content[100:],
    "garbled pages": lambda content: content[:4096] + b"\xa5" * (len(content) - 4096),
    "cut between pages": lambda content: content[: len(content) // 4096 // 2 * 4096],
    "cut in a page": lambda content: content[: len(content) // 2 + 1000],
    "cut in the head": lambda content: content[:60],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
async def test_a_damaged_file_is_set_aside_and_another_one_made(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    given = [entry(f"/{number}.jpg") for number in range(500)]
    await keep(tmp_path, *given)
    damaged = damage((tmp_path / "ledger.sqlite").read_bytes())
    (tmp_path / "ledger.sqlite").write_bytes(damaged)
    async with ledger(tmp_path) as opened:
        assert opened.set_aside == tmp_path / "ledger.sqlite.damaged-20231114-221320"
        assert opened.set_aside.read_bytes() == damaged
        assert await opened.look_up([given[0].path]) == {}
        await opened.record(given)
    async with ledger(tmp_path) as opened:
        assert opened.set_aside is None
        assert len(await opened.look_up([each.path for each in given])) == 500


async def test_damaged_files_leave_each_other_their_places_and_an_empty_one_is_new(
    tmp_path: Path,
) -> None:
    for content in (b"first " * 100, b"second " * 100, b""):
        (tmp_path / "ledger.sqlite").write_bytes(content)
        await keep(tmp_path, entry("/a.jpg"))
        assert await kept(tmp_path, "/a.jpg") == [entry("/a.jpg")]
        for ending in ("-wal", "-shm"):
            (tmp_path / f"ledger.sqlite{ending}").unlink(missing_ok=True)
    assert [content[:6] for content in set_aside(tmp_path)] == [b"first ", b"second"]


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_garbage_beside_the_file_is_overlooked(tmp_path: Path, ending: str) -> None:
    await keep(tmp_path, entry("/a.jpg"))
    (tmp_path / f"ledger.sqlite{ending}").write_bytes(b"This is no log.\n" * 5000)
    assert await kept(tmp_path, "/a.jpg") == [entry("/a.jpg")]


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "no"), ("albums", "{"), ("albums", "[null]"), ("size", "x"), ("md5", "x")],
)
async def test_an_entry_that_makes_no_sense_is_none(
    tmp_path: Path, column: str, value: str
) -> None:
    await keep(tmp_path, entry("/a.jpg"), entry("/b.jpg"))
    sql(tmp_path, f"UPDATE photos SET {column} = ? WHERE path = ?", value, b"/a.jpg")  # noqa: S608
    assert await kept(tmp_path, "/a.jpg", "/b.jpg") == [entry("/b.jpg")]


async def test_a_database_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    sql(tmp_path, "CREATE TABLE songs (title TEXT)")
    before = (tmp_path / "ledger.sqlite").read_bytes()
    await refused(tmp_path, "is not a ledger of bulkup")
    assert (tmp_path / "ledger.sqlite").read_bytes() == before
    assert not set_aside(tmp_path)


# a bad disk


async def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    await refused(tmp_path / "x", r"can't be used: (Not a directory|File exists)")


async def test_what_a_full_disk_does_not_take_is_not_half_there(disk: Path) -> None:
    many = [entry(f"/{number}.jpg", error="x" * 100) for number in range(3000)]
    before, after = entry("/before.jpg"), entry("/after.jpg")
    await keep(disk, before)
    with pytest.raises(RunError, match="full"):
        await keep(disk, *many)
    assert await kept(disk, before.path, many[0].path, many[-1].path) == [before]
    fill(disk)
    with pytest.raises(RunError):
        await keep(disk, *many)
    (disk / "rest").unlink()
    await keep(disk, after)
    assert len(await kept(disk, before.path, after.path)) == 2


async def test_a_disk_that_is_full_for_a_moment_costs_no_run(disk: Path) -> None:
    failed: list[int] = []

    async def free(error: RunError, failures: int) -> bool:
        assert "full" in error.message
        failed.append(failures)
        await anyio.to_thread.run_sync((disk / "rest").unlink)
        return True

    many = [entry(f"/{number}.jpg", error="x" * 100) for number in range(20)]
    async with SqliteLedger(disk / "ledger.sqlite", server=SERVER, again=free) as opened:
        fill(disk)
        await opened.record(many)
        found = await opened.look_up([many[0].path, many[-1].path])
    assert (len(found), failed) == (2, [1])
