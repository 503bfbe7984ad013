"""Titles and tags from flags and sidecars."""

from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import one_photo, send
from tests.support.galleries import only_photo, tags_of
from tests.support.photos import write_album_title

FOLDER = Path(__file__).parents[1] / "sidecars"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "2019 Sea"
    folder.mkdir()
    one_photo(folder, "IMG_1.jpg")
    (folder / "IMG_1.jpg.xmp").write_bytes((FOLDER / "lightroom.xmp").read_bytes())
    return folder


def told(box: Sandbox) -> dict[str, object]:
    photo = only_photo(box)
    return {
        "title": photo.name,
        "author": photo.author,
        "comment": photo.comment,
        "date": photo.date_creation,
        "tags": sorted(tags_of(box, photo)),
    }


SIDECAR = {
    "title": "Low tide at “La Plage” & the café",
    "author": "Zoë Müller",
    "comment": "First evening.\nWater temperature < 15 °C, says O'Neil.",
    "date": "2021-08-14 18:03:27",
    "tags": ["Anna", "Plage de l'Éventail", "Saint-Malo", "sea"],
}
OWN = {"title": "2019 Sea: IMG_1", "author": "Me", "comment": "Mine"}
OWN_TAGS = ["Anna", "Plage de l'Éventail", "SEA", "Saint-Malo", "one, two", "★★★★"]
BARE = {"title": "IMG 1", "author": None, "comment": None, "date": None, "tags": ["a b", "c"]}


FLAGS = [
    *("--title", "{folder}: {stem}", "--author", "Me", "--comment", "Mine"),
    *("--tag", "one, two", "--tag", "SEA", "--rating-as-tag"),
]


@pytest.mark.parametrize(
    ("flags", "tag", "expected"),
    [
        ([], "", SIDECAR),
        (FLAGS, "", SIDECAR | OWN | {"tags": OWN_TAGS}),
        (["--no-sidecars"], "a b,c", BARE),
    ],
    ids=["sidecars", "flags win over sidecars", "flags without sidecars"],
)
async def test_texts_come_from_sidecars_and_flags(
    box: Sandbox, photos: Path, flags: list[str], tag: str, expected: dict[str, object]
) -> None:
    assert (await send(box, photos, *flags, tag=tag)).code == 0
    assert told(box) == expected


async def test_changed_texts_are_reported_at_the_end(box: Sandbox, photos: Path) -> None:
    for number in (2, 3):
        one_photo(photos, f"{number}.jpg")
    (photos / "IMG_1.jpg.xmp").write_text("broken")
    flags = ("--title", "🗼 {stem}", "--comment", "x" * 70_000)
    ended = await send(box, photos, *flags)
    assert {p.name for p in box.gallery.photos.values()} == {"� IMG_1", "� 2", "� 3"}
    assert ended.code == 0
    assert "3 photos had emoji in names or texts, now �" in ended.err
    assert "3 photos had texts too long for the gallery, now truncated" in ended.err
    assert "IMG_1.jpg.xmp is ignored: it is not XML" in ended.err


async def test_takeout_albums_get_titles_unless_ignored(box: Sandbox, photos: Path) -> None:
    write_album_title(photos, "Sommer am Comer See", "Zwei Wochen im Juli")
    for _ in range(2):
        ended = await send(box, photos, "--tree", "--no-ledger")
        assert ended.code == 0
    assert "2  skipped by rule   metadata of photos" in ended.err
    _, made = box.gallery.albums.values()
    assert (made.name, made.comment) == ("Sommer am Comer See", "Zwei Wochen im Juli")
    assert (await send(box, photos, "--tree", "--no-sidecars", "--no-ledger")).code == 0
    assert [album.name for album in box.gallery.albums.values()][2:] == ["2019 Sea"]
