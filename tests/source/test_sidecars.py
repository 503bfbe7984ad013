"""Which file beside a photo is read, and what is done about one that can't be."""

import os
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest

from bulkup.source.metadata import Metadata
from bulkup.source.sidecars import LARGEST, Complaint, Sidecars, beside, may_hold_keywords

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
    xmp(tmp_path / name, "T")
    assert told(tmp_path / "a.jpg").title == "T"


@pytest.mark.parametrize("name", ["b.jpg.xmp", "A.jpg.xmp", "a.png.xmp", "a.jpg.xmp.bak", "a.x"])
def test_an_xmp_of_another_photo(tmp_path: Path, name: str) -> None:
    xmp(tmp_path / name, "T")
    assert told(tmp_path / "a.jpg") == Metadata()


def test_the_xmp_with_the_whole_name_counts_alone(tmp_path: Path) -> None:
    xmp(tmp_path / "a.xmp", "of the RAW")
    xmp(tmp_path / "a.jpg.xmp", "of the JPEG")
    assert told(tmp_path / "a.jpg").title == "of the JPEG"


def test_xmp_counts_more_than_takeout_and_both_add_up(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.json").write_text(
        '{"title": "b.jpg", "description": "from Google", "photoTakenTime": {"timestamp": "0"}}'
    )
    xmp(tmp_path / "a.xmp", "T")
    assert told(tmp_path / "a.jpg") == Metadata(title="T", description="from Google")


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


def test_a_folder_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    assert told(tmp_path / "nowhere" / "a.jpg") == Metadata()


def test_of_two_spellings_one_is_taken() -> None:
    names = {"a.jpg.xmp": "a.jpg.XMP", "a.xmp": "a.xmp", "a.jpg.json": "a.jpg.json"}
    assert list(beside("a.jpg", names)) == ["a.jpg.XMP", "a.jpg.json"]


# what can't be used


def complaints(photo: Path) -> list[Complaint]:
    metadata, complaints = Sidecars().read(photo)
    assert metadata == Metadata()
    return complaints


def test_a_broken_file_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.xmp").write_text("no xml")
    (tmp_path / "a.jpg.json").write_text("no json")
    first, second = complaints(tmp_path / "a.jpg")
    assert first.path == tmp_path / "a.jpg.xmp"
    assert first.reason.startswith("it is not XML")
    assert second.path == tmp_path / "a.jpg.json"
    assert second.reason.startswith("it is not JSON")


def test_what_is_not_broken_is_used_all_the_same(tmp_path: Path) -> None:
    xmp(tmp_path / "a.jpg.xmp", "T")
    (tmp_path / "a.jpg.json").write_text("no json")
    metadata, complaints = Sidecars().read(tmp_path / "a.jpg")
    assert metadata.title == "T"
    assert len(complaints) == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.xmp").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert complaints(tmp_path / "a.jpg") == [
        Complaint(tmp_path / "a.xmp", "it is larger than 8 MB")
    ]


def test_a_folder_of_that_name_is_no_sidecar(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").mkdir()
    assert len(complaints(tmp_path / "a.jpg")) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xmp")
    assert complaints(tmp_path / "a.jpg") == [Complaint(tmp_path / "a.xmp", "it is not a file")]


def test_a_dangling_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").symlink_to(tmp_path / "nowhere")
    assert complaints(tmp_path / "a.jpg") == [
        Complaint(tmp_path / "a.xmp", "No such file or directory")
    ]


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


def test_a_photo_that_is_gone_holds_none(tmp_path: Path) -> None:
    assert not may_hold_keywords(tmp_path / "a.jpg")
