"""Metadata inside the files, by the command line: flags, formats, and what a next run knows."""

import shutil
from pathlib import Path

import pytest

from bulkup.engine.ledger_port import IPTC_FACTS
from bulkup.sandbox import Sandbox
from tests.support.commands import send
from tests.support.embedded import FOLDER, iptc, write_jpeg
from tests.support.galleries import calls, tags_of
from tests.support.ledgers import ledger_of

SET, LOOK = "pwg.images.setInfo", "pwg.images.getInfo"
Texts = tuple[str, str | None, str | None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def names(box: Sandbox) -> dict[str, str]:
    return {photo.file: photo.name for photo in box.gallery.photos.values()}


async def test_the_next_run_knows_it_and_looks_again_where_texts_might_be_lost(
    box: Sandbox, folder: Path
) -> None:
    async def uploaded(name: str, *flags: str) -> list[int]:
        write_jpeg(folder / f"{name}.jpg", iptc(name.upper(), "sea"))
        since = len(box.requests)
        ended = await send(box, folder, "--ledger", str(folder.with_name("ledger.sqlite")), *flags)
        assert ended.code == 0
        asked = calls(box, since=since)
        return [asked[SET], asked[LOOK]]

    assert await uploaded("a") == [1, 0]
    assert await uploaded("b") == [0, 0]  # it is known that the gallery reads nothing
    box.gallery.use_iptc = True
    assert await uploaded("c") == [0, 0]  # what is sent along replaces what the gallery reads
    async with ledger_of(box, folder) as ledger:
        for fact in IPTC_FACTS.values():
            await ledger.learn(fact, 1)
    box.gallery.use_iptc = False
    assert await uploaded("d") == [1, 0]
    assert set(names(box).values()) == set("ABCD")
    assert all(tags_of(box, photo) == {"sea"} for photo in box.gallery.photos.values())


@pytest.mark.parametrize(
    ("flags", "expected", "tags"),
    [
        ([], ("Low tide é “x” <b>", "Zoë", "two\nlines & more"), {"sea", "Rome", "日本"}),
        (
            ["--title", "{date}", "--people-as-tags", "--keyword-paths", "--rating-as-tag"],
            ("2018-01-02", "Zoë", "two\nlines & more"),
            {"sea", "Places/Italy/Rome", "日本", "Anna", "★★★★"},
        ),
        (["--no-embedded"], ("photo", None, None), set()),
    ],
)
async def test_what_photos_bring_is_sent_unless_it_is_not_wanted(
    *, box: Sandbox, folder: Path, flags: list[str], expected: Texts, tags: set[str]
) -> None:
    for kind in ("jpg", "png", "webp"):
        shutil.copy(FOLDER / f"photo.{kind}", folder)
    assert (await send(box, folder, *flags)).code == 0
    assert len(box.gallery.photos) == 3
    for photo in box.gallery.photos.values():
        assert (photo.name, photo.author, photo.comment) == expected
        assert tags_of(box, photo) - {"iptc only ü"} == tags
        if "--no-embedded" not in flags or photo.file == "photo.jpg":
            # PHP does not read the date of the others
            assert photo.date_creation == "2018-01-02 03:04:05"
