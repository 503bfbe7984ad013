"""Positions reach galleries that have the plugin for them, where a photo has none."""

from pathlib import Path
from shutil import copy

import pytest

from bulkup.events import Noticed
from bulkup.sandbox import Fault, Sandbox
from bulkup.source.metadata import Labels
from tests.support.embedded import FOLDER
from tests.support.galleries import calls
from tests.support.photos import write_files, write_position
from tests.support.runs import OneReader, Outcome, run

PLUGINS, SET, LOOK = "pwg.plugins.getList", "pwg.images.setInfo", "pwg.images.getInfo"
each_method = pytest.mark.parametrize("method", ["async", "upload", "legacy"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of three photos with positions beside them."""
    names = ("a.jpg", "b.jpg", "c 🌍.jpg")
    write_files(tmp_path, *names)
    for number, name in enumerate(names):
        write_position(tmp_path / name, f"{45 + number},24N", "0,0W")
    return tmp_path


def positions(box: Sandbox) -> list[tuple[str, str] | None]:
    return sorted((photo.position for photo in box.gallery.photos.values()), key=str)


def not_taken(outcome: Outcome) -> list[str]:
    notices = [event.message for event in outcome.events if isinstance(event, Noticed)]
    return [message for message in notices if "position" in message]


@each_method
@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
async def test_positions_are_set_and_the_first_is_read_back(
    folder: Path, method: str, version: str
) -> None:
    async with Sandbox(version=version, map_plugin="new") as box:
        outcome = await run(
            box, folder, method=method, labels=Labels(), concurrency=1, executor=OneReader()
        )
        assert positions(box) == [(f"{45.4 + i:.6f}", "0.000000") for i in range(3)]
        assert {photo.file for photo in box.gallery.photos.values()} >= {"a.jpg", "b.jpg"}
        assert (calls(box)[PLUGINS], calls(box)[SET]) == (1, 3)
        assert calls(box)[LOOK] == (1 if method == "async" else 4)
        assert not not_taken(outcome)
        await run(box, folder, method=method, labels=Labels())
        assert (calls(box)[PLUGINS], calls(box)[SET]) == (1, 3)


@pytest.mark.parametrize("map_plugin", ["", "old"])
@pytest.mark.parametrize("only", [None, PLUGINS])
async def test_without_the_plugin_photos_are_counted_once(
    folder: Path, map_plugin: str, only: str | None
) -> None:
    async with Sandbox(map_plugin=map_plugin) as box:  # type: ignore[arg-type]
        if only:
            box.faults.add(Fault("501-method", PLUGINS))
        outcome = await run(
            box, folder, method="async", labels=Labels(), concurrency=1, executor=OneReader()
        )
        assert positions(box) == [None] * 3
        (message,) = not_taken(outcome)
        assert message.startswith("3 photos have a position")
        assert calls(box)[PLUGINS] == 1
        assert calls(box)[SET] == 1  # only the first one is set later


@each_method
async def test_a_position_that_the_gallery_has_read_itself_stays(
    tmp_path: Path, method: str
) -> None:
    photo = tmp_path / "photo.jpg"
    copy(FOLDER / "photo.jpg", photo)
    write_position(photo, "1,0N", "2,0E")
    for labels in (Labels(), Labels(embedded=False)):
        async with Sandbox(map_plugin="new") as box:
            outcome = await run(box, tmp_path, method=method, labels=labels)
            assert positions(box) == [("-48.250000", "-2.500000")]
            assert not not_taken(outcome)


async def test_a_position_is_set_for_a_photo_whose_file_the_gallery_can_not_read(
    tmp_path: Path,
) -> None:
    copy(FOLDER / "photo.png", tmp_path)
    async with Sandbox(map_plugin="new") as box:
        await run(box, tmp_path, labels=Labels())
        assert positions(box) == [("-48.250000", "-2.500000")]


@each_method
async def test_a_lost_answer_loses_no_position(folder: Path, method: str) -> None:
    async with Sandbox(map_plugin="new") as box:
        box.faults.add(Fault("502", PLUGINS, 0))
        box.faults.add(Fault("answer-lost", SET, 0))
        outcome = await run(box, folder, method=method, labels=Labels())
        assert None not in positions(box)
        assert not not_taken(outcome)
