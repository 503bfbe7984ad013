"""Sidecars of photos: which file is read, XMP, and what is done about unusable ones."""

import os
import re
import shutil
import unicodedata
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.events import Event, Noticed
from bulkup.source import sidecars
from bulkup.source.metadata import Labels, Metadata, Moment
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
    spelled = {"a.jpg.xmp": "a.jpg.XMP", "a.xmp": "a.xmp", "a.jpg.json": "a.jpg.json"}
    paths = {name: Path(real) for name, real in spelled.items()}
    assert list(sidecars.beside("a.jpg", paths)) == [Path("a.jpg.XMP"), Path("a.jpg.json")]


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
    (tmp_path / "d.xmp").write_bytes(bytes(sidecars.LARGEST + 1))
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


# XMP


PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:digiKam="http://www.digikam.org/ns/1.0/">
<rdf:Description rdf:about="" %s>%s</rdf:Description></rdf:RDF></x:xmpmeta>"""


def read_packet(inside: str = "", *, attributes: str = "") -> Metadata:
    return sidecars.read_xmp((PACKET % (attributes, inside)).encode())


def test_the_sidecars_of_lightroom_darktable_digikam_and_exiftool_are_read() -> None:
    samples = {
        "lightroom.xmp": Metadata(
            title="Low tide at “La Plage” & the café",
            description="First evening.\nWater temperature < 15 °C, says O'Neil.",
            author="Zoë Müller",
            date=Moment("2021-08-14 18:03:27"),
            tags=("Saint-Malo", "sea", "Anna", "Plage de l'Éventail"),
            rating=4,
        ),
        "darktable.jpg.xmp": Metadata(
            title="Heiligabend",
            author="Jürgen, Αλέξανδρος",
            date=Moment("2022-12-24 19:30:05"),
            tags=("Familie", "Weihnachten"),
        ),
        "digikam.jpg.xmp": Metadata(
            title="東京タワー",
            description="夜の東京 🗼",
            date=Moment("2018-05-01 00:15:00"),
            tags=("東京", "Nacht"),
            rating=5,
        ),
        "exiftool.xmp": Metadata(
            title="Wedding, about 1950",
            description="Scanned from a print",
            author="A. Nonymous",
            date=Moment("1950-01-01 00:00:00", timedelta(days=366)),
            tags=("album 3", "grandparents"),
            rating=3,
        ),
    }
    assert {name: sidecars.read_xmp((FOLDER / name).read_bytes()) for name in samples} == samples


def alt(*items: str) -> str:
    """Return a title in several languages."""
    return f"<dc:title><rdf:Alt>{''.join(items)}</rdf:Alt></dc:title>"


DEEP = '<rdf:li xml:lang="x-default" rdf:parseType="Resource"><rdf:value>deep</rdf:value></rdf:li>'
GERMAN = '<rdf:li xml:lang="de">eins</rdf:li>'


def test_a_text_in_any_notation() -> None:
    titles = {
        "<dc:title>plain</dc:title>": "plain",
        alt("<rdf:li>no language</rdf:li>"): "no language",
        alt('<rdf:li xml:lang="fr">un</rdf:li>', GERMAN): "un",
        alt('<rdf:li xml:lang="x-default"> </rdf:li>', GERMAN): "eins",
        alt(DEEP): "deep",
    } | dict.fromkeys((alt(), "<dc:title/>", ""), "")
    assert {inside: read_packet(inside).title for inside in titles} == titles


def test_values_may_be_attributes_and_no_value_is_no_metadata() -> None:
    attributes = 'dc:title="T" dc:subject="one" xmp:Rating="2" exif:DateTimeOriginal="2020-01-02"'
    date = Moment("2020-01-02 00:00:00", timedelta(days=1))
    read = read_packet(attributes=attributes)
    assert read == Metadata(title="T", tags=("one",), rating=2, date=date)
    assert read_packet() == Metadata()


def test_the_date_of_the_shot_counts_more_than_the_file_s() -> None:
    shot, made, file = (f"200{n}-0{n}-0{n}T0{n}:0{n}:0{n}" for n in (1, 2, 3))
    for dates, counts in (
        ({"xmp:CreateDate": file}, file),
        ({"xmp:CreateDate": file, "photoshop:DateCreated": made}, made),
        ({"photoshop:DateCreated": made, "exif:DateTimeOriginal": shot}, shot),
        ({"photoshop:DateCreated": made, "exif:DateTimeOriginal": "0000-00-00"}, made),
    ):
        attributes = " ".join(f'{name}="{date}"' for name, date in dates.items())
        assert read_packet(attributes=attributes).date == Moment(counts.replace("T", " "))


def test_ratings() -> None:
    ratings = {"5": 5, "4.0": 4} | dict.fromkeys(("0", "-1", "6", "many", "", "1e999"), 0)
    for text, rating in ratings.items():
        assert read_packet(f"<xmp:Rating>{text}</xmp:Rating>").rating == rating, text


def test_the_last_level_of_a_keyword_is_the_tag() -> None:
    bag = "<{0}><rdf:Bag>{1}</rdf:Bag></{0}>"
    inside = bag.format(
        "lr:hierarchicalSubject",
        "<rdf:li>Places|Italy|Rome</rdf:li><rdf:li>a/b</rdf:li><rdf:li>|</rdf:li>"
        "<rdf:li>darktable|exported</rdf:li>",
    ) + bag.format("digiKam:TagsList", "<rdf:li>People/Anna</rdf:li><rdf:li>c|d</rdf:li>")
    assert read_packet(inside).tags == ("Rome", "a/b", "Anna", "c|d")


WHOLE = PACKET % ('dc:title="Été"', "")
SECOND = '<rdf:Description dc:title="Été"/></rdf:RDF>'


def test_any_encoding_surrounding_whitespace_and_several_descriptions() -> None:
    for data in (
        *(WHOLE.encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16")),
        b"\xff\xfe" + WHOLE.encode("utf-16-le"),
        b'\n  <?xml version="1.0"?>\n' + WHOLE.encode() + b"\n\0\0",
        (PACKET % ("", "")).replace("</rdf:RDF>", SECOND).encode(),
    ):
        assert sidecars.read_xmp(data) == Metadata(title="Été")


BOMB = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<x>&b;</x>"""
OUTER = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is not XML: no element found"),
        (b"no xml", "it is not XML: syntax error"),
        (b"<a><b></a>", "it is not XML: mismatched tag"),
        (b"\xff\xd8\xff\xe0 a photo", "it is not XML: not well-formed"),
        ((PACKET % ("", ""))[:-9].encode(), "it is not XML: unclosed token"),
        (b"<gpx/>", "it is XML, but not XMP"),
        (b'<?xml version="1.0" encoding="none-such"?><a/>', "it is not XML: unknown encoding"),
        (BOMB.encode(), "it defines XML entities or types"),
        (OUTER.encode(), "it defines XML entities or types"),
    ],
)
def test_other_documents_are_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        sidecars.read_xmp(data)


@given(data=st.data())
def test_no_bytes_and_no_damage_to_a_sidecar_do_harm(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["lightroom.xmp", "digikam.jpg.xmp"]))
    content = bytearray((FOLDER / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for damaged in (
        content[: data.draw(st.integers(0, len(content)))],
        data.draw(st.binary(max_size=200)),
    ):
        with suppress(ValueError):
            sidecars.read_xmp(bytes(damaged))


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
