"""Sidecars of photos: which file is read, and what is done about unusable ones."""

import os
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from bulkup.events import Event, Noticed
from bulkup.source import sidecars
from bulkup.source.files import LARGEST_SIDECAR
from bulkup.source.metadata import Iptc, Labels, Metadata
from bulkup.source.takeout.names import FolderNames
from tests.support.embedded import iptc, jpeg, jpeg_with_iptc, xmp_segment
from tests.support.photos import write_xmp
from tests.support.walks import link, photo_at

FOLDER = Path(__file__).parents[1] / "sidecars"
OWN = Iptc(title="own title", keywords=("sea", "own"))


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


# metadata of a photo


BOTH = Metadata(title="T", tags=("Sea", "own"), iptc=OWN)


@pytest.mark.parametrize(
    ("labels", "metadata"),
    [
        (Labels(), BOTH),
        (Labels(author="Me"), replace(BOTH, author="Me")),
        (Labels(sidecars=False), Metadata(title="own title", tags=("sea", "own"), iptc=OWN)),
        (Labels(embedded=False), Metadata(title="T", tags=("Sea",), iptc=OWN)),
        (Labels(sidecars=False, embedded=False, author="Me"), Metadata(author="Me")),
        (
            Labels(sidecars=False, embedded=False, tags=("a",)),
            Metadata(tags=("a",), iptc=OWN),
        ),
    ],
)
async def test_labels_take_precedence_over_sidecars_and_these_over_the_file(
    tmp_path: Path, labels: Labels, metadata: Metadata
) -> None:
    photo = photo_at(tmp_path / "a.jpg", jpeg_with_iptc(iptc("own title", "sea", "own")))
    write_xmp(photo.path, "Sea", title="T")
    assert await sidecars.Describer(labels, emit=list[Event]().append)(photo) == metadata
    photo.path.unlink()  # sending it will report that
    assert (await sidecars.Describer(labels, emit=list[Event]().append)(photo)).iptc is None


async def test_malformed_metadata_in_a_photo_is_reported_once(tmp_path: Path) -> None:
    photo = photo_at(tmp_path / "a.jpg", jpeg([xmp_segment(b"no xml")]))
    events: list[Event] = []
    describe = sidecars.Describer(Labels(), emit=events.append)
    for _ in range(2):
        assert await describe(photo) == Metadata()
    (event,) = events
    assert isinstance(event, Noticed)
    assert event.message.startswith(f"the XMP data in {photo.path} is ignored: it is not XML")


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
