"""RAW and similar files, and the photos that they belong to."""

from pathlib import Path

from bulkup.source import pairing, scan
from bulkup.source.photos import Photo
from tests.support.walks import put_all

PAIRED = ("jpg", "jpeg", "png")


async def paired(
    root: Path, *, endings: tuple[str, ...] | None = PAIRED
) -> list[scan.Found | pairing.PairedFile]:
    walk = scan.find([root], endings=endings)
    return [found async for batch in pairing.paired(walk, endings=endings) for found in batch]


async def pairs(root: Path, *, endings: tuple[str, ...] | None = PAIRED) -> dict[str, str]:
    """Return the photo of each companion, both below the root."""
    return {
        str(found.path.relative_to(root)): str(found.of.relative_to(root))
        for found in await paired(root, endings=endings)
        if isinstance(found, pairing.PairedFile)
    }


async def test_a_companion_is_of_the_photo_of_its_stem_in_its_folder(tmp_path: Path) -> None:
    put_all(
        tmp_path, "a/x.JPG", "a/x.NEF", "a/x.cr2", "a/x.d/y.jpg", "a/x-1.nef", "a/y.nef", "b/x.nef"
    )
    assert await pairs(tmp_path) == {"a/x.NEF": "a/x.JPG", "a/x.cr2": "a/x.JPG"}
    (found,) = await paired(tmp_path / "a/x.NEF")
    assert isinstance(found, pairing.PairedFile)
    assert (found.of, found.size) == (tmp_path / "a/x.JPG", 1)


async def test_of_several_photos_the_best_that_the_server_takes_has_it(tmp_path: Path) -> None:
    put_all(tmp_path, "x.heic", "x.jpeg", "x.mov", "x.png")
    for endings in (PAIRED, None):
        assert await pairs(tmp_path, endings=endings) == {"x.mov": "x.jpeg"}
    assert await pairs(tmp_path, endings=("png",)) == {"x.mov": "x.png"}


async def test_a_type_that_the_server_takes_is_a_companion_and_no_other_type_has_one(
    tmp_path: Path,
) -> None:
    put_all(tmp_path, "x.jpg", "x.tif", "y.tif", "z.heic", "z.mov")
    endings = ("jpg", "tif")
    assert await pairs(tmp_path, endings=endings) == {"x.tif": "x.jpg"}
    found = await paired(tmp_path, endings=endings)
    assert [entry.path.name for entry in found if isinstance(entry, Photo)] == ["x.jpg", "y.tif"]
    skipped = [entry.path.name for entry in found if isinstance(entry, scan.Skipped)]
    assert skipped == ["z.heic", "z.mov"]
