"""The container image: what its files say, and its commands run without a container."""

import json
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
import yaml

from bulkup.cli import app
from bulkup.sandbox import Sandbox
from docs.generate import arguments
from tests.support.commands import PASSWORD, begin, environment, read_until

ROOT: Final = Path(__file__).parents[2]
LINES: Final = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
INSTRUCTIONS: Final = [
    (name, rest.strip())
    for name, _, rest in (line.partition(" ") for line in LINES if line and line[0] != "#")
]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICE: Final[dict[str, Any]] = COMPOSE["services"]["bulkup"]


def last(name: str) -> str:
    """Return what the last instruction of a name says."""
    return [rest for each, rest in INSTRUCTIONS if each == name][-1]


def variables() -> dict[str, str]:
    """Return the image's own environment."""
    return dict(word.split("=", 1) for word in shlex.split(last("ENV")))


def test_the_image_is_slim_unprivileged_and_installs_what_there_is() -> None:
    bases = [rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"]
    assert set(bases) == {"python:3.13-slim"}
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    sent = set((ROOT / ".dockerignore").read_text("utf-8").split())
    for name, rest in INSTRUCTIONS:
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources)
            assert {f"!{source}" for source in sources} <= sent
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", " ".join(LINES))
    assert set(extras.split(",")) <= project["project"]["optional-dependencies"].keys()
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["path"]
    assert f"!{hook}" in sent


def test_compose_mounts_photos_read_only_for_their_owner_and_gives_what_bulkup_takes() -> None:
    assert SERVICE["user"] == "${PUID:-1000}:${PGID:-1000}"
    assert SERVICE["volumes"][0].endswith(":/photos:ro")
    assert SERVICE["volumes"][1] == "state:/state"
    assert SERVICE["read_only"]
    words = SERVICE["command"].split()
    app.parse_args(words, exit_on_error=False, print_error=False)
    known = {name for flag in arguments(words[0]) for name in flag.parameter.env_var or ()}
    given = {*SERVICE["environment"], *variables()}
    assert {name for name in given if name.startswith("BULKUP_")} <= known
    secret = SERVICE["environment"]["BULKUP_PASSWORD_FILE"]
    assert Path(secret).name in COMPOSE["secrets"].keys() & set(SERVICE["secrets"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process at once on Windows")
async def test_its_command_uploads_is_healthy_meanwhile_and_ends_by_sigterm(
    box: Sandbox, photos: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    assert json.loads(last("ENTRYPOINT")) == ["bulkup"]
    words = [str(photos) if word == "/photos" else word for word in SERVICE["command"].split()]
    own = {name: value.replace("/state", str(state)) for name, value in variables().items()}
    given = environment({}) | {name: own[name] for name in own if name.startswith("BULKUP_")}
    given |= {
        "BULKUP_URL": box.url,
        "BULKUP_USER": "admin",
        "BULKUP_ALBUM": "1",
        "BULKUP_PASSWORD_FILE": str(secret),
        "BULKUP_MONITOR": own["BULKUP_MONITOR"].replace(":8765", ":0"),
        "BULKUP_SETTLE": "0.1s",
        "BULKUP_FINISHING": "1",
    }
    settled = [word for word in words if word not in {"--settle", "1m"}]
    async with await begin(settled, given, piped={2}) as process:
        printed = await read_until(process, " verified ")
        assert await healthy(printed)
        process.send_signal(signal.SIGTERM)
        await read_until(process)
        assert await process.wait() == 130
    assert not await healthy(printed)
    assert len(box.gallery.photos) == 1
    assert (state / "ledger.sqlite").exists()


async def healthy(printed: str) -> bool:
    """Run the image's health check against the monitor that a run says it has."""
    (port,) = re.findall(r"shown at http://127\.0\.0\.1:(\d+)/", printed)
    _, _, command = last("HEALTHCHECK").partition("CMD ")
    program, *words = json.loads(command.replace(":8765", f":{port}"))
    assert program == "python"
    done = await anyio.run_process(
        [sys.executable, *words], check=False, stderr=subprocess.DEVNULL
    )
    return done.returncode == 0
