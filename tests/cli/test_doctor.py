"""`bulkup doctor`: lines, JSON, certificates, exit codes, Ctrl-C."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from bulkup.sandbox import Sandbox
from tests.support.certificates import encrypted, make_certificate
from tests.support.commands import (
    COMMAND,
    PASSWORD,
    Held,
    begin,
    environment,
    needs,
    read_until,
    send,
)

M = 1024 * 1024


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox(admin=("admin", PASSWORD), max_file=2 * M) as running:
        yield running


async def test_each_line_reports_a_finding(box: Sandbox, photos: Path) -> None:
    ended = await send(box, "doctor", photos)
    assert (ended.code, ended.err) == (0, "")
    said = ended.out.splitlines()
    assert all(re.match("[✓!✗] [A-Z]| {15}", line) for line in said)
    assert {
        f"✓ Address      {box.url}",
        "✓ TLS          none; the gallery is on this machine",
        "✓ Piwigo       16.4.0",
        "✓ Account      admin, webmaster",
        "✓ Methods      async, upload, legacy; auto takes async",
        "✓ File types   gif, jpeg, jpg, png, webp",
        "✓ Album        Sandbox (album 1)",
    } <= {*said}
    assert "✓ Order        what was added last is shown first (date_available DESC, " in ended.out
    chunk = r"^✓ Chunk size   2000K pass at .*/s, 4000K do not: .*size"
    assert re.search(chunk, ended.out, re.MULTILINE)
    assert re.search(r"^✓ Archive      1 photo, [0-9.]+ kB$", ended.out, re.MULTILINE)
    ended = await send(box, "doctor", photos, "--json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    checks = document.pop("checks")
    assert document == {"schema": 1, "ok": True}
    assert checks["chunk"]["passed"] == 2000 * 1024
    assert all(check["mark"] in {"ok", "warning"} for check in checks.values())


async def test_a_problem_is_reported_with_a_hint(box: Sandbox) -> None:
    ended = await send(box, "doctor", "--album", "99")
    assert (ended.code, ended.err) == (1, "")
    expected = r"^✗ Album        there is no album 99.*\n {15}The number"
    assert re.search(expected, ended.out, re.MULTILINE)
    ended = await send(box, "doctor", "--album", "99", "--json")
    assert ended.code == 1
    document = json.loads(ended.out)
    album = document["checks"]["album"]
    assert (document["ok"], album["mark"]) == (False, "problem")
    assert "no album 99" in album["text"]
    assert "index.php" in album["hint"]


async def test_control_characters_in_names_are_escaped(tmp_path: Path) -> None:
    async with Sandbox(admin=("admin", PASSWORD), albums=["\x1b[2J bad"], max_file=M) as box:
        (tmp_path / "\x1b[2J.jpg").touch()
        ended = await send(box, "doctor", tmp_path)
    assert ended.code == 1
    assert "\\x1b[2J.jpg: it is empty" in ended.out


@pytest.mark.parametrize(
    ("host", "trusted", "line"),
    [
        ("127.0.0.1", True, "! TLS          TLS 1.3, certificate valid for 4 days$"),
        ("127.0.0.1", False, "✗ TLS .*self-signed"),
        ("::1", True, "✗ TLS .*mismatch"),
    ],
)
async def test_the_certificate_is_judged(
    box: Sandbox, tmp_path: Path, host: str, trusted: bool, line: str
) -> None:
    given = {"ca_cert": f"{tmp_path}/cert"} if trusted else {}
    async with encrypted(box, make_certificate(tmp_path, days=5, host=host)) as url:
        ended = await send(box, "doctor", url=url, **given)
    assert re.search(f"^{line}", ended.out, re.MULTILINE)
    refused = line.startswith("✗")
    assert ended.code == int(refused)
    assert ("Address" in ended.out, bool(box.requests)) == (not refused, not refused)


async def test_a_certificate_that_the_system_trusts_is_trusted(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
    async with encrypted(box, make_certificate(tmp_path)) as url:
        # as a process: Python reads the variable when it starts
        variables = environment(needs(box) | {"url": url})
        done = await anyio.run_process([*COMMAND, "doctor"], env=variables)
    assert "✓ TLS          TLS 1.3, certificate valid for" in done.stdout.decode()


async def test_an_interrupted_doctor_leaves_nothing() -> None:
    async with Held("pwg.images.addSimple") as box:
        words = ["doctor", "--json"]
        async with await begin(words, environment(needs(box)), piped={1, 2}) as process:
            await box.came.wait()
            process.terminate()
            assert process.stdout
            out = b"".join([part async for part in process.stdout]).decode()
            assert await read_until(process) == "bulkup: interrupted\n"
            assert await process.wait() == 130
        assert not box.gallery.photos
        assert not box.gallery.buffers
        assert not box._accounts.sessions
    assert not out
