"""RAW files and the like beside photos: brought as formats of them, once, or told why not."""

from pathlib import Path
from random import Random

import pytest

from bulkup.engine.ports import Ledger, NoLedger, Stop
from bulkup.events import (
    Event,
    FileSkipped,
    Noticed,
    PhotoChecked,
    PhotoFailed,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    Verdict,
)
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.files import Content
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.filters import Filters, Patterns, read_flag
from bulkup.store.ledger import SqliteLedger
from tests.support.runs import Outcome, check, failures, picture, run

RAW = ["cr2", "nef", "tif", "mov"]


def write(folder: Path, *names: str) -> dict[str, bytes]:
    """Write files of different content, photos and others, and return what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {}
    for name in names:
        chance = Random(name)
        photo = name.lower().endswith((".jpg", ".jpeg", ".png"))
        contents[name] = picture(chance, size=900) if photo else chance.randbytes(9000)
        (folder / name).write_bytes(contents[name])
    return contents


async def bring(
    box: Sandbox,
    folder: Path,
    *,
    formats: bool = True,
    update: bool = False,
    memory: Ledger | None = None,
    chunk_size: int | None = None,
) -> Outcome:
    """Run with the ledger that lies beside the folder, or with that memory."""
    if memory is None:
        async with SqliteLedger(folder.with_name("ledger.sqlite"), server=box.url) as ledger:
            return await bring(
                box, folder, formats=formats, update=update, memory=ledger, chunk_size=chunk_size
            )
    outcome = await run(
        box, folder, memory=memory, formats=formats, update=update, chunk_size=chunk_size
    )
    assert outcome.balances()
    return outcome


def attached(box: Sandbox) -> dict[str, list[tuple[str, bytes]]]:
    """Return the formats of each photo, by its file name."""
    return {
        photo.file: sorted(
            (row.extension, row.content.read() if row.content else b"")
            for row in box.gallery.formats.of(photo.id)
        )
        for photo in box.gallery.photos.values()
    }


def uploads(box: Sandbox) -> int:
    return sum(
        seen.method in {"pwg.images.upload", "pwg.images.uploadAsync"} for seen in box.requests
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("chunk_size", [None, 4096])
async def test_files_beside_a_photo_become_its_formats_once(
    tmp_path: Path, version: str, chunk_size: int | None
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.NEF", "a.mov", "b.JPEG", "b.tif", "c.nef", "d.jpg")
    async with Sandbox(version=version, formats=RAW) as box:
        outcome = await bring(box, folder, chunk_size=chunk_size)
        assert attached(box) == {
            "a.jpg": [("mov", was["a.mov"]), ("nef", was["a.NEF"])],
            "b.JPEG": [("tif", was["b.tif"])],
            "d.jpg": [],
        }
        assert len(outcome.of(PhotoUploaded)) == 6
        assert [event.path.name for event in outcome.of(FileSkipped)] == ["c.nef"]
        assert not box.gallery.buffers
        before = uploads(box)
        again = await bring(box, folder)
        assert len(again.of(PhotoPresent)) == 6
        assert uploads(box) == before


async def test_without_the_flag_they_are_photos_of_their_own_or_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg", "a.nef", "a.tif")
    (folder / "a.tif").write_bytes(b"II*\x00" + Random(3).randbytes(400))
    async with Sandbox(formats=RAW, file_types=("jpg", "tif")) as box:
        outcome = await bring(box, folder, formats=False)
        assert attached(box) == {"a.jpg": [], "a.tif": []}
    assert [event.path.name for event in outcome.of(FileSkipped)] == ["a.nef"]


async def test_a_gallery_without_formats_says_so_once(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, *(f"{stem}.{ending}" for stem in "abcd" for ending in ("jpg", "cr2")))
    async with Sandbox() as box:
        outcome = await bring(box, folder)
        assert len(box.gallery.photos) == 4
        assert not box.gallery.buffers
    (noticed,) = outcome.of(Noticed)
    assert "enable_formats" in noticed.hint
    reasons = failures(outcome)
    assert reasons.keys() == {"a.cr2", "b.cr2", "c.cr2", "d.cr2"}
    assert set(reasons.values()) == {noticed.message}


async def test_an_ending_that_the_gallery_does_not_take_is_told_and_the_others_arrive(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.orf", "a.nef", "b.jpg", "b.orf")
    async with Sandbox(formats=RAW) as box:
        outcome = await bring(box, folder)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])], "b.jpg": []}
        assert not box.gallery.buffers
    assert len(outcome.of(Noticed)) == 1
    reasons = failures(outcome)
    assert reasons.keys() == {"a.orf", "b.orf"}
    assert all("authorized extensions: cr2, nef, tif, mov" in text for text in reasons.values())
    assert all("format_ext" in event.hint for event in outcome.of(PhotoFailed))


async def test_without_a_ledger_the_server_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg", "a.NEF", "b.jpg", "b.cr2")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder, memory=NoLedger())
        before = uploads(box)
        outcome = await bring(box, folder, memory=NoLedger())
        assert uploads(box) == before
    assert len(outcome.of(PhotoPresent)) == 4


async def test_a_photo_that_was_there_before_gets_its_formats(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        was = write(folder, "a.nef")
        await bring(box, folder)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}


async def test_a_format_whose_photo_is_not_there_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg", "a.nef")
    (folder / "a.jpg").write_bytes(b"no picture")
    async with Sandbox(formats=RAW) as box:
        outcome = await bring(box, folder)
        assert not box.gallery.photos
    assert failures(outcome)["a.nef"] == "its photo a.jpg is not in the gallery"


async def test_a_changed_format_is_told_and_sent_again_when_asked_to(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (folder / "a.nef").write_bytes(b"another one")
        outcome = await bring(box, folder)
        assert failures(outcome)["a.nef"] == "it has changed since it became a format of photo 1"
        await bring(box, folder, update=True)
        assert attached(box) == {"a.jpg": [("nef", b"another one")]}


async def test_a_format_is_not_called_missing_and_stays_known_when_it_is_verified(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef", "b.jpg", "b.nef")
    async with Sandbox(version="13.8.0", formats=RAW, file_types=("jpg", "nef")) as box:
        await bring(box, folder)
        (folder / "b.nef").write_bytes(b"another one")
        async with SqliteLedger(tmp_path / "ledger.sqlite", server=box.url) as ledger:
            outcome = await check(box, folder, memory=ledger)
        verdicts = {event.path.name: event for event in outcome.of(PhotoChecked)}
        assert verdicts["a.jpg"].verdict is Verdict.PRESENT
        assert verdicts["a.nef"].verdict is Verdict.UNKNOWN
        assert "it is a format of photo" in verdicts["a.nef"].reason
        assert verdicts["b.nef"].verdict is Verdict.UNKNOWN
        assert "it has changed since it became a format" in verdicts["b.nef"].reason
        before = uploads(box)
        outcome = await bring(box, folder)
        assert failures(outcome).keys() == {"b.nef"}
        assert uploads(box) == before
        assert attached(box) == {
            "a.jpg": [("nef", was["a.nef"])],
            "b.jpg": [("nef", was["b.nef"])],
        }


async def test_a_photo_that_is_replaced_gets_its_formats_again(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (folder / "a.jpg").write_bytes(picture(Random(5), size=800))
        outcome = await bring(box, folder, formats=False, update=True)
        assert "would lose its other formats, such as a.nef" in failures(outcome)["a.jpg"]
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
        await bring(box, folder, update=True)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
        assert box.gallery.photos.keys() == {1}


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
@pytest.mark.parametrize("update", [False, True])
async def test_a_format_does_not_become_a_photo_of_its_own_and_stays_known(
    tmp_path: Path, version: str, *, update: bool
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef", "b.jpg", "b.nef")
    async with Sandbox(version=version, formats=RAW, file_types=("jpg", "nef")) as box:
        await bring(box, folder)
        (folder / "b.nef").write_bytes(b"another one")
        reasons = failures(await bring(box, folder, formats=False, update=update))
        assert reasons.keys() == {"a.nef", "b.nef"}
        assert "it is another format of photo" in reasons["a.nef"]
        (folder / "a.jpg").write_bytes(picture(Random(5), size=800))
        outcome = await bring(box, folder, formats=False, update=True)
        assert "would lose its other formats, such as a.nef" in failures(outcome)["a.jpg"]
        assert all(event.hint for event in outcome.of(PhotoFailed))
        assert attached(box) == {
            "a.jpg": [("nef", was["a.nef"])],
            "b.jpg": [("nef", was["b.nef"])],
        }
        assert failures(await bring(box, folder, update=True)) == {}
        assert {file: {data for _, data in rows} for file, rows in attached(box).items()} == {
            "a.jpg": {was["a.nef"]},
            "b.jpg": {b"another one"},
        }


async def test_what_was_a_format_of_a_photo_that_is_gone_becomes_a_photo(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg", "a.nef")
    async with Sandbox(formats=RAW, file_types=("jpg", "nef")) as box:
        await bring(box, folder)
        (folder / "a.jpg").unlink()
        assert failures(await bring(box, folder)).keys() == {"a.nef"}
        await box.gallery.delete(1)
        assert failures(await bring(box, folder)) == {}
        assert attached(box) == {"a.nef": []}


async def attach(box: Sandbox, ending: str) -> None:
    """Attach something to the first photo, as another client."""
    content = Content(in_memory=True)
    await content.append(b"somebody's")
    content.seal()
    box.gallery.formats.add(1, ending, content)


@pytest.mark.parametrize("version", ["13.8.0", "15.7.0", "16.4.0", "17.0.0beta1"])
async def test_what_somebody_else_has_attached_is_not_lost_where_the_server_can_tell(
    tmp_path: Path, version: str
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    async with Sandbox(version=version, formats=[*RAW, "Odd"]) as box:
        await bring(box, folder)
        old = box.gallery.photos[1].md5
        await attach(box, "Odd")
        (folder / "a.jpg").write_bytes(picture(Random(5), size=800))
        outcome = await bring(box, folder, update=True)
        if version < "16":
            assert box.gallery.photos[1].md5 != old
            return
        reason = failures(outcome)["a.jpg"]
        assert "replacing photo 1 would lose its other formats (Odd)" in reason
        assert box.gallery.photos[1].md5 == old
        assert attached(box)["a.jpg"] == [("Odd", b"somebody's"), ("nef", was["a.nef"])]


async def test_where_formats_are_off_those_that_there_are_count_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg")
    async with Sandbox() as box:
        await bring(box, folder)
        await attach(box, "psd")
        write(folder, "a.jpg")
        (folder / "a.jpg").write_bytes(picture(Random(5), size=800))
        outcome = await bring(box, folder, formats=False, update=True)
        assert "(psd), which somebody else has attached" in failures(outcome)["a.jpg"]
        assert attached(box) == {"a.jpg": [("psd", b"somebody's")]}


async def test_of_two_photos_of_one_name_the_server_can_not_tell(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg")
    write(folder / "x", "a.png")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (number,) = (p.id for p in box.gallery.photos.values() if p.file == "a.jpg")
        new = picture(Random(5), size=800)
        (folder / "a.jpg").write_bytes(new)
        assert failures(await bring(box, folder, update=True)) == {}
        assert box.gallery.content(number) == new


@pytest.mark.parametrize("where", ["elsewhere/a.nef", "photos/b.nef", "photos/x/a.nef", ""])
async def test_a_photo_whose_format_does_not_lie_beside_it_any_more_is_not_replaced(
    tmp_path: Path, where: str
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        if where:
            (tmp_path / where).parent.mkdir(exist_ok=True)
            (folder / "a.nef").rename(tmp_path / where)
        else:
            (folder / "a.nef").unlink()
        new = picture(Random(5), size=800)
        (folder / "a.jpg").write_bytes(new)
        outcome = await bring(box, folder, update=True)
        assert f"would lose its other format {folder / 'a.nef'}" in failures(outcome)["a.jpg"]
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
        (folder / "a.nef").write_bytes(was["a.nef"])
        await bring(box, folder, update=True)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
        assert box.gallery.content(1) == new


async def test_a_photo_whose_format_is_left_out_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    filters = Filters(patterns=Patterns((read_flag("*.nef", take=False, flag="--exclude"),)))
    async with Sandbox(formats=RAW) as box:
        async with SqliteLedger(tmp_path / "ledger.sqlite", server=box.url) as ledger:
            await run(box, folder, memory=ledger, formats=True)
            (folder / "a.jpg").write_bytes(picture(Random(5), size=800))
            outcome = await run(
                box, folder, memory=ledger, formats=True, update=True, filters=filters
            )
        assert "which this run does not find beside it" in failures(outcome)["a.jpg"]
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}


async def test_a_photo_that_was_renamed_with_its_format_can_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (folder / "a.jpg").rename(folder / "b.jpg")
        (folder / "a.nef").rename(folder / "b.nef")
        await bring(box, folder)
        new = picture(Random(5), size=800)
        (folder / "b.jpg").write_bytes(new)
        assert failures(await bring(box, folder, update=True)) == {}
        assert box.gallery.content(1) == new
        assert attached(box) == {"b.jpg": [("nef", was["a.nef"])]}


async def test_a_photo_whose_formats_the_gallery_no_longer_takes_is_not_replaced(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (folder / "a.jpg").write_bytes(picture(Random(5), size=800))
        for allowed, words in ((None, "takes no formats"), (["cr2"], "extensions: cr2)")):
            box.gallery.formats.allowed = allowed
            outcome = await bring(box, folder, update=True)
            assert words in failures(outcome)["a.jpg"]
            assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}


class Ill(Faults):
    """A server that, while it is ill, dies over every photo."""

    ill = False

    def strike(self, method: str) -> Fault | None:
        photo = method == "pwg.images.uploadAsync"
        return Fault("empty-500-before") if self.ill and photo else None


async def test_a_replacement_that_fails_leaves_its_formats_known(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    new = picture(Random(5), size=800)
    faults = Ill()
    async with Sandbox(formats=RAW, faults=faults) as box:
        await bring(box, folder)
        (folder / "a.jpg").write_bytes(new)
        faults.ill = True
        assert "a.jpg" in failures(await bring(box, folder, update=True))
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
        outcome = await bring(box, folder, formats=False, update=True)
        assert "would lose its other formats, such as a.nef" in failures(outcome)["a.jpg"]
        faults.ill = False
        assert failures(await bring(box, folder, update=True)) == {}
        assert box.gallery.content(1) == new
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}


async def test_equal_pairs_are_one_photo_with_one_format(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    was = write(folder / "x", "a.jpg", "a.nef")
    write(folder / "y", "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_pair_that_was_renamed_or_moved_is_not_sent_again(
    tmp_path: Path, version: str
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef", "b.jpg", "b.nef")
    async with Sandbox(version=version, formats=RAW) as box:
        await bring(box, folder)
        before = uploads(box)
        (folder / "a.jpg").rename(folder / "dawn.jpg")
        (folder / "a.nef").rename(folder / "dawn.nef")
        (folder / "x").mkdir()
        (folder / "b.jpg").rename(folder / "x/b.jpg")
        (folder / "b.nef").rename(folder / "x/b.nef")
        outcome = await bring(box, folder)
        assert len(outcome.of(PhotoPresent)) == 4
        assert uploads(box) == before
        (folder / "dawn.nef").write_bytes(b"another one")
        await bring(box, folder, update=True)
        (folder / "dawn.nef").rename(folder / "dusk.nef")
        (folder / "dawn.jpg").rename(folder / "dusk.jpg")
        (folder / "dusk.nef").write_bytes(was["a.nef"])
        await bring(box, folder, update=True)
        assert {data for _, data in attached(box)["a.jpg"]} == {was["a.nef"]}


async def test_two_formats_of_one_ending_can_not_both_be(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write(folder, "a.jpg", "a.nef")
    (folder / "a.NEF").write_bytes(b"the other one")
    async with Sandbox(formats=RAW) as box:
        outcome = await bring(box, folder)
        assert len(attached(box)["a.jpg"]) == 1
        (reason,) = failures(outcome).values()
        assert reason == "another file is the .nef of a.jpg already"
        first = attached(box)
        assert failures(await bring(box, folder)) == failures(outcome)
        assert failures(await bring(box, folder, update=True)) == failures(outcome)
        assert attached(box) == first


@pytest.mark.parametrize("update", [False, True])
async def test_of_equal_photos_with_two_formats_the_first_one_stays(
    tmp_path: Path, *, update: bool
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "b.jpg", "b.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (folder / "a.jpg").write_bytes(was["b.jpg"])
        (folder / "a.nef").write_bytes(b"the other one")
        outcome = await bring(box, folder, update=update)
        assert failures(outcome) == {"a.nef": "another file is the .nef of a.jpg already"}
        (folder / "b.jpg").write_bytes(picture(Random(5), size=800))
        outcome = await bring(box, folder, formats=True)
        assert "a.nef" in failures(outcome)
        assert attached(box) == {"b.jpg": [("nef", was["b.nef"])]}


@pytest.mark.parametrize("version", ["13.8.0", "15.7.0", "16.4.0", "17.0.0beta1"])
@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("ledger", [False, True])
async def test_nobodys_format_is_replaced_where_no_ledger_tells_of_it(
    tmp_path: Path, version: str, *, update: bool, ledger: bool
) -> None:
    was = write(tmp_path / "x", "b.jpg", "b.nef")
    write(tmp_path / "y", "a.nef", "a.jpg")
    (tmp_path / "y/a.jpg").write_bytes(was["b.jpg"])
    async with Sandbox(version=version, formats=RAW) as box:
        await bring(box, tmp_path / "x", memory=NoLedger())
        outcome = await bring(
            box, tmp_path / "y", update=update, memory=None if ledger else NoLedger()
        )
        assert attached(box) == {"b.jpg": [("nef", was["b.nef"])]}
    assert "another file is, or may be, the .nef of photo 1" in failures(outcome)["a.nef"]


async def test_what_was_a_photo_of_its_own_does_not_replace_a_format(tmp_path: Path) -> None:
    was = write(tmp_path / "x", "b.jpg", "b.nef")
    write(tmp_path / "y", "a.nef")
    async with Sandbox(formats=RAW, file_types=("jpg", "nef")) as box:
        await bring(box, tmp_path / "x", memory=NoLedger())
        await bring(box, tmp_path / "y")
        (tmp_path / "y/a.jpg").write_bytes(was["b.jpg"])
        assert failures(await bring(box, tmp_path / "y")).keys() == {"a.nef"}
        assert attached(box)["b.jpg"] == [("nef", was["b.nef"])]


@pytest.mark.parametrize("version", ["15.7.0", "16.4.0"])
async def test_a_photo_that_is_called_otherwise_gets_a_format_if_it_surely_has_none(
    tmp_path: Path, version: str
) -> None:
    was = write(tmp_path / "x", "b.jpg")
    raw = write(tmp_path / "y", "a.nef", "a.jpg")["a.nef"]
    (tmp_path / "y/a.jpg").write_bytes(was["b.jpg"])
    async with Sandbox(version=version, formats=RAW) as box:
        await bring(box, tmp_path / "x", memory=NoLedger())
        outcome = await bring(box, tmp_path / "y", memory=NoLedger())
        told = version >= "16"
        assert attached(box) == {"b.jpg": [("nef", raw)] if told else []}
    assert failures(outcome).keys() == (set() if told else {"a.nef"})


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_photo_of_an_earlier_run_gets_its_format(tmp_path: Path, version: str) -> None:
    folder = tmp_path / "photos"
    raw = write(folder, "a.jpg", "a.NEF")["a.NEF"]
    write(folder / "x", "a.jpg")
    (folder / "x/a.jpg").write_bytes(picture(Random(7), size=900))
    async with Sandbox(version=version, formats=RAW) as box:
        await bring(box, folder, formats=False)
        assert failures(await bring(box, folder)) == {}
        formats = [box.gallery.formats.of(number) for number in box.gallery.photos]
        assert [row.content.read() for rows in formats for row in rows if row.content] == [raw]


async def test_a_changed_format_does_not_take_the_place_of_an_equal_one_that_stays(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    was = write(folder / "y", "a.jpg", "a.nef")
    write(folder / "x", "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (folder / "x/a.nef").write_bytes(b"another one")
        outcome = await bring(box, folder, update=True)
        assert failures(outcome) == {"a.nef": "another file is the .nef of a.jpg already"}
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}


async def test_another_file_in_the_place_of_a_format_is_told_and_sent_when_asked_to(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    async with Sandbox(formats=RAW) as box:
        await bring(box, folder)
        (folder / "a.nef").unlink()
        (folder / "a.NEF").write_bytes(b"the other one")
        outcome = await bring(box, folder)
        assert failures(outcome) == {"a.NEF": "another file became the .nef of photo 1"}
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
        assert failures(await bring(box, folder, update=True)) == {}
        assert attached(box) == {"a.jpg": [("nef", b"the other one")]}


@pytest.mark.parametrize(
    "kind",
    ["answer-lost", "request-lost", "504-after", "502", "503", "truncated", "expired-session"],
)
@pytest.mark.parametrize("nth", [0, 1, 3])
async def test_a_format_arrives_once_whatever_becomes_of_a_request(
    tmp_path: Path, kind: Kind, nth: int
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    faults = Faults([Fault(kind, "pwg.images.upload", nth)])
    async with Sandbox(formats=RAW, faults=faults) as box:
        await bring(box, folder, chunk_size=4096)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
        assert box.gallery.photos.keys() == {1}
        assert not box.gallery.buffers


async def test_before_16_a_lost_answer_is_told_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    faults = Faults([Fault("answer-lost", "pwg.images.upload", 1)])
    async with Sandbox(version="15.7.0", formats=RAW, faults=faults) as box:
        outcome = await bring(box, folder)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
    assert "may have arrived or not" in failures(outcome)["a.nef"]


async def test_formats_of_a_stopped_run_are_unfinished_and_come_with_the_next(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    was = write(folder, "a.jpg", "a.nef")
    stop = Stop()
    outcome = Outcome()

    class Stopping(list[Event]):
        def append(self, event: Event) -> None:
            super().append(event)
            if isinstance(event, PhotoUploaded):
                stop.set()

    outcome.events = Stopping()
    async with Sandbox(formats=RAW) as box:
        await run(box, folder, formats=True, stop=stop, outcome=outcome)
        assert outcome.balances()
        assert [event.path.name for event in outcome.of(PhotoUnfinished)] == ["a.nef"]
        await bring(box, folder)
        assert attached(box) == {"a.jpg": [("nef", was["a.nef"])]}
