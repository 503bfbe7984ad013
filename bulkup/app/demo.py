"""The `sandbox` and `demo` commands: run a sandbox server, and upload photos to it."""

import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import anyio
from anyio import to_thread

from bulkup.app.runner import received_signals
from bulkup.errors import UsageError, check_range
from bulkup.sandbox import Sandbox
from bulkup.sandbox.versions import VERSIONS, Release
from bulkup.source.photos import Photo, fingerprint
from bulkup.source.scan import check_roots, scan

CONCURRENCY = 8
VERSION = "16.4.0"
EXIST_S = 0.14
"""Seconds in which a small server looks up 100,000 MD5s; such requests prove workers."""

SEED = 2026
NAMES = (
    "IMG_0001.jpg",
    "IMG_0002.jpg",
    "IMG_0003.JPG",
    "DSC00042.jpeg",
    "scan.png",
    "button.gif",
    "web.webp",
)
FOLDERS = (
    "2019/Été à la mer",
    "2019/Winter",
    "2020/東京 – 桜",
    "2020/100CANON",
    "2021/Ôma & O'Neil",
    "2021/deep/er/still",
    "2022",
)
ODD_NAMES = (
    'O\'Neil "on tour".jpg',
    "a & b <c>.jpg",
    "sunset 🌅.jpg",
    "naïve café.png",
    "Ελλάδα.jpg",
    "[red]markup.jpg",
    "no_underscores_left.gif",
    "  spaces  .jpg",
)
JUNK_NAMES = (".DS_Store", "Thumbs.db", "notes.txt", "clip.mov")
LARGE = 3
LARGE_SIDE = 1400


def serve(
    *,
    host: str,
    port: int,
    piwigo: str,
    folder: Path | None,
    discard: bool,
    use_iptc: bool,
    workers: int | None,
    start_workers: int | None,
    cpus: int | None,
    finish_time: float,
    page_time: float,
    exist_time: float,
    gateway_timeout: float,
) -> int:
    """Run a sandbox server until Ctrl-C. Raises `UsageError` where an option is wrong."""
    if piwigo not in VERSIONS:
        raise UsageError(
            f"there is no sandbox of Piwigo {piwigo}", hint=f"Give one of {', '.join(VERSIONS)}."
        )
    check_range("--port", port, least=0, most=65535)
    if start_workers is not None and workers is None:
        raise UsageError("--start-workers requires --workers", hint="Give both.")
    for flag, number, most in (
        ("--workers", workers, 10_000),
        ("--start-workers", start_workers, workers or 1),
        ("--cpus", cpus, 10_000),
    ):
        if number is not None:
            check_range(flag, number, least=1, most=most)
    for flag, seconds in (
        ("--finish-time", finish_time),
        ("--page-time", page_time),
        ("--exist-time", exist_time),
        ("--gateway-timeout", gateway_timeout),
    ):
        if not 0 <= seconds < float("inf"):
            raise UsageError(f"{flag} is out of range", hint="Give seconds, 0 or more.")

    async def run() -> None:
        box = Sandbox(
            host=host,
            port=port,
            version=piwigo,
            folder=folder,
            discard=discard,
            use_iptc=use_iptc,
            workers=workers,
            start_workers=start_workers,
            cpus=cpus,
            finish_s=finish_time,
            page_s=page_time,
            exist_cost_s=exist_time,
            gateway_timeout_s=gateway_timeout,
        )
        try:
            await box.__aenter__()
        except OSError as error:
            raise UsageError(
                f"can't listen on {host}:{port}: {os.strerror(error.errno or 0)}",
                hint="Give another --port; 0 takes a free one.",
            ) from None
        try:
            await _say_until_interrupted(
                f"Piwigo {piwigo} sandbox at {box.url} (admin / secret, album 1). Ctrl-C ends."
            )
        finally:
            await box.__aexit__(None, None, None)

    anyio.run(run)
    return 0


def run_demo(path: Path | None, *, keep: bool) -> int:
    """Upload an archive to a sandbox server with the command line, and check every photo.

    Return the exit code of the upload, or 1 if a photo is missing on the server. Raises
    `UsageError` where the path is wrong, or Pillow is missing to generate an archive.
    """
    if path is not None:
        (path,) = check_roots([path])
    elif find_spec("PIL") is None:
        raise UsageError(
            "generating the demo archive requires Pillow, which is not installed",
            hint="pip install 'bulkup[demo]', or give a folder of photos: bulkup demo ./photos",
        )
    with tempfile.TemporaryDirectory(prefix="bulkup-demo-") as folder:
        return anyio.run(_run_demo, path, Path(folder), keep)


async def _run_demo(path: Path | None, folder: Path, keep: bool) -> int:
    archive = path
    if archive is None:
        archive = folder / "archive"
        _say("Generating photos …")
        await to_thread.run_sync(make_archive, archive)
    async with Sandbox(
        version=VERSION,
        folder=folder / "server",
        albums=("Demo",),
        workers=CONCURRENCY,
        finish_s=0.05,
        exist_cost_s=EXIST_S,
    ) as box:
        _say(f"Sandbox server running at {box.url}")
        environment = _environment(box.url, os.environ)
        command = [sys.executable, "-m", "bulkup", "upload", str(archive), "--album", "1"]
        command += ["--concurrency", str(CONCURRENCY), "--ledger", str(folder / "ledger.sqlite")]
        done = await anyio.run_process(
            command, env=environment, check=False, stdin=None, stdout=None, stderr=None
        )
        there = Counter(photo.md5 or "" for photo in box.gallery.photos.values())
        right = await _verify(archive, there, endings=set(Release(VERSION).file_types))
        if keep:
            await _say_until_interrupted(f"The gallery is at {box.url}   Ctrl-C ends.")
    return done.returncode or (0 if right else 1)


def _environment(url: str, outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the upload, without the user's own bulkup settings."""
    clean = {name: value for name, value in outer.items() if not name.startswith("BULKUP_")}
    return clean | {"BULKUP_URL": url, "BULKUP_USER": "admin", "BULKUP_PASSWORD": "secret"}


async def _verify(archive: Path, there: Counter[str], *, endings: set[str]) -> bool:
    """Print and return whether the server has each photo of the archive once, and no others."""
    expected: set[str] = set()
    count = 0
    for found in await to_thread.run_sync(lambda: list(scan([archive], endings=endings))):
        if isinstance(found, Photo) and found.size:
            expected.add((await fingerprint(found))[1])
            count += 1
    missing = expected - there.keys()
    surplus = there.total() - len(there.keys() & expected)
    if not expected:
        _say("The folder contains no photos.")
        return True
    if missing or surplus:
        _say(
            f"✗ {len(missing)} photos are missing on the server, {surplus} are not expected there."
        )
        return False
    _say(
        f"✓ {count} photos, {len(expected)} of them unique: each is on the server once, with the "
        "same MD5."
    )
    return True


async def _say_until_interrupted(text: str) -> None:
    with received_signals() as signals:
        _say(text)
        async for _ in signals:
            return


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make_archive(folder: Path) -> None:
    """Write about 60 pictures, a few MB of JPEG, PNG, GIF and WebP; always the same ones."""
    chance = random.Random(SEED)  # noqa: S311 (no cryptography)
    for place in FOLDERS:
        (folder / place).mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            _draw(folder / place / name, side=chance.randint(160, 480), chance=chance)
    for name in ODD_NAMES:
        _draw(folder / name, side=320, chance=chance)
    for number in range(LARGE):
        _noise(folder / FOLDERS[number] / f"panorama {number}.jpg", chance=chance)
    shutil.copy(folder / FOLDERS[0] / NAMES[0], folder / FOLDERS[1] / "copy of IMG_0001.jpg")
    for name in JUNK_NAMES:
        (folder / FOLDERS[3] / name).write_bytes(b"no picture")


def _draw(path: Path, *, side: int, chance: random.Random) -> None:
    """Draw a sky, a sun and some hills."""
    from PIL import Image, ImageDraw  # noqa: PLC0415 (of the extra `demo`)

    width, height = side * 3 // 2, side
    sky, ground = _colour(chance), _colour(chance)
    picture = Image.new("RGB", (width, height), sky)
    pen = ImageDraw.Draw(picture)
    x, y = chance.randint(0, width), chance.randint(0, height // 2)
    radius = side // 8
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 240, 170))
    for hill in range(3):
        top = height // 2 + hill * height // 8
        points = [(i * width // 8, top + chance.randint(-radius, radius)) for i in range(9)]
        shade = tuple(channel * (4 - hill) // 5 for channel in ground)
        pen.polygon([(0, height), *points, (width, height)], fill=shade)
    picture.save(path)


def _noise(path: Path, *, chance: random.Random) -> None:
    """Write a picture that hardly compresses, so that it needs several chunks."""
    from PIL import Image  # noqa: PLC0415 (of the extra `demo`)

    size = (LARGE_SIDE, LARGE_SIDE)
    picture = Image.frombytes("RGB", size, chance.randbytes(LARGE_SIDE * LARGE_SIDE * 3))
    picture.save(path, quality=85)


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randint(60, 220), chance.randint(60, 220), chance.randint(60, 220)
