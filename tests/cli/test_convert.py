"""`--convert`: photos that a gallery does not accept are sent as JPEG."""

import sys
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pillow_heif
import pytest
from PIL import Image

from bulkup.engine import executor
from bulkup.errors import PhotoError
from bulkup.sandbox import Sandbox
from bulkup.source import convert as source
from bulkup.source.convert import Slots, convert, to_jpeg
from tests.support.commands import (
    Held,
    account,
    bulkup,
    has_rows,
    interrupted,
    one_photo,
    send,
    start,
)
from tests.support.galleries import attached, photo_files, spoil, uploads
from tests.support.photos import write_xmp

pillow_heif.register_heif_opener()
FORMATS = {"heic": "HEIF", "avif": "AVIF", "tif": "TIFF"}
TAKEN, GPS, MODEL, ORIENTATION = 0x9003, 0x8825, 0x0110, 0x0112
NAMES = {"a.jpg", "b 🐈 'c'.jpg", "d.jpg", "e.jpg"}


def encoded(kind: str, *, color: str = "red") -> bytes:
    """Return a picture of 64 × 32 pixels with a profile, and EXIF data that turn it."""
    made = Image.Exif()
    made[ORIENTATION], made[MODEL] = 6, "Camera"
    made[0x8769], made[GPS] = {TAKEN: "2020:01:02 03:04:05"}, {1: "N", 2: (1.0, 2.0, 3.0)}
    exif = Image.Exif()
    exif.load(made.tobytes())
    for number in (0x8769, GPS):
        exif.get_ifd(number)
    data = BytesIO()
    Image.new("RGB", (64, 32), color).save(
        data, kind, icc_profile=b"profile", exif=exif if kind == "TIFF" else made.tobytes()
    )
    return data.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a folder with a JPEG, and a photo of each type to convert."""
    folder = tmp_path / "archive"
    folder.mkdir()
    one_photo(folder)
    for stem, ending, color in (
        ("b 🐈 'c'", "heic", "red"),
        ("d", "avif", "green"),
        ("e", "tif", "blue"),
    ):
        data = encoded(FORMATS[ending], color=color)
        (folder / f"{stem}.{ending}").write_bytes(data)
    return folder


@pytest.mark.parametrize("kind", FORMATS.values())
def test_a_jpeg_keeps_orientation_exif_and_profile(kind: str) -> None:
    data = BytesIO(encoded(kind))
    assert to_jpeg(data) == to_jpeg(data)
    with Image.open(BytesIO(to_jpeg(data))) as jpeg:
        exif = jpeg.getexif()
        turned = exif.get(ORIENTATION, 1) == 6
        assert jpeg.format == "JPEG"
        assert jpeg.size == ((64, 32) if turned else (32, 64))
        assert exif[MODEL] == "Camera"
        assert exif.get_ifd(0x8769)[TAKEN] == "2020:01:02 03:04:05"
        assert exif.get_ifd(GPS)[1] == "N"
        assert jpeg.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "LA", "RGBA", "P", "CMYK", "I", "F"])
def test_pixels_of_every_kind_are_converted_or_refused(mode: str) -> None:
    data = BytesIO()
    Image.new(mode, (8, 8)).save(data, "TIFF")
    if mode in {"I", "F"}:
        with pytest.raises(ValueError, match="32 bits"):
            to_jpeg(data)
    else:
        assert to_jpeg(data).startswith(b"\xff\xd8")


async def test_photos_are_sent_as_jpeg_and_found_again(
    box: Sandbox, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_xmp(archive / "d.avif", title="Green")
    left_out = await send(box, archive, "--dry-run")
    assert "--convert sends HEIC, AVIF and TIFF as JPEG" in left_out.err
    planned = await send(box, archive, "--dry-run", "--convert", "--no-ledger")
    assert "3 of the new photos would be converted to JPEG" in planned.err
    assert not box.gallery.photos

    ended = await send(box, archive, "--convert")
    assert ended.code == 0
    assert has_rows(ended, "4  uploaded", "4  verified")
    assert "3 photos were converted to JPEG" in ended.err
    assert photo_files(box) == {name.replace("🐈", "�") for name in NAMES}
    assert "Green" in {photo.name for photo in box.gallery.photos.values()}
    for photo in box.gallery.photos:
        assert box.gallery.content(photo).startswith(b"\xff\xd8")

    sent = uploads(box)
    again = await send(box, archive, "--convert", "--no-ledger")
    assert has_rows(again, "4  already there")
    for quick in ([], ["--quick"]):
        checked = await send(box, "verify", archive, "--convert", "--no-ledger", *quick)
        assert checked.code == 0
        assert "Checked 4 photos: 4 present" in checked.err

    for title, flags in (("Cat", []), ("Dog", ["--no-ledger", "--overwrite"])):
        write_xmp(archive / "b 🐈 'c'.heic", title=title)
        refreshed = await bulkup("refresh", archive, "--convert", *flags, **account(box))
        assert refreshed.code == 0
        assert has_rows(refreshed, "1 +changed", "3 +unchanged")
    monkeypatch.setattr(executor, "convert", None)  # known photos are not converted again
    assert has_rows(await send(box, archive, "--convert"), "4  already there")
    assert (await send(box, "verify", archive, "--convert")).code == 0
    assert uploads(box) == sent + 2  # whether formats are accepted


async def test_a_damaged_photo_fails_alone(box: Sandbox, archive: Path) -> None:
    for kind, name in FORMATS.items():
        whole = encoded(name)
        (archive / f"cut.{kind}").write_bytes(whole[: len(whole) // 2])
        (archive / f"text.{kind}").write_text("This is no picture.")
    ended = await send(box, archive, "--convert")
    assert ended.code == 1
    assert has_rows(ended, "4  uploaded", "6  failed")
    assert ended.err.count("it can't be converted to JPEG: ") >= 6
    for kind in FORMATS:
        assert f"failed: {archive}/cut.{kind}\n" in ended.err


async def test_a_raw_file_is_attached_to_a_converted_photo(archive: Path) -> None:
    async with Sandbox(admin=("admin", "hunter2-secret"), formats=["dng", "tif"]) as formats:
        (archive / "f.heic").write_bytes(encoded("HEIF", color="black"))
        (archive / "f.dng").write_bytes(b"raw")
        (archive / "a.tif").write_bytes(encoded("TIFF", color="white"))
        for _ in range(2):
            ended = await send(formats, archive, "--convert", "--raw-as-format")
            assert ended.code == 0
        assert attached(formats)["f.jpg"] == [("dng", b"raw")]
        assert attached(formats)["a.jpg"] == [("tif", encoded("TIFF", color="white"))]
        assert len(formats.gallery.photos) == 5


ATTACHED = {"heic": "b � 'c'.jpg", "avif": "d.jpg", "tif": "e.jpg"}
ALL_FORMATS = ["heic", "avif", "tif"]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each file in a folder, by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def originals(archive: Path, *endings: str) -> dict[str, list[tuple[str, bytes]]]:
    """Return the formats that the photos have when the files with these endings are attached."""
    files = {path.suffix[1:]: path.read_bytes() for path in archive.iterdir()}
    there = {name: [(kind, files[kind])] for kind, name in ATTACHED.items() if kind in endings}
    return {name: there.get(name, []) for name in ("a.jpg", *ATTACHED.values())}


@pytest.mark.parametrize("version", ["14.5.0", "16.4.0"])
async def test_originals_are_attached_once(archive: Path, version: str) -> None:
    secret = ("admin", "hunter2-secret")
    async with Sandbox(admin=secret, formats=["heic", "tif"], version=version) as box:
        planned = await send(box, archive, "--dry-run", "--convert", "--no-ledger")
        assert "Of these, 2 would have their own files as formats" in planned.err
        ended = await send(box, archive, "--convert")
        assert ended.code == 0
        assert "the own files of 2 photos were attached as formats" in ended.err
        assert ended.err.count("has only the JPEG of 1 photo: this gallery does not accept") == 1
        assert has_rows(ended, "4  uploaded", "4  verified")
        assert attached(box) == originals(archive, "heic", "tif")
        sent = uploads(box)
        again = await send(box, archive, "--convert")
        assert "attached as formats" not in again.err
        if version == "16.4.0":  # the gallery can be asked
            assert (await send(box, archive, "--convert", "--no-ledger")).code == 0
        asked = 2 if version == "16.4.0" else 1
        assert uploads(box) == sent + asked  # which formats it accepts
        assert attached(box) == originals(archive, "heic", "tif")

        box.gallery.formats.allowed = ALL_FORMATS
        (archive / "e.tif").rename(archive / "moved.tif")
        ended = await send(box, archive, "--convert")
        assert "the own files of 1 photo were attached" in ended.err
        (archive / "moved.tif").rename(archive / "e.tif")
        assert attached(box) == originals(archive, *ALL_FORMATS)


async def test_verify_finds_lost_originals(archive: Path) -> None:
    secret = ("admin", "hunter2-secret")
    async with Sandbox(admin=secret, formats=ALL_FORMATS) as box:
        assert (await send(box, archive, "--convert")).code == 0
        verify: list[str | Path] = ["verify", archive, "--convert"]
        checked = await send(box, *verify)
        assert checked.code == 0
        assert "3 of the photos are JPEGs" in checked.err
        assert "the files themselves are attached to 3 of them" in checked.err
        (lost,) = (photo.id for photo in box.gallery.photos.values() if photo.file == "d.jpg")
        box.gallery.formats.forget(lost)
        assert (await send(box, *verify, "--quick")).code == 0
        checked = await send(box, *verify)
        assert checked.code == 1
        assert "no longer has the file itself as a format" in checked.err
        assert "3 present, 1 missing" in checked.err
        assert (await send(box, archive, "--convert")).code == 0
        assert attached(box) == originals(archive, *ALL_FORMATS)


@pytest.mark.parametrize("twice", [False, True])
async def test_an_interrupted_run_attaches_the_rest_later(archive: Path, *, twice: bool) -> None:
    async with Held("pwg.images.upload", nth=2) as box:  # the first one asks for the rules
        box.gallery.formats.allowed = ALL_FORMATS
        async with await start(box, archive, "--convert", finishing="1") as process:
            await box.came.wait()
            await interrupted(box, process, twice=twice)
        box.go.set()
        assert attached(box) != originals(archive, *ALL_FORMATS)
        ended = await send(box, archive, "--convert")
        assert ended.code == 0
        assert attached(box) == originals(archive, *ALL_FORMATS)


@pytest.mark.parametrize("formats", [None, ["tif"]])
async def test_what_is_converted_is_disposed_of_if_it_is_safe(
    archive: Path, tmp_path: Path, formats: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = ("admin", "hunter2-secret")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    before = contents(archive)
    async with Sandbox(admin=secret, formats=formats) as box:
        ended = await send(box, archive, "--convert", "--after", "trash")
        kept = {"b 🐈 'c'.heic", "d.avif"} | ({"e.tif"} if formats is None else set())
        assert contents(archive).keys() == kept
        assert "the gallery has not got the file itself" in ended.err
        done = tmp_path / "done"
        (photo,) = (photo.id for photo in box.gallery.photos.values() if photo.file == "d.jpg")
        await spoil(box, photo)
        await send(box, archive, "--convert", "--after", f"move:{done}")
        assert contents(archive) == {"d.avif": before["d.avif"]}
        assert contents(done).items() <= before.items()
        assert contents(done).keys() == kept - {"d.avif"}


async def test_a_changed_photo_is_replaced_with_its_original(archive: Path) -> None:
    secret = ("admin", "hunter2-secret")
    async with Sandbox(admin=secret, formats=ALL_FORMATS) as box:
        assert (await send(box, archive, "--convert")).code == 0
        (archive / "e.tif").write_bytes(encoded("TIFF", color="yellow"))
        assert (await send(box, archive, "--convert", "--update")).code == 0
        assert attached(box) == originals(archive, *ALL_FORMATS)


async def test_a_changed_photo_is_replaced(box: Sandbox, archive: Path) -> None:
    assert (await send(box, archive, "--convert")).code == 0
    before = set(box.gallery.photos)
    (archive / "e.tif").write_bytes(encoded("TIFF", color="yellow"))
    ended = await send(box, archive, "--convert", "--update")
    assert ended.code == 0
    assert "replaced older files" in ended.err
    assert set(box.gallery.photos) == before


async def test_photos_in_a_zip_archive_are_converted(box: Sandbox, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with ZipFile(archive, "w") as file:
        file.writestr("x/y.heic", encoded("HEIF"))
    assert (await send(box, archive, "--convert")).code == 0
    assert photo_files(box) == {"y.jpg"}


async def test_a_gallery_that_accepts_a_type_gets_it_as_it_is(archive: Path) -> None:
    types = ["jpg", "heic"]
    async with Sandbox(admin=("admin", "hunter2-secret"), file_types=types) as box:
        await send(box, archive, "--convert")
        assert {Path(name).suffix for name in photo_files(box)} == {".jpg", ".heic"}


@pytest.mark.parametrize("twice", [False, True])
async def test_an_interrupted_run_leaves_no_jpegs(
    archive: Path, tmp_path: Path, *, twice: bool
) -> None:
    spool = tmp_path / "tmp"
    spool.mkdir()
    (archive / "a.jpg").unlink()
    async with Held("pwg.images.upload", "pwg.images.uploadAsync") as box:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", str(spool))
            process = await start(box, archive, "--convert", finishing="1")
        async with process:
            await box.came.wait()
            assert list(spool.rglob("*.jpg"))
            await interrupted(box, process, twice=twice)
    assert not list(spool.iterdir())


async def test_large_pictures_are_converted_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "a.tif"
    Image.new("1", (20_000, 10_000)).save(photo, compression="group4")
    converted = await convert(photo, tmp_path / "1.jpg", slots=Slots(1))
    assert converted.length == (tmp_path / "1.jpg").stat().st_size
    monkeypatch.setattr(source, "MOST_PIXELS", 199_999_999)
    with pytest.raises(PhotoError, match="it has 200,000,000 pixels"):
        await convert(photo, None, slots=Slots(1))


async def test_a_converter_that_is_killed_fails_one_photo(
    box: Sandbox, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\ncase "$5" in *.tif) kill -9 $$ ;; *) exec {sys.executable} "$@" ;; esac\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    ended = await send(box, archive, "--convert")
    assert ended.code == 1
    assert has_rows(ended, "3  uploaded", "1  failed")
    assert "the converter was killed or crashed (-9)" in ended.err


async def test_a_full_disk_is_named(tmp_path: Path) -> None:
    photo = tmp_path / "a.tif"
    photo.write_bytes(encoded("TIFF"))
    slots = Slots(1)
    with pytest.raises(PhotoError, match="can't be written to") as raised:
        await convert(photo, tmp_path / "gone" / "1.jpg", slots=slots)
    assert "TMPDIR" in raised.value.hint


async def test_what_does_not_work_is_said_at_once(
    box: Sandbox, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags, words in ((["--dask", "local:2"], "--convert does not work with --dask"),):
        ended = await send(box, archive, "--convert", *flags)
        assert ended.code == 2
        assert words in ended.err
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for command in ("upload", "verify"):
        ended = await send(box, command, archive, "--convert")
        assert ended.code == 2
        assert "pip install 'bulkup[heic]'" in ended.err
    assert not box.requests
