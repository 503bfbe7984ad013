"""Makes `.github/terminal.svg`: a real run on a sandbox server in a terminal.

Run it as `.venv/bin/python .github/picture.py`. It needs the extra `dev`, and half a minute.
"""

import asyncio
import fcntl
import os
import pty
import random
import struct
import sys
import tempfile
import termios
from io import StringIO
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from bulkup.app.demo import make_archive
from bulkup.sandbox import Fault, Faults, Sandbox

COLUMNS, ROWS = 100, 22
SHOWN_AT = "17 of 62 photos"
SIZES = (700_000, 5_500_000)
FLAGS = ("--album", "1", "--concurrency", "8", "--finishing", "3", "--bwlimit", "8M")
DIM, GREY = b"\x1b[2m", b"\x1b[90m"  # pyte does not know what is dim
TARGET = Path(__file__).with_name("terminal.svg")


async def main() -> None:
    """Run bulkup in a pseudo-terminal, and save its screen at one moment."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "photos"
        await asyncio.to_thread(prepare, archive)
        trouble = Faults([Fault("cut", method="pwg.images.uploadAsync", nth=90)])
        async with Sandbox(
            albums=("Family archive",), workers=9, finish_s=0.6, chunk_kb=500, faults=trouble
        ) as box:
            screen = await asyncio.to_thread(watch, box.url, Path(folder))
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(picture(screen), end="")
    command = f"bulkup ./photos {' '.join(FLAGS)}"
    await asyncio.to_thread(console.save_svg, str(TARGET), title=command)


def prepare(archive: Path) -> None:
    """Make an archive of photos of usual sizes, and a file that is not a photo."""
    make_archive(archive)
    chance = random.Random(7)  # noqa: S311 (the same sizes every time)
    for photo in sorted(path for path in archive.rglob("*") if path.stat().st_size > 100):
        if photo.is_file():
            with photo.open("ab") as file:  # data after a picture's end is ignored
                file.write(chance.randbytes(chance.randint(*SIZES)))
    (archive / "2019" / "recovered.jpg").write_bytes(b"not a photo")


def watch(url: str, folder: Path) -> pyte.Screen:
    """Return the screen as it was at the first moment that shows `SHOWN_AT`."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.environ.update(
            BULKUP_URL=url, BULKUP_USER="admin", BULKUP_PASSWORD="secret", TERM="xterm-256color"
        )
        os.execv(sys.executable, [sys.executable, "-m", "bulkup", "upload", "photos", *FLAGS])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    while output := read(terminal):
        stream.feed(output.replace(DIM, GREY))
        if SHOWN_AT in "\n".join(screen.display):
            break
    while read(terminal):
        pass
    os.waitpid(child, 0)
    return screen


def read(terminal: int) -> bytes:
    """Return the next output of the terminal, empty at its end."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def picture(screen: pyte.Screen) -> Text:
    """Return the screen as coloured text, without empty lines at its end."""
    text = Text()
    last = max(row for row, line in enumerate(screen.display) if line.strip())
    for row in range(last + 1):
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            text.append(cell.data, Style(color=colour(cell.fg), bold=cell.bold))
        text.append("\n")
    return text


def colour(name: str) -> str | None:
    """Return rich's name of a colour of pyte, None for the default."""
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return name.replace("brown", "yellow").replace("bright", "bright_")


if __name__ == "__main__":
    asyncio.run(main())
