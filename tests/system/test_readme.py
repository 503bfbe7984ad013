"""The README's commands, run as they stand there, from top to bottom, as a reader would.

Only what `PLACES` says is put in the place of something else, and only what `NOT_RUN` says is
left out; bash has to understand that too. Bash reads every line; a command by itself then runs in
a thread of this process, what is more or needs a process by bash.
"""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from bulkup.cli import app
from bulkup.sandbox import Sandbox
from tests.support.commands import COMMAND, PASSWORD, Ended, account, bulkup, environment
from tests.support.flag_table import COMMANDS, flags
from tests.support.receiver import receiver
from tests.support.runs import picture

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text("utf-8")
SIDECARS: Final = ROOT / "tests" / "sidecars"

OTHER_BLOCKS: Final = {
    "ini": "systemd's units are tried in test_unattended.py",
    "crontab": "cron's line is tried in test_unattended.py",
    "php": "the settings of a gallery",
    "text": "what is printed or drawn",
}
NOT_RUN: Final = {
    r"(pipx|uv tool|pip) install ": "packages are installed by `make dist`",
    r"(bulkup .* --dask|dask) ": "clusters are tried in test_cluster.py",
    r"(systemctl|journalctl) ": "there is no systemd in a container",
    r"make ": "that would be this test again",
    r"python -m tests\.[.\w]+": "they write the README, and have their tests",
    r"BULKUP_TEST_URL=": "there is no real gallery",
    r".*\bnas\.(lan|pem)\b": "certificates of one's own are tried in test_first_run.py",
}
SHELL: Final = r"(?!bulkup )|bulkup (watch|sandbox) |.*([|<>]| --after trash)"
"""Pipes, signals, and a trash whose place is known when Python starts."""
BASH: Final = shutil.which("bash") or "bash"
PLACES: Final = (":8765", "--port 8081", "/media/card", "https://photos.example.org")
UNTIL: Final = {
    "bulkup watch": (" verified ", {130}),
    "bulkup sandbox": ("Ctrl-C ends.", {0, 130}),
}
BLOCKS: Final = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", README)


def not_run(line: str) -> bool:
    return any(re.match(pattern, f"{line} ") for pattern in NOT_RUN)


def lines(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


@dataclass
class Reader:
    """Somebody with photos and a gallery, who types what stands in the README."""

    box: Sandbox
    folder: Path
    told: str
    photos: int = 0
    sums: set[str] = field(default_factory=set)
    chance: Random = field(default_factory=lambda: Random(1))

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.work = self.folder / "work"
        self.card = self.folder / "card"
        for folder in (self.home / ".config", self.home / "Pictures", self.work, self.card):
            folder.mkdir(parents=True)
        here = (":0", "--port 0", str(self.card), self.box.url)
        self.places = dict(zip(PLACES, here, strict=True)) | {"ntfy://my-photos": self.told}
        self._install("bulkup", f'exec {shlex.join(COMMAND)} "$@"')
        self._install("pass", f'test "$1" = photos && echo {PASSWORD}')
        for name in (
            *("photos/2019/IMG_0001", "photos/2020/IMG_0001", "photos/2019/raw/scan"),
            *("archive/2019/May/IMG_0001", "archive/2020/IMG_0001", "export/Trips/IMG_0001"),
            *("lightroom/Rome/IMG_0001", "Takeout/Google Photos/Trip/IMG_20190701_140322"),
        ):
            self.photo(f"{name}.jpg")
        for name in ("photos/2019/IMG_0001.nef", "lightroom/Rome/IMG_0001.nef"):
            self._write(name, b"II*\0" + self.chance.randbytes(900))
        self._write("lightroom/Rome/IMG_0001.xmp", (SIDECARS / "lightroom.xmp").read_bytes())
        for sidecar in (SIDECARS / "takeout").iterdir():
            self._write(f"Takeout/Google Photos/Trip/{sidecar.name}", sidecar.read_bytes())
        self._write(".last", b"")
        os.utime(self.work / ".last", (0, 0))

    def photo(self, name: str) -> None:
        content = picture(self.chance, size=900)
        self.sums.add(hashlib.md5(content).hexdigest())
        self._write(name, content)

    def _write(self, name: str, content: bytes = b"", *, text: str = "") -> None:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content or text.encode())

    def _install(self, name: str, line: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    @property
    def stored(self) -> int:
        return len(self.box.gallery.photos)

    def variables(self) -> dict[str, str]:
        """Return the variables of somebody who has his own home."""
        return {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / ".state"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".data"),
            "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "SHELL": "/bin/bash",
        }

    def settings(self, text: str) -> dict[str, str]:
        """Return the settings that he has when he comes to these lines."""
        if "export BULKUP_URL" in text or "--profile" in text:
            return {}
        return account(self.box) | {"finishing": "2", "settle": "0.1s"}

    def put(self, text: str) -> str:
        """Return lines with what is here in the place of what only looks like it."""
        for sign, here in self.places.items():
            text = text.replace(sign, here)
        return text

    async def type_lines(self, text: str) -> None:
        """Run lines, each to an end that is well; those that belong together in one bash."""
        for line in [text] if "export BULKUP" in text else lines(text):
            if re.match(SHELL, line):
                await self._in_bash(line)
            else:
                ended = await self.run(line)
                assert ended.code == 0, f"{line}\n{ended.err}"

    async def run(self, line: str) -> Ended:
        """Run one command, as bash reads it."""
        shown = f'bulkup() {{ printf "%s\\0" "$@"; }}; {self.put(line)}'
        read = await anyio.run_process([BASH, "-euc", shown])
        words = read.stdout.decode().split("\0")[:-1]
        return await bulkup(*words, given=f"{PASSWORD}\n", **self.settings(line))

    async def _in_bash(self, text: str) -> None:
        words, ends = next((UNTIL[sign] for sign in UNTIL if sign in text), ("", {0}))
        async with await anyio.open_process(
            [BASH, "-euo", "pipefail", "-c", self.put(text)],
            env=environment(self.settings(text)),
            stdin=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.send(f"{PASSWORD}\n".encode() if "read -rs" in text else b"")
            await process.stdin.aclose()
            said = ""
            async for part in TextReceiveStream(process.stdout, errors="replace"):
                said += part
                if words and words in said:
                    os.killpg(process.pid, signal.SIGINT)
                    words = ""
            code = await process.wait()
        assert code in ends, f"{text}\n{said}"
        assert "Traceback" not in said, f"{text}\n{said}"
        assert PASSWORD not in said

    async def keep_settings(self, text: str) -> None:
        """Write a settings file where bulkup looks for it."""
        self._write((await self.run("bulkup config --path")).out.strip(), text=self.put(text))

    async def run_python(self, text: str) -> str:
        done = await anyio.run_process(
            [sys.executable, "-c", self.put(text)],
            env=environment(self.settings(text)) | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
        return done.stdout.decode()


@asynccontextmanager
async def reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    albums = [f"Album {number}" for number in range(1, 10)]
    async with (
        Sandbox(admin=("admin", PASSWORD), albums=albums, formats=["nef"], max_body=2**20) as box,
        receiver() as there,
    ):
        box.gallery.make_album("2024", box.gallery.make_album("Scans"))
        reader = Reader(box, folder, there.address)
        for name, value in reader.variables().items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(reader.work)
        yield reader
        assert [message["title"] for message in there.got] == ["bulkup: 1 photo uploaded"]


async def fail_one(reader: Reader) -> None:
    """Have one upload fail for a photo that is well now."""
    reader.photos += 1
    late = reader.work / f"photos/late {reader.photos}.jpg"
    late.write_bytes(b"")
    ended = await reader.run("bulkup ./photos --album 9")
    assert ended.code == 1
    assert "the file is empty" in ended.err
    reader.photo(str(late.relative_to(reader.work)))


async def put_new(reader: Reader, folder: Path) -> None:
    reader.photos += 1
    reader.photo(str(folder / f"IMG_{reader.photos:04}.jpg"))


PREPARE: Final[dict[str, Callable[[Reader], Awaitable[None]]]] = {
    "./inbox": lambda reader: put_new(reader, reader.work / "inbox"),
    "/media/card": lambda reader: put_new(reader, reader.card / "DCIM/100CANON"),
    "--notify": lambda reader: put_new(reader, reader.work / "photos"),
    "status --failed -0": fail_one,
}


def emptied(folder: Path) -> bool:
    return not [path for path in folder.rglob("*.jpg") if ".Trash" not in str(path)]


CHECK: Final[dict[str, Callable[[Reader], bool]]] = {
    "export BULKUP_URL": lambda reader: reader.stored == 3,
    "./inbox": lambda reader: emptied(reader.work / "inbox"),
    "/media/card": lambda reader: emptied(reader.card),
    "--report migration.html": lambda reader: (reader.work / "migration.html").stat().st_size > 0,
    "--report proof.csv": lambda reader: b"present" in (reader.work / "proof.csv").read_bytes(),
    "--json": lambda reader: (reader.work / "events.jsonl").stat().st_size > 0,
}


@pytest.mark.timeout(600)  # it is many commands
async def test_the_commands_do_what_they_are_there_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(tmp_path, monkeypatch) as reader:
        for language, text in BLOCKS:
            if language == "toml":
                await reader.keep_settings(text)
            elif language == "python":
                assert "there before" in await reader.run_python(text)
            elif language == "sh" and (
                kept := [line for line in lines(text) if not not_run(line)]
            ):
                for sign, prepare in PREPARE.items():
                    if sign in text:
                        await prepare(reader)
                before = reader.stored
                await reader.type_lines("\n".join(kept))
                for sign, is_well in CHECK.items():
                    assert sign not in text or is_well(reader), text
                assert "9 --dry-run" not in text or reader.stored == before
        there = Counter(photo.md5 for photo in reader.box.gallery.photos.values())
        assert there == Counter(dict.fromkeys(reader.sums, 1))
        albums = {album.name for album in reader.box.gallery.albums.values()}
        assert {"photos", "2019", "May", "Rome", "Trips", "2024"} <= albums


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "python", "toml", *OTHER_BLOCKS}


async def test_what_is_not_run_is_there_and_bash_understands_it() -> None:
    blocks = [text for language, text in BLOCKS if language == "sh"]
    for text in blocks:
        await anyio.run_process([BASH, "-n"], input=text.encode())
    typed = [line for text in blocks for line in lines(text)]
    for pattern in NOT_RUN:
        assert any(re.match(pattern, f"{line} ") for line in typed), pattern


def inline() -> Iterator[str]:
    """Yield what stands between backticks in the text, tables made from code apart."""
    text = re.sub(r"(?ms)^```.*?^```$|<!-- .*?<!-- end of .*? -->", "", README)
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))


def test_commands_in_the_text_are_what_the_command_line_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (config,) = [text for language, text in BLOCKS if language == "toml"]
    (tmp_path / "config.toml").write_text(config)
    monkeypatch.setenv("BULKUP_CONFIG", str(tmp_path / "config.toml"))
    found = [span for span in inline() if re.match(r"bulkup [a-z./-]", span)]
    assert len(found) > 10
    for span in found:
        words = shlex.split(span.split(" | ")[0])
        if words[1:] in [[command] for command in COMMANDS]:
            continue  # that is only its name
        app.parse_args(words[1:], exit_on_error=False, print_error=False)


def test_flags_in_the_text_are_there() -> None:
    known = {name for command in COMMANDS for each in flags(command) for name in each.names}
    known |= {"--help", "--version"}
    named = {span.split()[0].split("=")[0] for span in inline() if re.match("-+[a-z]", span)}
    assert named <= known | {"-print0", "-qq"}


def test_extras_and_targets_in_the_text_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].keys() - {"bench", "dev"}
    (table,) = re.findall(r"(?ms)^\| extra \|.*?\n\n", README)
    assert set(re.findall(r"(?m)^\| `([a-z]+)`", table)) == extras
    for some in re.findall(r"(?:bulkup|'\.)\[([a-z,]+)\]", README):
        assert set(some.split(",")) <= extras, some
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text("utf-8")))
    typed = [*inline(), *(line for _, text in BLOCKS for line in lines(text))]
    made = {word for line in typed for word in re.findall(r"(?:^|\s)make ([a-z]+)", line)}
    assert made
    assert made <= targets


def test_links_lead_somewhere() -> None:
    plain = re.sub(r"(?ms)^```.*?^```$", "", README)
    headings = re.findall(r"(?m)^#+ (.*)$", plain)
    anchors = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", plain):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (ROOT / target).is_file(), target
