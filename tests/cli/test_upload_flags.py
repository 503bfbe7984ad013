"""Flags of uploads: titles and tags, and what becomes of the files afterwards."""

import shutil
import sys
from pathlib import Path

import pytest

from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import one_photo, send
from tests.support.galleries import only_photo, tags_of
from tests.support.photos import files_in
from tests.support.runs import make_archive

SIDECAR = Path(__file__).parents[1] / "sidecars" / "lightroom.xmp"
TEXTS = {
    "name": "Low tide at “La Plage” & the café",
    "author": "Zoë Müller",
    "comment": "First evening.\nWater temperature < 15 °C, says O'Neil.",
    "date_creation": "2021-08-14 18:03:27",
}
PLACES = {"Anna", "Plage de l'Éventail", "Saint-Malo"}
OWN = {"name": "2019 Sea: IMG_1", "author": "Me", "comment": "Mine"}
FLAGS = [
    *("--title", "{folder}: {stem}", "--author", "Me", "--comment", "Mine"),
    *("--tag", "one, two", "--tag", "SEA", "--rating-as-tag"),
]
BARE = {"name": "IMG 1", "author": None, "comment": None, "date_creation": None}


@pytest.fixture
def sea(tmp_path: Path) -> Path:
    folder = tmp_path / "2019 Sea"
    folder.mkdir()
    one_photo(folder, "IMG_1.jpg")
    shutil.copy(SIDECAR, folder / "IMG_1.jpg.xmp")
    return folder


@pytest.mark.parametrize(
    ("flags", "tag", "texts", "tags"),
    [
        ([], "", TEXTS, PLACES | {"sea"}),
        (FLAGS, "", TEXTS | OWN, PLACES | {"SEA", "one, two", "★★★★"}),
        (["--no-sidecars"], "a b,c", BARE, {"a b", "c"}),
    ],
    ids=["sidecars", "flags win over sidecars", "flags without sidecars"],
)
async def test_texts_come_from_sidecars_and_flags(
    *, box: Sandbox, sea: Path, flags: list[str], tag: str, texts: dict[str, str], tags: set[str]
) -> None:
    assert (await send(box, sea, *flags, tag=tag)).code == 0
    photo = only_photo(box)
    assert {name: getattr(photo, name) for name in texts} == texts
    assert tags_of(box, photo) == tags


async def test_changed_texts_are_reported_at_the_end(box: Sandbox, sea: Path) -> None:
    for number in (2, 3):
        one_photo(sea, f"{number}.jpg")
    (sea / "IMG_1.jpg.xmp").write_text("broken")
    flags = ("--title", "🗼 {stem}", "--comment", "x" * 70_000)
    ended = await send(box, sea, *flags)
    assert {p.name for p in box.gallery.photos.values()} == {"� IMG_1", "� 2", "� 3"}
    assert ended.code == 0
    assert "3 photos had emoji in names or texts, now �" in ended.err
    assert "3 photos had texts too long for the gallery, now truncated" in ended.err
    assert "IMG_1.jpg.xmp is ignored: it is not XML" in ended.err


# `--after`


@pytest.fixture
def card(tmp_path: Path) -> Path:
    make_archive(tmp_path / "card", count=6, names=3)
    return tmp_path / "card"


async def test_files_stay_without_after_and_are_moved_and_counted_with_it(
    box: Sandbox, card: Path, tmp_path: Path
) -> None:
    before, done = files_in(card), tmp_path / "done"
    move = ("--after", f"move:{done}")
    for flags in ((), ("--after", "none"), ("--dry-run", *move)):
        assert (await send(box, card, *flags)).code == 0
        assert files_in(card) == before
        assert not files_in(done)
    ended = await send(box, card, *move)
    assert ended.code == 0
    assert "6  moved" in ended.err
    assert (files_in(done), files_in(card)) == (before, set())
    assert (await send(box, card, *move)).code == 0


async def test_photos_are_trashed(
    box: Sandbox, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for module in [name for name in sys.modules if name.startswith("send2trash")]:
        monkeypatch.delitem(sys.modules, module)  # it reads the place once, when imported
    ended = await send(box, card, "--after", "trash")
    assert ended.code == 0
    assert "6  moved" in ended.err
    assert not files_in(card)
    assert len([name for name in files_in(tmp_path) if "/files/" in name]) == 6
    assert len(box.gallery.photos) == 6


async def test_files_that_stay_make_exit_code_1(box: Sandbox, card: Path, tmp_path: Path) -> None:
    box.faults.add(Fault("html", "pwg.images.checkFiles"))
    ended = await send(box, card, "--retries", "0", "--after", f"move:{tmp_path}/done")
    assert len(box.gallery.photos) == 6
    assert ended.code == 1
    assert "6  not moved" in ended.err
    assert "stays: " in ended.err
    assert len(files_in(card)) == 6


async def test_a_missing_library_is_named_with_its_extra(
    box: Sandbox, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library, command, flags, extra in (
        ("send2trash", "upload", ["--after", "trash"], "bulkup[trash]"),
        ("watchfiles", "watch", [], "bulkup[watch]"),
    ):
        monkeypatch.setitem(sys.modules, library, None)
        ended = await send(box, command, card, *flags)
        assert ended.code == 2
        assert f"pip install '{extra}'" in ended.err
    assert not box.requests
