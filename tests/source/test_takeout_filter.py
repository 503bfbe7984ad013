"""What is left out of a Takeout in favour of another file, and which folders are none."""

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from bulkup.events import SkipReason
from bulkup.source.filters import TAKEOUT_KINDS
from bulkup.source.photos import Photo
from bulkup.source.scan import Skipped, scan
from bulkup.source.takeout.filter import Judgement, OtherFolders, TakeoutFilter
from tests.support.walks import put_all

GOOGLE = json.dumps({"title": "a", "photoTakenTime": {"timestamp": "1"}}).encode()
LACKS_JSON = Judgement(lacks_json=True)


def judged(
    root: Path, *skip: SkipReason, endings: Collection[str] | None = None
) -> dict[str, Judgement]:
    """Return the verdicts on the files of a folder, by their names."""
    takeout = TakeoutFilter(frozenset(skip), endings=endings)
    found = [each for each in scan([root], endings=None) if isinstance(each, Photo | Skipped)]
    verdicts = takeout.judge(found)
    assert (takeout.summary() is None) == (not verdicts)
    return {path.name: verdict for path, verdict in verdicts.items()}


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"title": "a"}', b"no JSON", GOOGLE[:-20]])
def test_folders_without_json_of_google_are_none_of_a_takeout(
    tmp_path: Path, content: bytes
) -> None:
    put_all(tmp_path, "a.jpg", "b-edited.jpg", "b.jpg")
    assert judged(tmp_path, *TAKEOUT_KINDS[:5]) == {}
    put_all(tmp_path, "a.jpg.json", "gone.jpg.json", content=content)
    assert judged(tmp_path, *TAKEOUT_KINDS[:5]) == {}


def test_photos_without_json_and_json_without_photo_are_named_in_a_takeout(
    tmp_path: Path,
) -> None:
    put_all(tmp_path, "a.jpg", "b.jpg", "b-edited.jpg", "c.mp4", "c.heic")
    put_all(tmp_path, "a.jpg.json", "gone.jpg.json", "c.heic.json", content=GOOGLE)
    put_all(tmp_path, "manifest.json", "other.xmp", content=b"{}")
    assert judged(tmp_path) == {
        "b.jpg": LACKS_JSON,
        "b-edited.jpg": LACKS_JSON,
        "gone.jpg.json": Judgement(SkipReason.PHOTO_MISSING),
    }


def test_photos_of_albums_that_are_in_no_other_folder_either_are_counted(tmp_path: Path) -> None:
    put_all(tmp_path / "2019", "a.jpg", "b(1).jpg")
    put_all(tmp_path / "2019", "a.jpg.json", "b.jpg(1).json", content=GOOGLE)
    put_all(tmp_path / "Alps", "a.jpg.supplemental-metadata.json", content=GOOGLE)
    put_all(tmp_path / "Alps", "b.jpg.supplem.json", "gone.jpg.json", content=GOOGLE)
    put_all(tmp_path / "Sea", "gone.jpg.su(2).json", content=GOOGLE)
    takeout = TakeoutFilter(frozenset())
    takeout.judge(
        [each for each in scan([tmp_path], endings=None) if isinstance(each, Photo | Skipped)]
    )
    read = takeout.summary()
    assert read is not None
    assert (read.photos_missing, read.photos_nowhere) == (4, 2)
    assert read.folders_incomplete == ("Alps", "Sea")


def test_albums_are_counted_once_in_whatever_order_their_photos_come(tmp_path: Path) -> None:
    folders = ("Alps", "Rome", "Sea")
    for folder in folders:
        put_all(tmp_path / folder, "a.jpg", "b.jpg")
        put_all(tmp_path / folder, "a.jpg.json", "b.jpg.json", content=GOOGLE)
        title = json.dumps({"title": folder}).encode()
        put_all(tmp_path / folder, "metadata.json", content=title)
    takeout = TakeoutFilter(frozenset())
    for name in ("a.jpg", "b.jpg"):
        takeout.judge([Photo(tmp_path / folder / name, 1, 1) for folder in folders])
    read = takeout.summary()
    assert read is not None
    assert (read.albums, read.titles) == (3, folders)


def test_other_folders_may_have_only_the_json_of_a_photo(tmp_path: Path) -> None:
    photo = write_year(tmp_path)
    alone = (tmp_path / "Alps" / "a.jpg.suppl(3).json", tmp_path / "Sea" / "a.jpg.json")
    for path in alone:
        put_all(path.parent, path.name, content=GOOGLE)
    other, trashed = json.loads(GOOGLE) | {"title": "b"}, json.loads(GOOGLE) | {"trashed": True}
    put_all(tmp_path / "Rome", "a.jpg.json", content=json.dumps(other).encode())
    put_all(tmp_path / "Trash", "a.jpg.json", content=json.dumps(trashed).encode())
    assert sorted(OtherFolders(folders=[tmp_path])(photo)) == [*alone]
    assert OtherFolders(folders=[tmp_path])(photo.with_name("c.jpg")) == []
    some = OtherFolders(folders=[tmp_path], reaches=lambda folder: folder.name != "Sea")
    assert some(photo) == [alone[0]]
    assert OtherFolders()(photo) == []


def write_year(folder: Path) -> Path:
    put_all(folder / "2019", "a.jpg", "c.jpg")
    put_all(folder / "2019", "a.jpg.json", content=GOOGLE)
    return folder / "2019" / "a.jpg"


def test_no_file_is_left_out_in_favour_of_one_that_the_gallery_refuses(tmp_path: Path) -> None:
    put_all(tmp_path, "a.MP4", "a.HEIC", "b-edited.jpg", "b.HEIC", "c.jpg", "c-edited.HEIC")
    put_all(tmp_path, *(f"{name}.json" for name in ("a.HEIC", "b.HEIC", "c.jpg")), content=GOOGLE)
    live, edited, originals = (SkipReason.LIVE, SkipReason.EDITED, SkipReason.ORIGINALS)
    assert judged(tmp_path, live, edited) == {
        "a.MP4": Judgement(live),
        "b-edited.jpg": Judgement(edited),
        "c-edited.HEIC": Judgement(edited),
    }
    assert judged(tmp_path, live, edited, endings={"jpg", "mp4"}) == {
        "c-edited.HEIC": Judgement(edited)
    }
    assert judged(tmp_path, originals) == {
        "b.HEIC": Judgement(originals),
        "c.jpg": Judgement(originals),
    }
    assert judged(tmp_path, originals, endings={"jpg"}) == {"b.HEIC": Judgement(originals)}
