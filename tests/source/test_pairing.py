"""Which photo a RAW or a video belongs to: by stem and folder, whatever the walk comes to."""

from pathlib import Path

import pytest

from bulkup.source.photos import Photo
from bulkup.source.scan import PairedFile, Skipped, pair, scan
from tests.support.walks import put_all

ENDINGS = ("jpg", "jpeg", "png")


def pairs(root: Path, *, endings: tuple[str, ...] | None = ENDINGS) -> dict[str, str]:
    """Return the photo of each companion, both below the root."""
    return {
        str(found.path.relative_to(root)): str(found.of.relative_to(root))
        for found in pair(scan([root], endings=endings), endings=endings)
        if isinstance(found, PairedFile)
    }


def test_a_companion_is_of_the_photo_of_its_stem_in_its_folder(tmp_path: Path) -> None:
    put_all(
        tmp_path, "a/x.JPG", "a/x.NEF", "a/x.cr2", "a/x.d/y.jpg", "a/x-1.nef", "a/y.nef", "b/x.nef"
    )
    assert pairs(tmp_path) == {"a/x.NEF": "a/x.JPG", "a/x.cr2": "a/x.JPG"}


@pytest.mark.parametrize(
    ("endings", "photo"), [(ENDINGS, "x.jpeg"), (None, "x.jpeg"), (("png",), "x.png")]
)
def test_of_several_photos_the_best_that_the_server_takes_has_it(
    tmp_path: Path, endings: tuple[str, ...] | None, photo: str
) -> None:
    put_all(tmp_path, "x.heic", "x.jpeg", "x.mov", "x.png")
    assert pairs(tmp_path, endings=endings) == {"x.mov": photo}


def test_a_type_that_the_server_takes_is_a_companion_and_no_other_type_has_one(
    tmp_path: Path,
) -> None:
    put_all(tmp_path, "x.jpg", "x.tif", "y.tif", "z.heic", "z.mov")
    endings = ("jpg", "tif")
    assert pairs(tmp_path, endings=endings) == {"x.tif": "x.jpg"}
    found = [*pair(scan([tmp_path], endings=endings), endings=endings)]
    assert [entry.path.name for entry in found if isinstance(entry, Photo)] == ["x.jpg", "y.tif"]
    skipped = [entry.path.name for entry in found if isinstance(entry, Skipped)]
    assert skipped == ["z.heic", "z.mov"]


def test_a_companion_that_is_named_alone_finds_its_photo(tmp_path: Path) -> None:
    put_all(tmp_path, "x.jpg", "x.nef")
    (found,) = pair(scan([tmp_path / "x.nef"], endings=ENDINGS), endings=ENDINGS)
    assert isinstance(found, PairedFile)
    assert (found.of, found.size) == (tmp_path / "x.jpg", 1)
