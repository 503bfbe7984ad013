"""Sidecars of photos: which file is read, and what is done about unusable ones."""

import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from bulkup.events import Event, Noticed
from bulkup.source import sidecars
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.photos import LARGEST_SIDECAR
from bulkup.source.takeout_names import FolderNames
from tests.support.photos import write_xmp
from tests.support.walks import link, photo_at

FOLDER = Path(__file__).parents[1] / "sidecars"
WITH_IPTC = b"\xff\xd8\xff\xed\x00\x1aPhotoshop 3.0\x008BIM"


def xmp(path: Path, title: str) -> None:
    write_xmp(path, name=path.name, title=title)


def described(photo: Path) -> Metadata:
    metadata, complaints = sidecars.Sidecars().read(photo)
    assert complaints == []
    return metadata


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.jpg.XMP", "a.xmp", "a.Xmp"])
def test_an_xmp_beside_its_photo(tmp_path: Path, name: str) -> None:
    for other in ("b.jpg.xmp", "A.jpg.xmp", "a.png.xmp", "a.jpg.xmp.bak", "a.x"):
        xmp(tmp_path / other, "of another photo")
    assert described(tmp_path / "a.jpg") == Metadata()
    xmp(tmp_path / name, "T")
    assert described(tmp_path / "a.jpg").title == "T"
    xmp(tmp_path / unicodedata.normalize("NFD", f"Été{name[1:]}"), "T")
    assert described(tmp_path / unicodedata.normalize("NFC", "Été.jpg")).title == "T"


def test_xmp_by_the_whole_name_counts_more_than_by_the_stem_and_adds_to_takeout(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jpg.json").write_text(
        '{"title": "b.jpg", "description": "from Google", "photoTakenTime": {"timestamp": "0"}}'
    )
    xmp(tmp_path / "a.xmp", "T")
    assert described(tmp_path / "a.jpg") == Metadata(title="T", description="from Google")
    xmp(tmp_path / "a.jpg.xmp", "of the whole name")
    assert described(tmp_path / "a.jpg").title == "of the whole name"


def test_a_real_takeout_folder(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "takeout", tmp_path, dirs_exist_ok=True)
    for name in ("IMG_20190701_140322.jpg", "IMG_20190701_140322-edited.jpg"):
        assert described(tmp_path / name).people == ("Anna", "Jürgen")


def test_a_sidecar_that_comes_later_is_seen_and_a_missing_folder_has_none(tmp_path: Path) -> None:
    reader = sidecars.Sidecars()
    assert reader.read(tmp_path / "nowhere" / "a.jpg") == (Metadata(), [])
    assert reader.read(tmp_path / "a.jpg")[0] == Metadata()
    xmp(tmp_path / "a.xmp", "T")
    status = tmp_path.stat()
    os.utime(tmp_path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert reader.read(tmp_path / "a.jpg")[0].title == "T"


def test_of_two_spellings_one_is_read() -> None:
    spelled = ("a.jpg.XMP", "a.jpg.xmp", "a.xmp", "a.jpg.json")
    names = FolderNames(dict.fromkeys(spelled, Path()))
    assert list(sidecars.beside("a.jpg", names)) == [Path("a.jpg.XMP"), Path("a.jpg.json")]


# what can't be used


def complaints(photo: Path, described: Metadata | None = None) -> dict[str, str]:
    """Return the reason for each file, of a photo of which nothing else is reported."""
    metadata, complaints = sidecars.Sidecars().read(photo)
    assert metadata == (described or Metadata())
    return {str(each.path.relative_to(photo.parent)): each.reason for each in complaints}


def test_a_broken_sidecar_is_reported_and_the_other_one_used(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.xmp").write_text("no xml")
    (tmp_path / "a.jpg.json").write_text("no json")
    both = complaints(tmp_path / "a.jpg")
    assert list(both) == ["a.jpg.xmp", "a.jpg.json"]
    assert both["a.jpg.xmp"].startswith("it is not XML")
    assert both["a.jpg.json"].startswith("it is not JSON")
    xmp(tmp_path / "a.jpg.xmp", "T")
    assert list(complaints(tmp_path / "a.jpg", Metadata(title="T"))) == ["a.jpg.json"]


def test_anything_but_a_small_file_is_reported_without_blocking(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").mkdir()
    os.mkfifo(tmp_path / "b.xmp")
    link(tmp_path / "c.xmp", "nowhere")
    (tmp_path / "d.xmp").write_bytes(bytes(LARGEST_SIDECAR + 1))
    reasons = {"a": "Is a directory", "b": "it is not a file", "c": "No such file or directory"}
    reasons["d"] = "it is larger than 8 MB"
    for name, reason in reasons.items():
        assert complaints(tmp_path / f"{name}.jpg") == {f"{name}.xmp": reason}


# keywords of the photo's own


def test_a_photo_with_a_part_for_iptc(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    assert not sidecars.may_hold_keywords(photo)  # it is not there
    for content in (WITH_IPTC, b"\xff\xd8\xff\xe1\x00\x1aExif", b""):
        photo.write_bytes(content)
        assert sidecars.may_hold_keywords(photo) is (content is WITH_IPTC)


# metadata of a photo


@pytest.mark.parametrize(
    ("labels", "metadata"),
    [
        (
            Labels(author="Me"),
            Metadata(title="T", author="Me", tags=("sea",), embedded_keywords=True),
        ),
        (Labels(sidecars=False, author="Me"), Metadata(author="Me")),
        (Labels(sidecars=False, tags=("a",)), Metadata(tags=("a",), embedded_keywords=True)),
    ],
)
async def test_labels_and_sidecars_are_merged_and_embedded_keywords_noted(
    tmp_path: Path, labels: Labels, metadata: Metadata
) -> None:
    photo = photo_at(tmp_path / "a.jpg", WITH_IPTC)
    write_xmp(photo.path, "sea", title="T")
    assert await sidecars.Describer(labels, emit=list[Event]().append)(photo) == metadata


async def test_a_broken_sidecar_is_reported_once_unless_sidecars_are_ignored(
    tmp_path: Path,
) -> None:
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_text("broken")
    events: list[Event] = []
    photo = photo_at(tmp_path / "a.jpg", b"jpeg")
    assert (
        await sidecars.Describer(Labels(sidecars=False), emit=events.append)(photo) == Metadata()
    )
    assert events == []
    describe = sidecars.Describer(Labels(), emit=events.append)
    for _ in range(3):
        assert await describe(photo) == Metadata()
    (event,) = events
    assert isinstance(event, Noticed)
    assert str(sidecar) in event.message
    assert "it is not XML" in event.message
