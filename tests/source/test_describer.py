"""What a photo is to get, from its sidecars and the user's flags, read off the event loop."""

from pathlib import Path

import pytest

from bulkup.events import Event, Noticed
from bulkup.source.metadata import Labels, Metadata
from bulkup.source.sidecars import Describer
from tests.support.photos import write_xmp
from tests.support.walks import photo_at

IPTC = b"\xff\xd8\xff\xed\x00\x1aPhotoshop 3.0\x008BIM"


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
async def test_sidecars_and_flags_meet_and_a_photo_that_gets_tags_may_have_its_own(
    tmp_path: Path, labels: Labels, metadata: Metadata
) -> None:
    photo = photo_at(tmp_path / "a.jpg", IPTC)
    write_xmp(photo.path, "sea", title="T")
    assert await Describer(labels, emit=list[Event]().append)(photo) == metadata


async def test_a_broken_sidecar_is_told_once_and_only_if_it_is_wanted(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_text("broken")
    events: list[Event] = []
    photo = photo_at(tmp_path / "a.jpg", b"jpeg")
    assert await Describer(Labels(sidecars=False), emit=events.append)(photo) == Metadata()
    assert events == []
    describe = Describer(Labels(), emit=events.append)
    for _ in range(3):
        assert await describe(photo) == Metadata()
    (event,) = events
    assert isinstance(event, Noticed)
    assert str(sidecar) in event.message
    assert "it is not XML" in event.message
