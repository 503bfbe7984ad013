"""Bad input, a bad server, an end in the middle: what becomes of each photo, and of the others."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from bulkup import events
from bulkup.engine.context import Stop
from bulkup.errors import RunError, one_error
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.source.filters import EVERYTHING, Filters, Listing
from tests.support.events import acting_on, soon
from tests.support.runs import Outcome, failures, make_archive, picture, run, stored_sums

each_method = pytest.mark.parametrize("method", ["upload", "async"])


# bad files


async def test_an_empty_file_and_one_that_is_no_picture_fail_alone_and_another_type_is_skipped(
    box: Sandbox, tmp_path: Path
) -> None:
    archive = make_archive(tmp_path, count=3, names=3)
    (tmp_path / "empty.jpg").touch()
    for name in ("text.jpg", "notes.txt", ".hidden"):
        (tmp_path / name).write_text("This is no picture.\n" * 10)
    outcome = await run(box, tmp_path)
    assert stored_sums(box) == Counter(archive.values())
    assert failures(outcome).keys() == {"empty.jpg", "text.jpg"}
    assert failures(outcome)["empty.jpg"] == "the file is empty"
    sent = Counter(event.path.name for event in outcome.of(events.PhotoStarted))
    assert sent["text.jpg"] == 2  # a refused file is not sent over and over
    skipped = {event.path.name for event in outcome.of(events.FileSkipped)}
    assert skipped == {"notes.txt", ".hidden"}
    assert outcome.balances()


async def test_a_file_that_vanishes_before_its_turn_fails_alone_and_its_twin_is_tried_instead(
    box: Sandbox, tmp_path: Path
) -> None:
    archive = make_archive(tmp_path, count=3, names=3)
    victim = sorted(archive)[2]
    (tmp_path / "twin.jpg").write_bytes(victim.read_bytes())
    victim_size, gone = victim.stat().st_size, list[Path]()

    def watch(event: events.Event) -> None:
        if isinstance(event, events.PhotoPlanned) and event.size == victim_size and not gone:
            gone.append(event.path)
            soon(event.path.unlink)

    outcome = await run(box, tmp_path, outcome=Outcome(watch))
    assert stored_sums(box) == Counter(archive.values())
    assert failures(outcome) == {gone[0].name: "the file has vanished"}
    assert len(outcome.of(events.PhotoUploaded)) == 3
    assert outcome.balances()


async def test_a_file_that_never_stops_changing_fails_alone(box: Sandbox, tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=3, names=3, size=(300_000, 300_000))
    victim = sorted(archive)[1]

    def grow() -> None:
        with victim.open("ab") as file:
            file.write(b"more")

    def watch(event: events.Event) -> None:
        if isinstance(event, events.PhotoProgress) and event.path == victim:
            soon(grow)

    outcome = await run(box, tmp_path, chunk_size=100_000, outcome=Outcome(watch))
    assert stored_sums(box) == Counter(archive.values()) - Counter([archive[victim]])
    assert list(failures(outcome)) == [victim.name]
    assert "changed while it was being read" in failures(outcome)[victim.name]
    assert outcome.balances()


@each_method
async def test_a_file_that_changes_on_its_way_arrives_as_it_is_in_the_end_and_its_twin_itself(
    box: Sandbox, tmp_path: Path, method: str
) -> None:
    (first,) = make_archive(tmp_path, count=1, names=1, size=(300_000, 300_000))
    second = first.with_name("twin.jpg")
    second.write_bytes(content := first.read_bytes())
    changed = picture(Random(99), size=250_000)

    def change() -> None:
        path = outcome.of(events.PhotoProgress)[0].path
        soon(lambda: path.write_bytes(changed))

    outcome = acting_on(events.PhotoProgress, change, at=(0,))
    await run(box, tmp_path, method=method, chunk_size=100_000, outcome=outcome)
    stored = {number: box.gallery.content(number) for number in box.gallery.photos}
    begun = outcome.of(events.PhotoProgress)[0]
    assert begun.sent < 150_000
    assert sorted(stored.values()) == sorted([content, changed])
    for event in outcome.of(events.PhotoUploaded):
        assert stored[event.image_id] == (changed if event.path == begun.path else content)
        assert event.size == len(stored[event.image_id])
    assert len(outcome.of(events.PhotoUploaded)) == 2
    assert outcome.balances()


@pytest.mark.parametrize("listed", [False, True])
async def test_an_archive_or_a_list_of_no_photos_is_a_run_like_any_other(
    box: Sandbox, tmp_path: Path, listed: bool
) -> None:
    (tmp_path / "list").touch()
    filters = Filters(listing=Listing(str(tmp_path / "list"))) if listed else EVERYTHING
    (tmp_path / "photos").mkdir()
    outcome = await run(box, *([] if listed else [tmp_path / "photos"]), filters=filters)
    assert [type(event) for event in outcome.events] == [events.ScanFinished, events.RunFinished]


# a server with limits


@pytest.mark.parametrize(
    ("method", "words"),
    [("upload", "could not take the chunk"), ("async", "exceeds the server's")],
)
async def test_where_not_even_small_chunks_pass_the_reason_is_reported(
    tmp_path: Path, method: str, words: str
) -> None:
    make_archive(tmp_path, count=1, names=1, size=(100_000, 100_000))
    async with Sandbox(max_file=10_000) as box:
        outcome = await run(box, tmp_path, method=method, chunk_size=500_000)
    (reason,) = failures(outcome).values()
    assert words in reason
    assert outcome.balances()


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


async def test_a_sweep_that_fails_ends_no_run_and_a_chunk_that_was_not_read_is_sent_again(
    tmp_path: Path,
) -> None:
    archive = make_archive(tmp_path, count=6, names=3, size=(25_000, 50_000))
    plan = [Fault("cut", "pwg.images.upload", nth=0)]
    plan += [Fault("no-input", "pwg.images.upload", nth=nth) for nth in (1, 2, 3, 4, 5, 6, 9)]
    async with Sandbox(faults=Faults(plan)) as box:
        outcome = await run(box, tmp_path, method="upload", chunk_size=10_000, concurrency=1)
        assert stored_sums(box) == Counter(archive.values())
        assert not box.gallery.buffers
    assert failures(outcome) == {}
    assert outcome.balances()


async def test_what_no_sweep_could_delete_is_reported_once_with_its_number(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3, size=(25_000, 50_000))
    async with Sandbox(faults=Faults([Fault("no-input", "pwg.images.upload")])) as box:
        outcome = await run(box, tmp_path, method="upload", chunk_size=10_000, concurrency=1)
    assert len(failures(outcome)) == 3
    assert outcome.balances()
    (notice,) = [
        event.message for event in outcome.of(events.Noticed) if "deleted" in event.message
    ]
    attempts = len(outcome.of(events.PhotoStarted))
    assert notice.startswith(f"{attempts} incomplete uploads could not be deleted")


# an end in the middle


@each_method
async def test_a_stop_lets_photos_in_flight_end_and_leaves_the_rest_to_the_next_run(
    box: Sandbox, tmp_path: Path, method: str
) -> None:
    archive = make_archive(tmp_path, count=20, names=5, size=(25_000, 50_000))
    stop = Stop()
    outcome = acting_on(events.PhotoFinished, stop.set)
    options: dict[str, Any] = {"method": method, "chunk_size": 10_000, "concurrency": 4}
    await run(box, tmp_path, stop=stop, outcome=outcome, **options)
    uploaded = [event.path for event in outcome.of(events.PhotoUploaded)]
    assert stored_sums(box) == Counter(archive[path] for path in uploaded)
    assert not box.gallery.buffers
    assert not box.gallery.lounge
    stopped = await run(box, tmp_path, stop=stop, **options)
    assert stopped.balances()
    assert len(box.gallery.photos) == len(uploaded)  # what begins stopped sends nothing
    second = await run(box, tmp_path, **options)
    assert stored_sums(box) == Counter(archive.values())
    assert set(uploaded) == {event.path for event in outcome.of(events.PhotoStarted)}
    assert 1 <= len(uploaded) <= 4  # no photo is finished before the first that stops the run
    assert len(outcome.of(events.PhotoUnfinished)) > 0
    assert outcome.balances()
    assert second.balances()


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
async def test_what_ends_a_run_is_reported_alone_and_a_bug_stays_a_bug(
    together: list[Exception], expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        async with one_error():
            raise ExceptionGroup("", together)
