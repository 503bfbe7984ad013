"""Which file beside a photo is read, and what is done about one that can't be."""

import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from bulkup.source.metadata import Metadata
from bulkup.source.sidecars import LARGEST, Sidecars, beside, may_hold_keywords
from tests.support.walks import link

FOLDER = Path(__file__).parents[1] / "sidecars"


def xmp(path: Path, title: str) -> Path:
    path.write_text(
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="{title}"/>'
        "</rdf:RDF>",
        encoding="utf-8",
    )
    return path


def told(photo: Path) -> Metadata:
    metadata, complaints = Sidecars().read(photo)
    assert complaints == []
    return metadata


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.jpg.XMP", "a.xmp", "a.Xmp"])
def test_an_xmp_beside_its_photo(tmp_path: Path, name: str) -> None:
    for other in ("b.jpg.xmp", "A.jpg.xmp", "a.png.xmp", "a.jpg.xmp.bak", "a.x"):
        xmp(tmp_path / other, "of another photo")
    assert told(tmp_path / "a.jpg") == Metadata()
    xmp(tmp_path / name, "T")
    assert told(tmp_path / "a.jpg").title == "T"


def test_xmp_by_the_whole_name_counts_more_than_by_the_stem_and_adds_to_takeout(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jpg.json").write_text(
        '{"title": "b.jpg", "description": "from Google", "photoTakenTime": {"timestamp": "0"}}'
    )
    xmp(tmp_path / "a.xmp", "T")
    assert told(tmp_path / "a.jpg") == Metadata(title="T", description="from Google")
    xmp(tmp_path / "a.jpg.xmp", "of the whole name")
    assert told(tmp_path / "a.jpg").title == "of the whole name"


def test_a_real_takeout_folder(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "takeout", tmp_path, dirs_exist_ok=True)
    for name in ("IMG_20190701_140322.jpg", "IMG_20190701_140322-edited.jpg"):
        assert told(tmp_path / name).people == ("Anna", "Jürgen")


def test_names_meet_in_any_form_of_unicode(tmp_path: Path) -> None:
    xmp(tmp_path / f"{unicodedata.normalize('NFD', 'Été')}.jpg.xmp", "T")
    assert told(tmp_path / f"{unicodedata.normalize('NFC', 'Été')}.jpg").title == "T"


def test_a_sidecar_that_comes_later_is_seen(tmp_path: Path) -> None:
    sidecars = Sidecars()
    assert sidecars.read(tmp_path / "a.jpg")[0] == Metadata()
    xmp(tmp_path / "a.xmp", "T")
    status = tmp_path.stat()
    os.utime(tmp_path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert sidecars.read(tmp_path / "a.jpg")[0].title == "T"


def test_what_is_gone_tells_nothing(tmp_path: Path) -> None:
    assert told(tmp_path / "nowhere" / "a.jpg") == Metadata()
    assert not may_hold_keywords(tmp_path / "a.jpg")


def test_of_two_spellings_one_is_taken() -> None:
    names = {"a.jpg.xmp": "a.jpg.XMP", "a.xmp": "a.xmp", "a.jpg.json": "a.jpg.json"}
    assert list(beside("a.jpg", names)) == ["a.jpg.XMP", "a.jpg.json"]


# what can't be used


def complaints(photo: Path, told: Metadata | None = None) -> dict[str, str]:
    """Return the reason for each file, of a photo of which nothing else is told."""
    metadata, complaints = Sidecars().read(photo)
    assert metadata == (told or Metadata())
    return {str(each.path.relative_to(photo.parent)): each.reason for each in complaints}


def test_a_broken_file_is_named_with_the_reason_and_what_is_not_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.xmp").write_text("no xml")
    (tmp_path / "a.jpg.json").write_text("no json")
    both = complaints(tmp_path / "a.jpg")
    assert list(both) == ["a.jpg.xmp", "a.jpg.json"]
    assert both["a.jpg.xmp"].startswith("it is not XML")
    assert both["a.jpg.json"].startswith("it is not JSON")
    xmp(tmp_path / "a.jpg.xmp", "T")
    assert list(complaints(tmp_path / "a.jpg", Metadata(title="T"))) == ["a.jpg.json"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, "it is not a file"),
        (lambda path: link(path, "nowhere"), "No such file or directory"),
        (lambda path: path.write_bytes(bytes(LARGEST + 1)), "it is larger than 8 MB"),
    ],
    ids=["a folder", "a pipe", "a link to nowhere", "a large file"],
)
def test_what_is_no_small_file_is_named_and_not_waited_for(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "a.xmp")
    assert complaints(tmp_path / "a.jpg") == {"a.xmp": reason}


# keywords of the photo's own


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xff\xd8\xff\xed\x00\x1aPhotoshop 3.0\x008BIM\x04\x04", True),
        (b"\xff\xd8\xff\xe1\x00\x1aExif\x00\x00", False),
        (b"", False),
    ],
)
def test_a_photo_with_a_part_for_iptc(tmp_path: Path, content: bytes, *, expected: bool) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert may_hold_keywords(tmp_path / "a.jpg") is expected
