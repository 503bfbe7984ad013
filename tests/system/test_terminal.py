"""What a user sees of real runs, in terminals of several sizes.

While a test looks at a screen, the sandbox holds its answers: the run stands still.
"""

import re
from pathlib import Path
from random import Random

import pyte
import pytest

from bulkup.engine.pacing import TAIL
from bulkup.sandbox import Sandbox
from tests.support.commands import UPLOADS, Held
from tests.support.runs import make_archive, picture
from tests.support.terminal import Terminal, scrolled

COUNT = 24
HEADER = "album 1"
HOSTILE = {
    "[red]x[bold].jpg": "[red]x[bold].jpg",
    "\x1b[2J\x1b[31mred.jpg": r"\x1b[2J\x1b[31mred.jpg",
    "new\nline\r.jpg": r"new\nline\r.jpg",
    "\u202egpj.exe.jpg": r"\u202egpj.exe.jpg",
    "<script>alert(1)<script>.jpg": "<script>alert(1)<script>.jpg",
    "l" * 251 + ".jpg": "l" * 251 + ".jpg",
}
"""Names, and how they are shown."""


def archive(folder: Path) -> Path:
    (folder / "2019").mkdir()
    # small enough for one request each, also where the line seems slow
    make_archive(folder / "2019", count=COUNT, names=COUNT, size=(20_000, 2 * TAIL))
    return folder


def headers(lines: list[str]) -> int:
    return sum(HEADER in line and " at http" in line for line in lines)


@pytest.mark.parametrize(
    ("columns", "rows", "variables"),
    [(60, 15, {"NO_COLOR": "1"}), (200, 50, {})],
    ids=["small, no colour", "large"],
)
async def test_the_screen_is_complete_at_every_moment(
    tmp_path: Path, columns: int, rows: int, variables: dict[str, str]
) -> None:
    window = {"columns": columns, "rows": rows}
    async with (
        Held(*UPLOADS, nth=8) as box,
        Terminal(
            box, archive(tmp_path), "--concurrency", "4", **window, variables=variables
        ) as terminal,
    ):
        seen = await terminal.until(
            lambda screen: f"7 of {COUNT} ph" in screen and "finishing 3/3 · chunk " in screen
        )
        assert headers(seen) == 1
        under_way = [line for line in seen if re.search(r"\.jpg .*kB +.*(fini|send|wait)", line)]
        assert 1 <= len(under_way) <= 4
        assert any(re.fullmatch(r"[━╸]+─+ +\d+% +\d+:\d\d", line) for line in seen)
        assert "finishing 3/3 · chunk " in seen[-1]
        box.go.set()
        everything = await terminal.end()
    assert terminal.code == 0
    assert re.match("Done after .*album 1", everything[0])
    assert not any("─" in line or "━" in line for line in everything)
    assert not terminal.screen.cursor.hidden
    assert pyte.modes.DECAWM in terminal.screen.mode
    drawn = [frame for frame in terminal.frames if any("━" in line for line in frame)]
    assert all(headers(frame) == 1 for frame in drawn)  # nothing flickers
    coloured = re.search(rb"\x1b\[(\d+;)*[349]\d", terminal.raw)
    assert bool(coloured) == ("NO_COLOR" not in variables)


def in_flight(screen: str) -> int:
    """Return the number of photos shown and of those counted instead."""
    more = re.search(r"^… and (\d+)", screen, re.MULTILINE)
    return screen.count(".jpg") + int(more[1]) if more else 0


async def test_what_does_not_fit_is_counted_and_a_new_size_is_drawn_anew(
    tmp_path: Path,
) -> None:
    flags = ["--concurrency", "20", "--finishing", "2"]
    async with (
        Held(*UPLOADS) as box,
        Terminal(box, archive(tmp_path), *flags, columns=80, rows=12) as terminal,
    ):
        await terminal.until(lambda screen: in_flight(screen) == 20)
        assert scrolled(terminal.screen) == []
        for columns, rows in ((60, 15), (100, 24)):
            terminal.resize(columns, rows)
            bar = re.compile(rf"^[━╸─]{{{columns - 14}}} +\d+% +\S+$", re.MULTILINE)
            seen = await terminal.until(lambda screen, bar=bar: bool(bar.search(screen)))  # type: ignore[misc]
            assert headers(seen) == 1
        box.go.set()
        everything = await terminal.end()
    assert terminal.code == 0
    assert sum(line.startswith("Done after") for line in everything) == 1


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "latin-1"}])
async def test_a_terminal_without_control_sequences_gets_plain_lines(
    box: Sandbox, tmp_path: Path, variables: dict[str, str]
) -> None:
    async with Terminal(box, archive(tmp_path), variables=variables) as terminal:
        everything = await terminal.end()
    assert everything[0].endswith("sandbox") or HEADER in everything[0]
    assert any(line.startswith("Done after") for line in everything)
    assert not re.search(rb"\x1b\[\??\d*[AJKhl]", terminal.raw)


async def test_ctrl_c_is_confirmed_and_the_terminal_is_restored(tmp_path: Path) -> None:
    async with Held(*UPLOADS, nth=4) as box, Terminal(box, archive(tmp_path)) as terminal:
        await terminal.until(lambda screen: f"3 of {COUNT} photos" in screen)
        terminal.press(b"\x03")
        seen = await terminal.until(lambda screen: "no new one is started" in screen)
        assert headers(seen) <= 1
        box.go.set()
        everything = await terminal.end()
    assert terminal.code == 130
    assert any(line.startswith("Stopped after") for line in everything)
    assert not any("━" in line for line in everything)
    assert not terminal.screen.cursor.hidden


async def test_control_characters_in_file_names_are_escaped(box: Sandbox, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
    for name in HOSTILE:
        (good / name).write_bytes(picture(Random(name), size=20_000))
        (bad / name).write_bytes(b"no picture, " + name.encode())
    async with Terminal(box, tmp_path, "-v", columns=60, rows=24) as terminal:
        everything = "".join(await terminal.end())
    assert terminal.code == 1
    assert len(box.gallery.photos) == len(HOSTILE)
    for name in HOSTILE.values():
        assert f"sent    {good}/{name}".replace(" ", "") in everything.replace(" ", "")
        assert f"failed  {bad}/{name}".replace(" ", "") in everything.replace(" ", "")
    assert b"\x1b[2J" not in terminal.raw
    assert b"\x1b[31mred" not in terminal.raw
    assert "\u202e".encode() not in terminal.raw
