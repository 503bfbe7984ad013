"""`bulkup verify --positions`: photos that lack the position that their sources have."""

from pathlib import Path

import pytest

from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import PASSWORD, bulkup, send
from tests.support.galleries import calls
from tests.support.photos import write_files, write_position

ADMIN = ("admin", PASSWORD)
LOOK = "pwg.images.getInfo"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two photos with a position, one of them in a table, and one without."""
    folder = tmp_path / "photos"
    folder.mkdir()
    write_files(folder, "a 'q' 🌍.jpg", "b.jpg", "c.jpg")
    write_position(folder / "a 'q' 🌍.jpg", "45,24N", "0,0W")
    (tmp_path / "table.csv").write_text("path,latitude,longitude\nb.jpg,-5.5,7\n")
    return folder


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
async def test_photos_without_their_position_are_listed(folder: Path, version: str) -> None:
    table: list[str | Path] = ["--metadata", folder.with_name("table.csv")]
    async with Sandbox(version=version, admin=ADMIN, map_plugin="new") as box:
        assert (await send(box, folder, *table)).code == 0
        for how in ([], ["--quick"]):
            verify: list[str | Path] = ["verify", folder, *table, "--positions", *how]
            for album in ("1", ""):
                ended = await send(box, *verify, album=album)
                assert ended.code == 0, ended.err
            before = calls(box)[LOOK]
            (b,) = (photo for photo in box.gallery.photos.values() if photo.file == "b.jpg")
            b.position = None
            ended = await send(box, *verify)
            assert calls(box)[LOOK] == before + 2
            assert ended.code == 1
            assert "Checked 3 photos: 2 present, 1 without position" in ended.err
            assert "1 without position" in (await bulkup("status")).out
            assert f"photo {b.id} has no position in the gallery" in ended.err
            assert (await send(box, "verify", folder, "--positions", *how)).code == 0
            assert (await send(box, "refresh", folder, *table)).code == 0
            b.position = "1.0", "2.0"  # as edited in the gallery
            assert (await send(box, *verify)).code == 0


async def test_without_the_plugin_positions_are_counted_and_not_checked(folder: Path) -> None:
    async with Sandbox(admin=ADMIN) as box:
        assert (await send(box, folder)).code == 0
        before = calls(box)[LOOK]
        ended = await send(box, "verify", folder, "--positions")
        assert ended.code == 0
        assert "1 photo has a position (GPS) that could not be checked" in ended.err
        assert calls(box)[LOOK] == before
        assert "position" not in (await send(box, "verify", folder)).err


@pytest.mark.usefixtures("no_pauses")
async def test_a_lost_answer_does_not_change_the_verdict(folder: Path) -> None:
    async with Sandbox(admin=ADMIN, map_plugin="new") as box:
        assert (await send(box, folder)).code == 0
        box.faults.add(Fault("502", LOOK, calls(box)[LOOK]))
        ended = await send(box, "verify", folder, "--positions", "--quick")
        assert ended.code == 0, ended.err
