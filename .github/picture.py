"""Makes `.github/terminal.svg`: a real run on a sandbox server, as a terminal showed it.

Run it as `.venv/bin/python .github/picture.py`. It needs the extra `dev`.
"""

import asyncio
import fcntl
import os
import pty
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

from bulkup.demo import make_archive
from bulkup.sandbox import Sandbox

COLUMNS, ROWS = 100, 15
SHOWN_AT = "31 of 61 photos"
TARGET = Path(__file__).with_name("terminal.svg")


async def main() -> None:
    """Run bulkup in a terminal of our own, and keep the picture of one moment."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "photos"
        await asyncio.to_thread(make_archive, archive)
        async with Sandbox(
            albums=("Family archive",), workers=8, finish_s=0.3, chunk_kb=100
        ) as box:
            screen = await asyncio.to_thread(watch, box.url, Path(folder))
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(picture(screen), end="")
    command = "bulkup ./photos --album 1 --concurrency 8"
    await asyncio.to_thread(console.save_svg, str(TARGET), title=command)


def watch(url: str, folder: Path) -> pyte.Screen:
    """Return the screen as it was at the first moment that shows `SHOWN_AT`."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(folder)
        os.environ.update(
            BULKUP_URL=url, BULKUP_USER="admin", BULKUP_PASSWORD="secret", TERM="xterm-256color"
        )
        arguments = ["upload", "photos", "--album", "1", "--concurrency", "8"]
        os.execv(sys.executable, [sys.executable, "-m", "bulkup", *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    while output := read(terminal):
        stream.feed(output)
        if SHOWN_AT in "\n".join(screen.display):
            break
    while read(terminal):
        pass
    os.waitpid(child, 0)
    return screen


def read(terminal: int) -> bytes:
    """Return what the terminal shows next, nothing at its end."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def picture(screen: pyte.Screen) -> Text:
    """Return the screen as text in its colours, without the empty lines at its end."""
    text = Text()
    last = max(row for row, line in enumerate(screen.display) if line.strip())
    for row in range(last + 1):
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            text.append(cell.data, Style(color=colour(cell.fg), bold=cell.bold))
        text.append("\n")
    return text


def colour(name: str) -> str | None:
    """Return rich's name of a colour of pyte's, None for the default."""
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return name.replace("brown", "yellow").replace("bright", "bright_")


if __name__ == "__main__":
    asyncio.run(main())
