"""Runs the commands of the README and of the documentation as they stand there, page by page.

`PLACES` names what is replaced, `NOT_RUN` what is not run; bash must understand that too. Bash
reads every line. A plain `bulkup` command then runs in a thread of this process, everything else
in bash.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from bulkup.cli import app
from bulkup.sandbox import Sandbox
from bulkup.sandbox.accounts import Permission
from bulkup.sandbox.gallery import Group
from docs.generate import COMMANDS, arguments
from tests.support.archives import write_zip
from tests.support.commands import COMMAND, PASSWORD, Ended, account, bulkup, environment
from tests.support.receiver import receiver
from tests.support.runs import picture

ROOT: Final = Path(__file__).parents[2]
SIDECARS: Final = ROOT / "tests" / "sidecars"
PAGES: Final = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in path.parts
}

OTHER_BLOCKS: Final = {
    "ini": "systemd's units are tried in test_unattended.py",
    "crontab": "cron's line is tried in test_unattended.py",
    "php": "the settings of a gallery",
    "text": "what is printed or drawn",
}
NOT_RUN: Final = {
    r"(pipx|uv tool|\S*pip) install |uvx ": "packages are installed by `make dist`",
    r"python3 -m venv |\. \S+/bin/activate|ln -s /opt/": "the tests run in an environment already",
    r"(bulkup .* --dask|dask) ": "clusters are tried in test_cluster.py",
    r"(systemctl|journalctl) ": "there is no systemd in a container",
    r"docker |cp compose.yaml |printf 'PHOTOS=|install -m ": "the image is tried in test_image.py",
    r"bulkup from-piwigo ": "two galleries are tried in test_from_piwigo.py",
    r"make ": "that would be this test again",
    r"(osxphotos|immich-go|rclone) ": "programs of others",
    r".*\bnas\.(lan|pem)\b": "certificates of one's own are tried in test_first_run.py",
}
SHELL: Final = r"(?!bulkup )|bulkup (watch|sandbox) |.*([|<>]| --after trash)"
"""Pipes, signals, and a trash whose place is known when Python starts."""
BASH: Final = shutil.which("bash") or "bash"
UNTIL: Final = {
    "bulkup watch": (" verified ", {130}),
    "bulkup sandbox": ("Ctrl-C ends.", {0, 130}),
}
PHOTOS: Final = {".jpg", ".jpeg", ".png", ".gif", ".webp"}


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code."""
    found = re.findall(r"(?ms)^( *)```(\w*)\n(.*?)^\1```$", PAGES[page])
    return [(language, textwrap.dedent(text)) for _, language, text in found]


def not_run(line: str) -> bool:
    return any(re.match(pattern, f"{line} ") for pattern in NOT_RUN)


def lines(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


@dataclass
class Reader:
    """Somebody with photos and a gallery who types what a page says."""

    box: Sandbox
    folder: Path
    service: str
    photos: int = 0
    sums: set[str] = field(default_factory=set)
    chance: Random = field(default_factory=lambda: Random(1))

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.work = self.folder / "work"
        self.card = self.folder / "card"
        for folder in (self.home / ".config", self.home / "Pictures", self.work, self.card):
            folder.mkdir(parents=True)
        self.places = {
            ":8765": ":0",
            "--port 8081": "--port 0",
            "/media/card": str(self.card),
            "https://photos.example.org": self.box.url,
            "http://127.0.0.1:8081/": self.box.url,
            "=secret": f"={PASSWORD}",
            "ntfy://my-photos": self.service,
        }
        self._install("bulkup", f'exec {shlex.join(COMMAND)} "$@"')
        self._install("python", f'PYTHONPATH={ROOT} exec {sys.executable} "$@"')
        self._install("pass", f'test "$1" = photos && echo {PASSWORD}')
        for name in (
            *("photos/2019/IMG_0001", "photos/2020/IMG_0001", "photos/2019/raw/scan"),
            *("archive/2019/May/IMG_0001", "archive/2020/IMG_0001", "export/Trips/IMG_0001"),
            *("lightroom/Rome/IMG_0001", "Takeout/Google Photos/Trip/IMG_20190701_140322"),
        ):
            self.photo(f"{name}.jpg")
        for name in ("photos/2019/IMG_0001.nef", "lightroom/Rome/IMG_0001.nef"):
            self.write(name, b"II*\0" + self.chance.randbytes(900))
        self.write("lightroom/Rome/IMG_0001.xmp", (SIDECARS / "lightroom.xmp").read_bytes())
        for sidecar in (SIDECARS / "takeout").iterdir():
            self.write(f"Takeout/Google Photos/Trip/{sidecar.name}", sidecar.read_bytes())
        unpacked = [path for path in (self.work / "Takeout").rglob("*") if path.is_file()]
        for number, path in enumerate(sorted(unpacked), start=1):
            name = str(path.relative_to(self.work))
            write_zip(self.work / f"takeout-{number:03}.zip", {name: path.read_bytes()})
        self.write(
            "photos.csv", b"path,title,date\n2019/IMG_0001.jpg,Lunch by the sea,2019-07-04\n"
        )
        self.write("scans.csv", b"Photo;Caption\nIMG_0001.jpg;A scan\n")
        self._write_exports()
        self.write(".last", b"")
        os.utime(self.work / ".last", (0, 0))

    def _write_exports(self) -> None:
        """Write exports of other services."""
        for service in ("flickr", "icloud", "immich", "photoprism", "picasa"):
            for path in (SIDECARS / service).rglob("*"):
                if path.is_file():
                    self.write(path.relative_to(SIDECARS), path.read_bytes())
        for name in (
            *("icloud/Part 1 of 2/Photos/IMG_0001.jpg", "immich/2023/2023-10/example.jpg"),
            *("photoprism/originals/2019/20190704_120000_ABCD1234.jpg", "picasa/Trip/a.jpg"),
            *("apple/Trip/IMG_0001.jpg", "mounted/2019/IMG_0001.jpg", "lunch_23425673160_o.jpg"),
        ):
            self.photo(name)
        lunch = (self.work / "lunch_23425673160_o.jpg").read_bytes()
        data = {path.name: path.read_bytes() for path in (SIDECARS / "flickr").iterdir()}
        write_zip(self.work / "flickr/data-download-1.zip", {"lunch_23425673160_o.jpg": lunch})
        write_zip(self.work / "flickr/7215_part1.zip", data)

    def photo(self, name: str | Path) -> None:
        self.write(name, picture(self.chance, size=900))

    def sums_below(self, folder: Path) -> set[str]:
        """Return the MD5s of the photos in a folder."""
        return {
            hashlib.md5(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.suffix.lower() in PHOTOS
        }

    def write(self, name: str | Path, content: bytes) -> None:
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _install(self, name: str, line: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    @property
    def stored(self) -> Counter[str]:
        return Counter(photo.md5 or "" for photo in self.box.gallery.photos.values())

    def settings(self, text: str) -> dict[str, str]:
        """Return the settings that these lines rely on."""
        if "export BULKUP_URL" in text or "--profile" in text:
            return {}
        return account(self.box) | {"finishing": "2", "settle": "0.1s"}

    def put(self, text: str) -> str:
        """Return lines with the places of this test instead of those of the page."""
        for sign, here in self.places.items():
            text = text.replace(sign, here)
        return text

    async def type_lines(self, text: str) -> None:
        """Run lines, each of which has to succeed; those that belong together in one bash."""
        self.sums |= self.sums_below(self.work) | self.sums_below(self.card)
        for line in [text] if "export BULKUP" in text else lines(text):
            if re.match(SHELL, re.sub("'[^']*'", "''", line)):
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
            if "read -rs" in text:
                await process.stdin.send(f"{PASSWORD}\n".encode())
            await process.stdin.aclose()
            printed = ""
            async for part in TextReceiveStream(process.stdout, errors="replace"):
                printed += part
                if words and words in printed:
                    os.killpg(process.pid, signal.SIGINT)
                    words = ""
            code = await process.wait()
        assert code in ends, f"{text}\n{printed}"
        assert "Traceback" not in printed, f"{text}\n{printed}"
        assert PASSWORD not in printed

    async def run_python(self, text: str) -> str:
        self.sums |= self.sums_below(self.work)
        done = await anyio.run_process(
            [sys.executable, "-c", self.put(text)],
            env=environment(self.settings(text)) | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode()
        return done.stdout.decode()


@asynccontextmanager
async def reading(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Reader]:
    albums = [f"Album {number}" for number in range(1, 10)]
    async with (
        Sandbox(admin=("admin", PASSWORD), albums=albums, formats=["nef"], max_body=2**20) as box,
        receiver() as there,
    ):
        box.gallery.make_album("2024", box.gallery.make_album("Scans"))
        box.gallery.groups[1] = Group("Family")
        reader = Reader(box, folder, there.address)
        for name, value in {
            "HOME": str(reader.home),
            "XDG_STATE_HOME": str(reader.home / ".state"),
            "XDG_CONFIG_HOME": str(reader.home / ".config"),
            "XDG_DATA_HOME": str(reader.home / ".data"),
            "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "SHELL": "/bin/bash",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(reader.work)
        yield reader
        titles = ["bulkup: 1 photo uploaded"] if "--notify ntfy:" in PAGES[page] else []
        assert [message["title"] for message in there.got] == titles


async def fail_one(reader: Reader) -> None:
    """Have one upload fail for a photo that is fine afterwards."""
    reader.write("photos/late.jpg", b"")
    assert (await reader.run("bulkup ./photos --album 9")).code == 1
    reader.photo("photos/late.jpg")


async def put_new(reader: Reader, folder: Path) -> None:
    reader.photos += 1
    reader.photo(folder / f"IMG_{reader.photos:04}.jpg")


async def upload_first(reader: Reader) -> None:
    assert (await reader.run("bulkup ./photos --album 9")).code == 0


PREPARE: Final[dict[str, Callable[[Reader], Awaitable[None]]]] = {
    "./inbox": lambda reader: put_new(reader, reader.work / "inbox"),
    "/media/card": lambda reader: put_new(reader, reader.card / "DCIM/100CANON"),
    "--notify": lambda reader: put_new(reader, reader.work / "photos"),
    "status --failed -0": fail_one,
    "bulkup refresh": upload_first,
}


def emptied(folder: Path) -> bool:
    return not [path for path in folder.rglob("*.jpg") if ".Trash" not in str(path)]


CHECK: Final[dict[str, Callable[[Reader], bool]]] = {
    "./inbox": lambda reader: emptied(reader.work / "inbox"),
    "/media/card": lambda reader: emptied(reader.card),
    "--report migration.html": lambda reader: (reader.work / "migration.html").stat().st_size > 0,
    "--report proof.csv": lambda reader: b"present" in (reader.work / "proof.csv").read_bytes(),
    "--json": lambda reader: (reader.work / "events.jsonl").stat().st_size > 0,
}
ALBUMS: Final = {
    "docs/tutorial.md": {"2019", "Été à la mer", "100CANON"},
    "docs/how-to/albums.md": {"2019", "May", "2020"},
    "docs/how-to/lightroom.md": {"Rome"},
    "docs/how-to/other-gallery.md": {"Trips"},
    "docs/how-to/sources.md": {
        *("Rome & around", "San Francisco Trip", "Best of: 2019/20", "Best of"),
        *("Trip to Rome!", "Trip", "2019"),
    },
    "docs/how-to/takeout.md": {"Sommer am Comer See"},
}
UPLOAD: Final = r'(?m)^bulkup "?\./([\w/ ]+?)"? (?!.*--dry-run)'
RUN: Final = [
    page for page in PAGES if {"sh", "python"} & {language for language, _ in blocks(page)}
]


@pytest.mark.timeout(300)  # it is many commands
@pytest.mark.parametrize("page", RUN)
async def test_the_commands_of_a_page_do_what_they_are_there_for(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(page, tmp_path, monkeypatch) as reader:
        for language, text in blocks(page):
            if language == "toml":
                config = (await reader.run("bulkup config --path")).out.strip()
                reader.write(config, reader.put(text).encode())
            elif language == "python":
                assert "there before" in await reader.run_python(text)
                assert reader.stored.keys() == reader.sums_below(reader.work / "photos")
            elif language == "sh" and (
                kept := [line for line in lines(text) if not not_run(line)]
            ):
                for sign, prepare in PREPARE.items():
                    if sign in text:
                        await prepare(reader)
                before = reader.stored
                await reader.type_lines("\n".join(kept))
                for sign, is_right in CHECK.items():
                    assert sign not in text or is_right(reader), text
                uploaded = re.findall(UPLOAD, "\n".join(kept))
                raw = reader.sums_below(reader.work / "photos/2019/raw")
                excluded = raw if "--profile" in text else set()  # the guide's profile
                for folder in uploaded:
                    expected = reader.sums_below(reader.work / folder) - excluded
                    assert expected <= reader.stored.keys(), text
                    assert not excluded & reader.stored.keys()
                assert uploaded or "--dry-run" not in text or reader.stored == before
        assert set(reader.stored.values()) <= {1}
        assert reader.stored.keys() <= reader.sums
        assert ALBUMS.get(page, set()) <= {
            album.name for album in reader.box.gallery.albums.values()
        }


async def test_every_block_is_of_a_kind_that_is_tried_and_bash_understands_those_for_it() -> None:
    found = {language for page in PAGES for language, _ in blocks(page)}
    assert found == {"sh", "python", "toml", *OTHER_BLOCKS}
    assert ALBUMS.keys() <= set(RUN)
    assert len(RUN) > 10
    typed = [text for page in PAGES for language, text in blocks(page) if language == "sh"]
    await anyio.run_process([BASH, "-n"], input="\n".join(typed).encode())
    for pattern in NOT_RUN:
        assert any(re.match(pattern, f"{line} ") for text in typed for line in lines(text)), (
            pattern
        )


def inline() -> Iterator[str]:
    """Yield what stands between backticks in the text."""
    for text in PAGES.values():
        yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(text)))


def test_commands_and_flags_in_the_text_are_what_the_command_line_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (config,) = [text for page in PAGES for kind, text in blocks(page) if kind == "toml"]
    (tmp_path / "config.toml").write_text(config)
    monkeypatch.setenv("BULKUP_CONFIG", str(tmp_path / "config.toml"))
    found = {span for span in inline() if re.match(r"bulkup [a-z./-]", span)}
    assert len(found) > 10
    for span in found:
        words = shlex.split(span.split(" | ")[0])
        if words[1:] in [[command] for command in COMMANDS]:
            continue  # that is only its name
        app.parse_args(words[1:], exit_on_error=False, print_error=False)
    known = {name for command in COMMANDS for each in arguments(command) for name in each.names}
    known |= {"--help", "--version"}
    named = {span.split()[0].split("=")[0] for span in inline() if re.match("-+[a-z]", span)}
    assert named <= known | {"-print0", "-qq", "--user"}


def test_extras_and_targets_in_the_text_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].keys() - {"bench", "dev", "docs"}
    (table,) = re.findall(r"(?ms)^\| extra \|.*?\n\n", PAGES["docs/how-to/install.md"])
    assert set(re.findall(r"(?m)^\| `([a-z]+)`", table)) == extras
    for some in re.findall(r"(?:bulkup|'\.)\[([a-z,]+)\]", "".join(PAGES.values())):
        assert set(some.split(",")) <= extras, some
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text("utf-8")))
    typed = [
        *inline(),
        *(line for page in PAGES for _, text in blocks(page) for line in lines(text)),
    ]
    made = {word for line in typed for word in re.findall(r"(?:^|\s)make ([a-z]+)", line)}
    assert made
    assert made <= targets


async def test_the_documented_fields_of_the_doctor_are_those_it_prints(
    box: Sandbox, photos: Path
) -> None:
    (table,) = re.findall(
        r"(?ms)^\| check \| fields \|\n.*?\n(\|.*)", PAGES["docs/reference/doctor.md"]
    )
    documented = {
        row.split(" | ")[0].strip("| `"): set(re.findall(r"`(\w+)`", row.split(" | ")[1]))
        for row in table.splitlines()
        if row.startswith("| `")
    }
    found: dict[str, set[str]] = {}
    members = Sandbox(
        admin=("root", "rootsecret"), users={"admin": PASSWORD}, community=[Permission()]
    )
    for words in ([photos, "--album", "1"], [photos], []):
        async with AsyncExitStack() as stack:
            visited = box if words else await stack.enter_async_context(members)
            ended = await bulkup("doctor", *words, "--json", **account(visited))
        for name, check in json.loads(ended.out)["checks"].items():
            found.setdefault(name, set()).update(check.keys() - {"mark", "text", "hint"})
    assert found == documented


def prose(page: str) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^( *)```.*?^\1```$", "", page)


def anchors(page: str) -> set[str]:
    """Return what links to the headings of a page are made of."""
    headings = re.findall(r"(?m)^#+ (.*)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[page])):
        if "://" not in target:
            place, _, anchor = target.partition("#")
            file = (ROOT / page).parent / place if place else ROOT / page
            assert file.is_file(), target
            assert not anchor or anchor in anchors(file.read_text("utf-8")), target
