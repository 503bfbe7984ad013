"""XMP documents: texts, dates, keywords, people and places in all notations, and bad ones."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.source.metadata import Labels, Metadata, Moment
from bulkup.source.xmp import may_describe, read_xmp

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


def read_packet(inside: str = "", *, attributes: str = "") -> Metadata:
    return read_xmp((PACKET % (attributes, inside)).encode())


def test_the_sidecars_of_lightroom_darktable_digikam_and_exiftool_are_read() -> None:
    samples = {
        "lightroom.xmp": Metadata(
            title="Low tide at “La Plage” & the café",
            description="First evening.\nWater temperature < 15 °C, says O'Neil.",
            author="Zoë Müller",
            date=Moment("2021-08-14 18:03:27"),
            tags=("Saint-Malo", "sea", "Anna", "Plage de l'Éventail"),
            keyword_paths=(
                ("Places", "France", "Brittany", "Saint-Malo"),
                ("People", "Anna"),
                ("Places", "France", "Brittany", "Plage de l'Éventail"),
            ),
            rating=4,
        ),
        "darktable.jpg.xmp": Metadata(
            title="Heiligabend",
            author="Jürgen, Αλέξανδρος",
            date=Moment("2022-12-24 19:30:05"),
            tags=("Familie", "Weihnachten"),
            keyword_paths=(("Familie", "Weihnachten"),),
        ),
        "digikam.jpg.xmp": Metadata(
            title="東京タワー",
            description="夜の東京 🗼",
            date=Moment("2018-05-01 00:15:00"),
            tags=("東京", "Nacht"),
            keyword_paths=(("Orte", "Japan", "東京"),),
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
    assert {name: read_xmp((FOLDER / name).read_bytes()) for name in samples} == samples


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
    read = read_packet(inside)
    assert read.tags == ("Rome", "a/b", "Anna", "c|d")
    assert read.keyword_paths == (("Places", "Italy", "Rome"), ("People", "Anna"))


def test_no_document_fills_a_gallery_with_tags() -> None:
    def bag(count: int) -> str:
        items = "".join(f"<rdf:li>{number}</rdf:li>" for number in range(count))
        return f"<dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>"

    assert len(read_packet(bag(2000)).tags) == 2000
    with pytest.raises(ValueError, match="more than 2,000 keywords"):
        read_packet(bag(2001))


def test_keywords_as_whole_paths_stand_for_their_levels() -> None:
    read = Metadata(
        tags=("italy", "sea", "Rome", "Anna"),
        keyword_paths=(("Places", "Italy", "Rome"), ("People", "Anna")),
    )
    applied = Labels(tags=("Anna",), keyword_paths=True).apply(
        read, path=Path("/a.jpg"), modified=datetime(2020, 1, 1, tzinfo=UTC)
    )
    assert applied.tags == ("Anna", "sea", "Places/Italy/Rome", "People/Anna")


def test_the_headline_stands_in_for_a_title() -> None:
    assert read_packet(attributes='photoshop:Headline="H"').title == "H"
    assert read_packet(attributes='photoshop:Headline="H" dc:title="T"').title == "T"


@pytest.mark.parametrize(
    ("latitude", "longitude", "position"),
    [
        ("52,30.5N", "13,24.0E", (52.508333, 13.4)),
        ("52,30,30S", "13,24,36W", (-52.508333, -13.41)),
        ("-52.5", "13.25", (-52.5, 13.25)),
        ("52,30.5N", None, None),
        ("0,0.0N", "0,0.0E", None),
        ("91,0.0N", "13,24.0E", None),
        ("many", "13,24.0E", None),
    ],
)
def test_positions(
    latitude: str, longitude: str | None, position: tuple[float, float] | None
) -> None:
    attributes = f'exif:GPSLatitude="{latitude}"'
    if longitude is not None:
        attributes += f' exif:GPSLongitude="{longitude}"'
    found = read_packet(attributes=attributes).position
    assert (found and tuple(round(degrees, 6) for degrees in found)) == position


FACES = """<mwg:Regions rdf:parseType="Resource"
 xmlns:mwg="http://www.metadataworkinggroup.com/schemas/regions/"><mwg:RegionList><rdf:Bag>
<rdf:li><rdf:Description mwg:Name="Anna" mwg:Type="Face"><mwg:Area/></rdf:Description></rdf:li>
<rdf:li rdf:parseType="Resource"><mwg:Name>Jürgen</mwg:Name><mwg:Type>Face</mwg:Type></rdf:li>
<rdf:li mwg:Name="Rex" mwg:Type="Pet"/><rdf:li mwg:Type="Face"/>
</rdf:Bag></mwg:RegionList></mwg:Regions>
<mp:RegionInfo xmlns:mp="http://ns.microsoft.com/photo/1.2/" rdf:parseType="Resource"
 xmlns:list="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"><list:Regions><rdf:Bag>
<rdf:li p:PersonDisplayName="Zoë" xmlns:p="http://ns.microsoft.com/photo/1.2/t/Region#"/>
</rdf:Bag></list:Regions></mp:RegionInfo>
<ext:PersonInImage xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"><rdf:Bag>
<rdf:li>anna</rdf:li><rdf:li>Otto</rdf:li></rdf:Bag></ext:PersonInImage>"""


def test_the_names_of_faces_and_of_others_in_the_picture_are_people() -> None:
    assert read_packet(FACES).people == ("Anna", "Jürgen", "Zoë", "Otto")


def test_what_describes_the_parts_of_a_montage_does_not_count() -> None:
    part = '<rdf:Description dc:title="of a part"><dc:subject>p</dc:subject></rdf:Description>'
    assert read_packet(f"<photoshop:Parts><rdf:li>{part}</rdf:li></photoshop:Parts>") == Metadata()


WHOLE = PACKET % ('dc:title="Été"', "")
SECOND = '<rdf:Description dc:title="Été"/></rdf:RDF>'


def test_any_encoding_surrounding_whitespace_and_several_descriptions() -> None:
    for data in (
        *(WHOLE.encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16")),
        b"\xff\xfe" + WHOLE.encode("utf-16-le"),
        b'\n  <?xml version="1.0"?>\n' + WHOLE.encode() + b"\n\0\0",
        (PACKET % ("", "")).replace("</rdf:RDF>", SECOND).encode(),
    ):
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
def test_other_documents_are_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        read_xmp(data)


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
            read_xmp(bytes(damaged))


def test_documents_of_other_things_need_not_be_parsed() -> None:
    depth = 'xmlns="x" xmlns:g="http://ns.google.com/photos/1.0/depthmap/"'
    assert not may_describe(depth.encode() * 9)
    assert may_describe(depth.encode() * 999)  # that takes too long to find out
    for name in ("purl.org/dc/elements/1.1/", "ns.microsoft.com/photo/1.2/t/RegionInfo#"):
        assert may_describe(f"{depth} xmlns:n='http://{name}'".encode())
    assert may_describe((FOLDER / "exiftool.xmp").read_bytes())
    assert may_describe(FACES.encode())
