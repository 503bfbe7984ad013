"""Unattended runs: `--max-errors`, notifications, cron and systemd."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import COMMAND, PASSWORD, Ended, one_photo, send
from tests.support.receiver import receiver

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "nas.md").read_text("utf-8")
SECRET = "s3cret-path"


def block(language: str, mark: str) -> str:
    """Return the guide's only block of a language that holds this."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = [text for of, text in blocks if of == language and mark in text]
    return str(found)


async def test_too_many_failures_end_a_run_or_a_watch(box: Sandbox, tmp_path: Path) -> None:
    for number in range(20):
        one_photo(tmp_path, f"photo {number}.jpg")
        if number < 5:
            (tmp_path / f"{number}.jpg").touch()
    ended = await send(box, tmp_path, "--max-errors", "1", "--concurrency", "1")
    assert len(box.gallery.photos) < 20
    assert ended.code == 1
    assert ended.err.count("1 photo has failed, so no other photo is started") == 1
    assert "unfinished" in ended.err
    assert "Not finished after" in ended.err
    ended = await send(box, tmp_path, max_errors="6")
    assert len(box.gallery.photos) == 20
    assert ended.code == 1
    assert "--max-errors" not in ended.err
    assert "unfinished" not in ended.err
    ended = await send(box, "watch", tmp_path, "--settle", "0", "--max-errors", "2")
    assert ended.code == 1
    assert "2 photos have failed" in ended.err


async def test_services_of_flags_and_a_file_are_notified_and_one_that_fails_is_named(
    box: Sandbox, photos: Path, tmp_path: Path
) -> None:
    (photos / "empty.jpg").touch()
    file = tmp_path / "services"
    async with receiver() as one, receiver(status=500) as two:
        file.write_text(f"# ours\n\n{one.address}\n")
        ended = await send(box, photos, "--notify", two.address, "--notify-file", file)
        (message,) = one.got
        assert len(two.got) == 1
    assert ended.code == 1
    assert message["title"] == "bulkup: 1 photo uploaded, 1 failed"
    assert "empty.jpg" in message["message"]
    assert ended.err.count("the notification to json was rejected") == 1
    assert SECRET not in ended.err
    # the variable separates addresses by spaces
    ended = await send(box, photos, notify=f"json://127.0.0.1 nosuch://{SECRET}")
    assert ended.code == 2
    assert "the nosuch:// address (number 2)" in ended.err
    assert SECRET not in ended.err


async def run_bare(box: Sandbox, photos: Path, line: str, variables: dict[str, str]) -> Ended:
    """Run a line of the guide as a daemon would: by sh, with next to nothing around it.

    The sandbox, its album, the photos and a command of this test take the place of those it names.
    """
    installed = photos.with_name("bulkup")
    installed.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    installed.chmod(0o755)
    line = re.sub(r"\S+/bin/bulkup", str(installed), line).replace("/srv/photos", str(photos))
    bare = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **variables}
    done = await anyio.run_process(
        ["/bin/sh", "-c", line.replace("--album 9", "--album 1")],
        env=bare | {"BULKUP_URL": box.url, "BULKUP_FINISHING": "1"},
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert len(box.gallery.photos) == 1
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


async def test_the_guide_s_cron_line_uploads(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    *settings, job = block("crontab", "0 23 * * *").splitlines()
    variables = dict(setting.split("=", 1) for setting in settings)
    line = job.removeprefix("0 23 * * * ")
    assert line != job
    assert "%" not in line  # which means a line's end to cron
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "bulkup-password").write_text(PASSWORD)
    variables |= {"HOME": str(tmp_path), "SHELL": "/bin/sh"}
    ended = await run_bare(box, photos, line, variables)
    assert (ended.code, ended.out) == (0, "")
    assert "Done after" in ended.err
    assert all(line.isprintable() for line in ended.err.splitlines())  # a mail, or a journal


def unit(mark: str) -> dict[str, str]:
    """Return the settings of a unit of the guide; of one that is repeated, all its values."""
    settings: dict[str, str] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", block("ini", mark), re.MULTILINE):
        settings[name] = f"{settings.get(name, '')} {value}".strip()
    return settings


async def test_the_guide_s_service_notifies(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    service = unit("ExecStart")
    credentials, state = tmp_path / "credentials", tmp_path / "state"
    for folder in (credentials, state / service["StateDirectory"]):
        folder.mkdir(parents=True)
    named = {name.partition(":")[0] for name in service["LoadCredential"].split()}
    assert named == {"password", "notify"}
    (credentials / "password").write_text(f"{PASSWORD}\n")
    settings = service["Environment"].replace("%d", str(credentials)).replace("%S", str(state))
    variables = dict(setting.split("=", 1) for setting in settings.split())
    async with receiver() as there:
        (credentials / "notify").write_text(f"{there.address}\n")
        ended = await run_bare(box, photos, service["ExecStart"], variables)
        assert len(there.got) == 1
    assert ended.code == 0
    assert list((state / "bulkup").glob("ledger.sqlite*"))


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"),
    reason="there is no systemd-analyze: apt-get install systemd",
)
async def test_systemd_accepts_the_units_of_the_guide(tmp_path: Path) -> None:
    service = block("ini", "ExecStart").replace("/usr/local/bin/bulkup", sys.executable)
    (tmp_path / "bulkup.service").write_text(service.replace("User=photos", "User=root"))
    (tmp_path / "bulkup.timer").write_text(block("ini", "OnCalendar"))
    done = await anyio.run_process(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "bulkup.timer"],
        cwd=tmp_path,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        check=False,
    )
    said = (done.stdout + done.stderr).decode()
    assert "bulkup" not in said
    assert done.returncode == 0, said
    await anyio.run_process(["systemd-analyze", "calendar", unit("OnCalendar")["OnCalendar"]])
