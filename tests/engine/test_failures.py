"""Bad input, a bad server, an end in the middle: what becomes of each photo, and of the others."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from bulkup.engine import pipeline
from bulkup.engine.albums import Albums, FolderAlbums
from bulkup.engine.ports import NoLedger, Stop
from bulkup.engine.retry import Policy, Recovery
from bulkup.errors import RunError
from bulkup.errors.groups import one_error
from bulkup.events import (
    AlbumChecked,
    Event,
    FileSkipped,
    PhotoFailed,
    PhotoPlanned,
    PhotoProgress,
    PhotoStarted,
    PhotoUnfinished,
    PhotoUploaded,
    Retrying,
    RunFinished,
    ScanFinished,
)
from bulkup.piwigo.connect import connect
from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support import events
from tests.support.events import acting_on, watched
from tests.support.runs import (
    ADMIN,
    Clock,
    chunk_size_of,
    failures,
    make_archive,
    picture,
    run,
    stored_sums,
)

METHODS = ["upload", "async"]
each_method = pytest.mark.parametrize("method", METHODS)
Watched = events.Watched


def soon(change: Callable[[], object]) -> None:
    """Do something to a file before anybody reads on: the engine goes on in a later turn."""
    asyncio.get_running_loop().call_soon(change)


# bad files


@each_method
async def test_an_empty_file_and_one_that_is_no_picture_fail_alone(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=3, names=3)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("This is no picture.\n" * 10)
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, method=method)
        assert stored_sums(box) == Counter(archive.values())
    assert failures(outcome).keys() == {"empty.jpg", "text.jpg"}
    assert failures(outcome)["empty.jpg"] == "the file is empty"
    assert "forbidden file type" in failures(outcome)["text.jpg"]
    sent = Counter(event.path.name for event in outcome.of(PhotoStarted))
    assert sent["text.jpg"] == 2  # a refused file is not sent over and over
    assert outcome.balances()


async def test_another_type_is_skipped_and_not_sent(tmp_path: Path) -> None:
    make_archive(tmp_path, count=1, names=1)
    (tmp_path / "notes.txt").write_text("x")
    async with Sandbox() as box:
        outcome = await run(box, tmp_path)
    assert [event.path.name for event in outcome.of(FileSkipped)] == ["notes.txt"]
    assert outcome.balances()


async def test_a_file_that_vanishes_before_its_turn_fails_alone(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=5, names=5)
    victim = sorted(archive)[2]

    def watch(event: Event) -> None:
        if isinstance(event, PhotoPlanned) and event.path == victim:
            soon(victim.unlink)

    async with Sandbox() as box:
        outcome = await run(box, tmp_path, outcome=watched(watch))
        assert stored_sums(box) == Counter(archive.values()) - Counter([archive[victim]])
    assert failures(outcome) == {victim.name: "the file has vanished"}
    assert outcome.balances()


@each_method
async def test_a_file_that_changes_on_its_way_arrives_as_it_is_in_the_end(
    tmp_path: Path, method: str
) -> None:
    (path,) = make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    changed = picture(Random(99), size=250_000)
    outcome = acting_on(PhotoProgress, lambda: soon(lambda: path.write_bytes(changed)), at=(0,))
    async with Sandbox() as box:
        await run(box, tmp_path, method=method, chunk_size=100_000, outcome=outcome)
        assert [box.gallery.content(i) for i in box.gallery.photos] == [changed]
    assert outcome.of(PhotoProgress)[0].sent < 150_000
    (uploaded,) = outcome.of(PhotoUploaded)
    assert uploaded.size == 250_000
    assert outcome.balances()


async def test_a_file_that_never_stops_changing_fails_alone(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=3, names=3, size=(300_000, 300_000))
    victim = sorted(archive)[1]

    def grow() -> None:
        with victim.open("ab") as file:
            file.write(b"more")

    def watch(event: Event) -> None:
        if isinstance(event, PhotoProgress) and event.path == victim:
            soon(grow)

    async with Sandbox() as box:
        outcome = await run(box, tmp_path, chunk_size=100_000, outcome=watched(watch))
        assert stored_sums(box) == Counter(archive.values()) - Counter([archive[victim]])
    assert list(failures(outcome)) == [victim.name]
    assert "changes while it is read" in failures(outcome)[victim.name]
    assert outcome.balances()


async def test_a_twin_of_a_failed_file_is_tried_instead(tmp_path: Path) -> None:
    (first,) = make_archive(tmp_path, count=1, names=1)
    twin = first.with_name("twin.jpg")
    twin.write_bytes(first.read_bytes())

    def watch(event: Event) -> None:
        if isinstance(event, PhotoPlanned) and not gone:
            gone.append(event.path)
            soon(event.path.unlink)

    gone: list[Path] = []
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, outcome=watched(watch))
        assert len(box.gallery.photos) == 1
    assert (len(outcome.of(PhotoUploaded)), len(outcome.of(PhotoFailed))) == (1, 1)
    assert outcome.balances()


@each_method
async def test_a_twin_of_a_file_that_changes_on_its_way_is_sent_itself(
    tmp_path: Path, method: str
) -> None:
    (first,) = make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    content = first.read_bytes()
    first.with_name("twin.jpg").write_bytes(content)
    changed = picture(Random(99), size=250_000)

    def watch(event: Event) -> None:
        if isinstance(event, PhotoProgress) and not changes:
            changes.append(event.path)
            soon(lambda: event.path.write_bytes(changed))

    changes: list[Path] = []
    async with Sandbox() as box:
        outcome = await run(
            box, tmp_path, method=method, chunk_size=100_000, outcome=watched(watch)
        )
        stored = {number: box.gallery.content(number) for number in box.gallery.photos}
    assert sorted(stored.values()) == sorted([content, changed])
    assert {event.path: stored[event.image_id] for event in outcome.of(PhotoUploaded)} == {
        path: changed if path in changes else content
        for path in (first, first.with_name("twin.jpg"))
    }
    assert outcome.balances()


async def test_an_empty_archive_is_a_run_like_any_other(tmp_path: Path) -> None:
    async with Sandbox() as box:
        outcome = await run(box, tmp_path)
    assert [type(event) for event in outcome.events] == [ScanFinished, RunFinished]


# a server with limits


@pytest.mark.parametrize(
    ("method", "limits"),
    [
        ("async", {"max_file": 150_000}),
        ("upload", {"max_post": 150_000}),
        ("upload", {"max_body": 150_000}),
        ("async", {"max_file": 150_000, "max_post": 140_000}),
    ],
)
async def test_chunks_shrink_until_the_server_takes_them(
    tmp_path: Path, method: str, limits: dict[str, int]
) -> None:
    archive = make_archive(tmp_path, count=3, names=3, size=(300_000, 900_000))
    async with Sandbox(**limits) as box:  # type: ignore[arg-type]
        outcome = await run(box, tmp_path, method=method, chunk_size=500_000)
        assert stored_sums(box) == Counter(archive.values())
        assert failures(outcome) == {}
    assert outcome.balances()


@each_method
async def test_where_not_even_small_chunks_pass_the_reason_is_told(
    tmp_path: Path, method: str
) -> None:
    make_archive(tmp_path, count=1, names=1, size=(100_000, 100_000))
    async with Sandbox(max_file=10_000) as box:
        outcome = await run(box, tmp_path, method=method, chunk_size=500_000)
    assert len(outcome.of(PhotoFailed)) == 1
    assert outcome.balances()


@each_method
async def test_a_chunk_damaged_once_does_not_make_chunks_smaller(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    name = "pwg.images.uploadAsync" if method == "async" else "pwg.images.upload"
    async with Sandbox(faults=Faults([Fault("damaged", name, 1)])) as box:
        outcome = await run(box, tmp_path, method=method, chunk_size=100_000)
        chunks = [seen for seen in box.requests if seen.method == name]
    assert len(chunks) <= 8
    assert outcome.balances()
    if method == "async":  # pwg.images.upload has no sums to notice it by
        assert stored_sums(box) == Counter(archive.values())
        assert len(chunks) == 5


# a session that ends


@each_method
async def test_a_session_that_is_gone_right_after_its_log_in_is_renewed(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=3, names=3)
    faults = Faults()
    for nth in (2, 3, 5):  # 0 and 1 are those of connecting
        faults.add(Fault("expired-session", "pwg.session.getStatus", nth))
    async with Sandbox(faults=faults) as box:
        outcome = await run(box, tmp_path, method=method, concurrency=4)
        assert stored_sums(box) == Counter(archive.values())
    assert failures(outcome) == {}


# an end in the middle


@each_method
async def test_a_stop_lets_photos_in_flight_end_and_leaves_the_rest_to_the_next_run(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=20, names=5, size=(25_000, 50_000))
    stop = Stop()
    outcome = acting_on(PhotoUploaded, stop.set)
    options: dict[str, Any] = {"method": method, "chunk_size": 10_000, "concurrency": 4}
    async with Sandbox() as box:
        await run(box, tmp_path, stop=stop, outcome=outcome, **options)
        uploaded = [event.path for event in outcome.of(PhotoUploaded)]
        assert stored_sums(box) == Counter(archive[path] for path in uploaded)
        assert not box.gallery.buffers
        assert not box.gallery.lounge
        second = await run(box, tmp_path, **options)
        assert stored_sums(box) == Counter(archive.values())
    assert set(uploaded) == {event.path for event in outcome.of(PhotoStarted)}
    assert 1 <= len(uploaded) <= 8
    assert len(outcome.of(PhotoUnfinished)) > 0
    assert outcome.balances()
    assert second.balances()


async def test_a_stop_before_the_first_photo_sends_nothing(tmp_path: Path) -> None:
    make_archive(tmp_path, count=5, names=5)
    stop = Stop()
    stop.set()
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, stop=stop)
        assert not box.gallery.photos
    assert outcome.balances()


# a connection that the sandbox takes while it closes may be left to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@each_method
async def test_a_server_that_goes_away_ends_the_run_when_patience_does(
    tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=20, names=10, size=(25_000, 50_000))
    clock, enough = Clock(), asyncio.Event()
    outcome = acting_on(PhotoUploaded, enough.set)
    box = await Sandbox().__aenter__()

    async def go_away() -> None:
        await enough.wait()
        await box.__aexit__()

    async def go() -> None:
        async with connect(box.url, credentials=ADMIN, method=method) as server:
            recovery = Recovery(
                Policy(patience_s=5.0),
                emit=outcome.events.append,
                probe=server.probe,
                sleep=clock.sleep,
                clock=clock,
            )
            await pipeline.run(
                pipeline.Plan(roots=[tmp_path], folder_albums=FolderAlbums(base=1), concurrency=4),
                server=server,
                recovery=recovery,
                albums=Albums(server, recovery=recovery, emit=outcome.events.append),
                ledger=NoLedger(),
                chunk_size=chunk_size_of(server, wish=10_000),
                emit=outcome.events.append,
                stop=Stop(),
                clock=clock,
            )

    going = asyncio.create_task(go_away())
    with pytest.raises(RunError, match="the server has been away") as caught:
        await go()
    await going
    assert "again when it is back" in caught.value.hint
    assert outcome.balances()
    assert len(outcome.of(PhotoUnfinished)) > 0
    assert {archive[event.path] for event in outcome.of(PhotoUploaded)} <= set(stored_sums(box))


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        ([RunError("gone")], RunError),
        ([RunError("gone"), anyio.BrokenResourceError()], RunError),
        ([ExceptionGroup("", [RunError("a"), RunError("b")])], RunError),
        ([RunError("gone"), ZeroDivisionError()], ExceptionGroup),
        ([anyio.BrokenResourceError()], ExceptionGroup),
    ],
)
async def test_what_ends_a_run_is_told_alone_and_a_bug_stays_a_bug(
    together: list[Exception], expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        async with one_error():
            raise ExceptionGroup("", together)


# a run that can not be


async def test_an_unknown_album_is_told_before_anything_is_sent() -> None:
    async with Sandbox() as box, connect(box.url, credentials=ADMIN) as server:
        with pytest.raises(RunError, match="there is no album 99"):
            await server.album_name(99)


async def test_photos_of_an_album_that_is_gone_are_told_as_astray(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=6, names=6)
    async with Sandbox() as box:
        outcome = await run(box, tmp_path, album=77)
        assert stored_sums(box) == Counter(archive.values())
    assert outcome.balances()
    assert [event.astray for event in outcome.of(AlbumChecked)] == [6]


async def test_a_lost_answer_is_told_as_a_try_again(tmp_path: Path) -> None:
    make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    faults = Faults([Fault("answer-lost", "pwg.images.uploadAsync", 0)])
    async with Sandbox(faults=faults) as box:
        outcome = await run(box, tmp_path, method="async", chunk_size=100_000)
    assert [event.attempt for event in outcome.of(Retrying)] == [1]
    assert len(outcome.of(PhotoUploaded)) == 1
