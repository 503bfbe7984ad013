"""Draws the demo's photos. They are the same at every call."""

import random
import shutil
from pathlib import Path

from PIL import Image, ImageDraw

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


def make_archive(folder: Path) -> None:
    """Write about 60 pictures below the folder: JPEG, PNG, GIF, WebP, a few MB in all."""
    chance = random.Random(SEED)  # noqa: S311 (the same pictures every time)
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
    """Draw a sky, a sun and some hills, as small as such pictures are."""
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
    """Make a picture that does not compress: one that needs several chunks."""
    size = (LARGE_SIDE, LARGE_SIDE)
    picture = Image.frombytes("RGB", size, chance.randbytes(LARGE_SIDE * LARGE_SIDE * 3))
    picture.save(path, quality=85)


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randint(60, 220), chance.randint(60, 220), chance.randint(60, 220)
