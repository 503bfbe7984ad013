"""XMP as photographers' programs write it, and what is refused."""

import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.source.metadata import Metadata, Moment
from bulkup.source.sidecars import read_xmp

FOLDER = Path(__file__).parents[1] / "sidecars"
PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:digiKam="http://www.digikam.org/ns/1.0/">
<rdf:Description rdf:about="" %s>%s</rdf:Description></rdf:RDF></x:xmpmeta>"""


def told(name: str) -> Metadata:
    return read_xmp((FOLDER / name).read_bytes())


def packet(inside: str = "", *, attributes: str = "") -> Metadata:
    return read_xmp((PACKET % (attributes, inside)).encode())


def test_lightroom() -> None:
    assert told("lightroom.xmp") == Metadata(
        title="Low tide at “La Plage” & the café",
        description="First evening.\nWater temperature < 15 °C, says O'Neil.",
        author="Zoë Müller",
        date=Moment("2021-08-14 18:03:27"),
        tags=("Saint-Malo", "sea", "Anna", "Plage de l'Éventail"),
        rating=4,
    )


def test_darktable() -> None:
    assert told("darktable.jpg.xmp") == Metadata(
        title="Heiligabend",
        author="Jürgen, Αλέξανδρος",
        date=Moment("2022-12-24 19:30:05"),
        tags=("Familie", "Weihnachten"),
    )


def test_digikam() -> None:
    assert told("digikam.jpg.xmp") == Metadata(
        title="東京タワー",
        description="夜の東京 🗼",
        date=Moment("2018-05-01 00:15:00"),
        tags=("東京", "Nacht"),
        rating=5,
    )


def test_exiftool() -> None:
    assert told("exiftool.xmp") == Metadata(
        title="Wedding, about 1950",
        description="Scanned from a print",
        author="A. Nonymous",
        date=Moment("1950-01-01 00:00:00", timedelta(days=366)),
        tags=("album 3", "grandparents"),
        rating=3,
    )


def alt(*items: str) -> str:
    """Return a title in several languages."""
    return f"<dc:title><rdf:Alt>{''.join(items)}</rdf:Alt></dc:title>"


DEEP = '<rdf:li xml:lang="x-default" rdf:parseType="Resource"><rdf:value>deep</rdf:value></rdf:li>'
GERMAN = '<rdf:li xml:lang="de">eins</rdf:li>'


@pytest.mark.parametrize(
    ("inside", "title"),
    [
        ("<dc:title>plain</dc:title>", "plain"),
        (alt("<rdf:li>no language</rdf:li>"), "no language"),
        (alt('<rdf:li xml:lang="fr">un</rdf:li>', GERMAN), "un"),
        (alt('<rdf:li xml:lang="x-default"> </rdf:li>', GERMAN), "eins"),
        (alt(DEEP), "deep"),
        (alt(), ""),
        ("<dc:title/>", ""),
        ("", ""),
    ],
)
def test_a_text_in_any_spelling(inside: str, title: str) -> None:
    assert packet(inside).title == title


def test_values_may_be_attributes_and_nothing_tells_nothing() -> None:
    attributes = 'dc:title="T" dc:subject="one" xmp:Rating="2" exif:DateTimeOriginal="2020-01-02"'
    date = Moment("2020-01-02 00:00:00", timedelta(days=1))
    told = packet(attributes=attributes)
    assert told == Metadata(title="T", tags=("one",), rating=2, date=date)
    assert packet() == Metadata()


SHOT, MADE, FILE = "2001-01-01T01:01:01", "2002-02-02T02:02:02", "2003-03-03T03:03:03"


@pytest.mark.parametrize(
    ("dates", "counts"),
    [
        ({"xmp:CreateDate": FILE}, FILE),
        ({"xmp:CreateDate": FILE, "photoshop:DateCreated": MADE}, MADE),
        ({"photoshop:DateCreated": MADE, "exif:DateTimeOriginal": SHOT}, SHOT),
        ({"photoshop:DateCreated": MADE, "exif:DateTimeOriginal": "0000-00-00"}, MADE),
    ],
)
def test_the_date_of_the_shot_counts_more_than_the_file_s(
    dates: dict[str, str], counts: str
) -> None:
    attributes = " ".join(f'{name}="{date}"' for name, date in dates.items())
    assert packet(attributes=attributes).date == Moment(counts.replace("T", " "))


@pytest.mark.parametrize(
    ("text", "rating"),
    [("5", 5), ("4.0", 4), ("0", 0), ("-1", 0), ("6", 0), ("many", 0), ("", 0), ("1e999", 0)],
)
def test_ratings(text: str, rating: int) -> None:
    assert packet(f"<xmp:Rating>{text}</xmp:Rating>").rating == rating


def test_of_a_path_of_keywords_the_last_step_is_the_tag() -> None:
    bag = "<{0}><rdf:Bag>{1}</rdf:Bag></{0}>"
    inside = bag.format(
        "lr:hierarchicalSubject",
        "<rdf:li>Places|Italy|Rome</rdf:li><rdf:li>a/b</rdf:li><rdf:li>|</rdf:li>"
        "<rdf:li>darktable|exported</rdf:li>",
    ) + bag.format("digiKam:TagsList", "<rdf:li>People/Anna</rdf:li><rdf:li>c|d</rdf:li>")
    assert packet(inside).tags == ("Rome", "a/b", "Anna", "c|d")


WHOLE = PACKET % ('dc:title="Été"', "")
SECOND = '<rdf:Description dc:title="Été"/></rdf:RDF>'


@pytest.mark.parametrize(
    "data",
    [
        *(WHOLE.encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16")),
        b"\xff\xfe" + WHOLE.encode("utf-16-le"),
        b'\n  <?xml version="1.0"?>\n' + WHOLE.encode() + b"\n\0\0",
        (PACKET % ("", "")).replace("</rdf:RDF>", SECOND).encode(),
    ],
)
def test_any_encoding_of_unicode_blanks_around_and_several_descriptions(data: bytes) -> None:
    assert read_xmp(data) == Metadata(title="Été")


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
def test_what_is_no_xmp_is_refused_in_words(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        read_xmp(data)


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    with suppress(ValueError):
        read_xmp(data)


@given(data=st.data())
def test_no_damage_to_a_sidecar_does_harm(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["lightroom.xmp", "digikam.jpg.xmp"]))
    content = bytearray((FOLDER / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ValueError):
        read_xmp(bytes(content[: data.draw(st.integers(0, len(content)))]))
