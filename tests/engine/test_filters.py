"""Lists of files: each line has one outcome, each file is sent once."""

from pathlib import Path

import pytest

from bulkup.engine.ports import Stop
from bulkup.errors import RunError
from bulkup.events import (
    FileFound,
    FileSkipped,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    ScanFinished,
    SkipReason,
)
from bulkup.sandbox import Sandbox
from bulkup.source.filters import Filters, Listing, Patterns, read_flag
from tests.support.events import acting_on
from tests.support.runs import Outcome, make_archive, run, stored_sums

NO_PNG = Filters(patterns=Patterns((read_flag("*.png", take=False, flag="--exclude"),)))


def listing(file: Path, *paths: Path) -> Filters:
    file.write_text("".join(f"{path}\n" for path in paths))
    return Filters(listing=Listing(str(file)))


async def test_every_line_of_a_list_is_reported_and_each_file_sent_once(tmp_path: Path) -> None:
    """Another name of a file is a file of its own."""
    sums = make_archive(tmp_path, count=70, names=70)
    paths = list(sums)
    gone, link = tmp_path / "gone.jpg", tmp_path / "link.jpg"
    link.hardlink_to(paths[0])
    lines = [*reversed(paths), gone, link, *paths[:30], link, tmp_path]
    async with Sandbox() as box:
        outcome = await run(box, filters=listing(tmp_path / "list", *lines))
        assert stored_sums(box) == dict.fromkeys(sums.values(), 1)
    assert outcome.balances()
    assert [event.path for event in outcome.of(FileFound)] == lines
    assert (len(outcome.of(PhotoUploaded)), len(outcome.of(PhotoPresent))) == (70, 1)
    assert [event.reason for event in outcome.of(FileSkipped)] == [SkipReason.REPEATED] * 31
    failed = {event.path: (event.reason, event.hint) for event in outcome.of(PhotoFailed)}
    assert failed.keys() == {gone, tmp_path}
    assert failed[gone][0] == "it can't be read: No such file or directory"
    assert failed[tmp_path][0] == "it can't be read: it is a folder"


async def test_an_end_in_the_middle_of_a_list_leaves_nothing_untold(tmp_path: Path) -> None:
    paths = list(make_archive(tmp_path, count=50, names=50))
    stop = Stop()
    outcome = acting_on(PhotoUploaded, stop.set)
    lines = [path for path in paths for _ in range(3)]
    async with Sandbox() as box:
        await run(box, filters=listing(tmp_path / "list", *lines), stop=stop, outcome=outcome)
    assert outcome.balances()
    assert outcome.of(PhotoUnfinished)


async def test_a_list_that_is_none_ends_the_run_and_leaves_nothing_untold(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    make_archive(archive, count=10, names=10)
    (tmp_path / "list").write_bytes(b"x" * 1_000_000)
    outcome = Outcome()
    filters = Filters(listing=Listing(str(tmp_path / "list")))
    async with Sandbox() as box:
        with pytest.raises(RunError, match="is not a list of paths"):
            await run(box, archive, filters=filters, outcome=outcome)
    assert outcome.balances()
    assert len(outcome.of(FileFound)) == 10
    assert not outcome.of(ScanFinished)


async def test_an_empty_list_is_no_error(tmp_path: Path) -> None:
    async with Sandbox() as box:
        outcome = await run(box, filters=listing(tmp_path / "list"))
    assert not outcome.of(FileFound)
    assert outcome.of(ScanFinished)
