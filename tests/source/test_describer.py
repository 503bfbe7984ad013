"""What a photo is to get, from its sidecars and the user's flags, read off the event loop."""

from pathlib import Path

from bulkup.events import Event, Noticed
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.photos import Photo
from bulkup.source.sidecars import Describer

XMP = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="T" dc:subject="sea"/></rdf:RDF>"""


def photo(folder: Path, content: bytes = b"jpeg") -> Photo:
    path = folder / "a.jpg"
    path.write_bytes(content)
    return Photo(path, len(content), path.stat().st_mtime_ns)


async def test_sidecars_and_flags_meet(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").write_text(XMP)
    describe = Describer(Labels(author="Me"), emit=list[Event]().append)
    assert await describe(photo(tmp_path)) == Metadata(title="T", author="Me", tags=("sea",))


async def test_sidecars_are_not_read_when_not_wanted(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").write_text("broken")
    events: list[Event] = []
    describe = Describer(Labels(sidecars=False, author="Me"), emit=events.append)
    assert await describe(photo(tmp_path)) == Metadata(author="Me")
    assert events == []


async def test_a_broken_sidecar_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "a.jpg.xmp").write_text("broken")
    events: list[Event] = []
    describe = Describer(Labels(), emit=events.append)
    for _ in range(3):
        assert await describe(photo(tmp_path)) == Metadata()
    (event,) = events
    assert isinstance(event, Noticed)
    assert str(tmp_path / "a.jpg.xmp") in event.message
    assert "it is not XML" in event.message


async def test_keywords_of_the_photo_are_looked_for_where_it_gets_tags(tmp_path: Path) -> None:
    with_iptc = photo(tmp_path, b"\xff\xd8\xff\xed\x00\x1aPhotoshop 3.0\x008BIM")
    assert await Describer(Labels(tags=("a",)), emit=list[Event]().append)(with_iptc) == Metadata(
        tags=("a",), own_tags=True
    )
    assert await Describer(Labels(author="A"), emit=list[Event]().append)(with_iptc) == Metadata(
        author="A"
    )
