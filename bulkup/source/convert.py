"""Converts photos that a gallery does not accept to JPEG, each in a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import anyio

from bulkup.errors import PhotoChanged, PhotoError, UsageError
from bulkup.errors import local as local_failures
from bulkup.source import zips
from bulkup.source.files import open_at_once, opened

if TYPE_CHECKING:
    from PIL import Image

CONVERTIBLE: Final = frozenset({"avif", "heic", "heif", "hif", "tif", "tiff"})
"""Lower-case endings of the files that can be converted."""

QUALITY: Final = 92
LARGE_PIXELS: Final = 50 * 10**6
"""Larger pictures are converted one at a time: each takes up to 16 bytes of memory a pixel."""

MOST_PIXELS: Final = 500 * 10**6
MOST_MARKER_BYTES: Final = 65_000
"""More metadata than this does not fit into a segment of a JPEG."""

ORIENTATION, EXIF_IFD, GPS_IFD, MAKER_NOTE = 0x0112, 0x8769, 0x8825, 0x927C
KEPT: Final = (
    *(0x010E, 0x010F, 0x0110, ORIENTATION, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B),
    *(0x013C, 0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F),
)
"""The tags of a TIFF that describe the photo, instead of how the TIFF stores it."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The JPEG of a photo: its MD5 and length, and size and time of the file it was made of."""

    md5: str
    length: int
    size: int
    mtime_ns: int


def check_converter() -> None:
    """Raise `UsageError` if a library that converts is not installed."""
    try:
        import_module("PIL.Image")
        import_module("pillow_heif")
    except ImportError as error:
        raise UsageError(
            f"--convert needs a library that is not installed: {error.name}",
            hint="Install it with: pip install 'bulkup[heic]'",
        ) from None


class Slots:
    """Limits how many photos are converted at once; of large ones, one."""

    def __init__(self, processes: int) -> None:
        self.small = anyio.CapacityLimiter(processes)
        self.large = anyio.CapacityLimiter(1)


async def convert(path: Path, target: Path | None, *, slots: Slots) -> Converted:
    """Convert a photo, write its JPEG to `target` unless that is None, and return its facts.

    The process ignores Ctrl-C, ends when this is cancelled, and takes no other photo with it when
    it crashes. The same file gives the same bytes, as long as the libraries stay the same. Raises
    `PhotoError`, and `PhotoChanged` if the file changes meanwhile.
    """
    async with slots.small:
        answer = await _in_process(path, target, most_pixels=LARGE_PIXELS)
    if answer.get("failed") == "large":
        async with slots.large:
            answer = await _in_process(path, target, most_pixels=MOST_PIXELS)
    match answer.pop("failed", None):
        case None:
            return Converted(**answer)
        case "changed":
            raise PhotoChanged(local_failures.CHANGING())
        case "target":
            folder = target.parent if target else ""
            raise PhotoError(local_failures.NO_SPOOL(folder=folder, reason=answer["reason"]))
    raise PhotoError(local_failures.CANT_CONVERT(reason=answer["reason"]))


async def _in_process(path: Path, target: Path | None, *, most_pixels: int) -> dict[str, Any]:
    """Return what `main` does in another process. Raises `PhotoError` if that crashes."""
    command = [sys.executable, "-P", "-m", "bulkup.source.convert", str(most_pixels)]
    ended = await anyio.run_process(
        [*command, *(os.fspath(file) for file in (path, target) if file is not None)],
        check=False,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        answer: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        reason = f"the converter was killed or crashed ({ended.returncode})"
        raise PhotoError(local_failures.CANT_CONVERT(reason=reason)) from None
    return answer


class _TooLarge(ValueError):
    """A picture has more pixels than are converted."""


def main(path: Path, target: Path | None, *, most_pixels: int) -> dict[str, Any]:
    """Convert a photo, and return its facts, or why that failed."""
    try:
        with opened(path) as file:
            size, mtime_ns = file.size, file.mtime_ns
            with (
                BytesIO(file.read(size, offset=0))
                if zips.split(path)
                else open(path, "rb", opener=open_at_once)  # may be larger than the memory
            ) as content:
                jpeg = to_jpeg(content, most_pixels=most_pixels)
            file.check(size, mtime_ns)
    except _TooLarge as error:
        return {"failed": "large", "reason": str(error)}
    except PhotoChanged:
        return {"failed": "changed"}
    except PhotoError as error:
        return {"failed": "photo", "reason": error.message}
    except Exception as error:  # noqa: BLE001 (whatever a decoder raises for a damaged file)
        return {"failed": "photo", "reason": " ".join(str(error).split()) or type(error).__name__}
    try:
        if target is not None:
            target.write_bytes(jpeg)
    except OSError as error:
        return {"failed": "target", "reason": error.strerror or str(error)}
    md5 = hashlib.md5(jpeg, usedforsecurity=False).hexdigest()
    return asdict(Converted(md5, len(jpeg), size, mtime_ns))


def to_jpeg(content: BinaryIO, *, most_pixels: int = MOST_PIXELS) -> bytes:
    """Return a picture as a JPEG with its EXIF, XMP and ICC data, or raise what Pillow raises."""
    from PIL import Image  # noqa: PLC0415 (optional)
    from pillow_heif import register_heif_opener  # noqa: PLC0415 (optional)

    register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit refuses pictures that cameras take
    jpeg = BytesIO()
    with Image.open(content, formats=["TIFF", "AVIF", "HEIF"]) as image:
        if (pixels := image.width * image.height) > most_pixels:
            raise _TooLarge(f"it has {pixels:,} pixels, more than {most_pixels:,}")
        image.load()
        xmp = image.info.get("xmp") or b""
        _storable(image).save(
            jpeg,
            "JPEG",
            quality=QUALITY,
            exif=_exif(image),
            icc_profile=image.info.get("icc_profile") if image.mode != "LAB" else None,
            xmp=xmp if len(xmp) <= MOST_MARKER_BYTES else b"",
        )
    return jpeg.getvalue()


def _storable(image: "Image.Image") -> "Image.Image":
    """Return a picture in a mode that JPEG has; transparency becomes white."""
    from PIL import Image  # noqa: PLC0415 (optional)

    if image.mode in {"L", "RGB", "CMYK"}:
        return image
    if image.mode in {"I", "F"}:
        raise ValueError("its pixels have 32 bits, without a known range")
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode == "1":
        return image.convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def _exif(image: "Image.Image") -> bytes:
    """Return the EXIF data of a picture; what a JPEG has no place for is left out."""
    data: bytes = image.info.get("exif") or b""
    if image.format == "TIFF":
        data = _described(image.getexif())
    if len(data) > MOST_MARKER_BYTES:
        data = _described(image.getexif(), without=MAKER_NOTE)
    return data if len(data) <= MOST_MARKER_BYTES else b""


def _described(exif: "Image.Exif", *, without: int | None = None) -> bytes:
    """Return the tags that describe the photo."""
    from PIL import Image  # noqa: PLC0415 (optional)

    kept = Image.Exif()
    for tag in KEPT:
        if tag in exif:
            kept[tag] = exif[tag]
    for number in (EXIF_IFD, GPS_IFD):
        if values := exif.get_ifd(number):
            kept[number] = {tag: value for tag, value in values.items() if tag != without}
    return kept.tobytes() if len(kept) else b""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    source, *targets = map(Path, sys.argv[2:])
    facts = main(source, targets[0] if targets else None, most_pixels=int(sys.argv[1]))
    sys.stdout.write(json.dumps(facts))
