"""`bulkup doctor`: lines, JSON, exit codes, Ctrl-C."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.certificates import encrypted, make_certificate
from tests.support.commands import (
    PASSWORD,
    Ended,
    Held,
    begin,
    bulkup_process,
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


async def doctor(box: Sandbox, *arguments: str | Path, **settings: str) -> Ended:
    return await send(box, "doctor", *arguments, **settings)


# lines


async def test_each_line_reports_a_finding(box: Sandbox, photos: Path) -> None:
    ended = await doctor(box, photos)
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
    chunk = r"^✓ Chunk size   2000K pass at .*/s, 4000K do not: .*size"
    assert re.search(chunk, ended.out, re.MULTILINE)
    assert re.search(r"^✓ Archive      1 photo, [0-9.]+ kB$", ended.out, re.MULTILINE)


async def test_a_problem_is_reported_with_a_hint(box: Sandbox) -> None:
    ended = await doctor(box, "--album", "99")
    assert (ended.code, ended.err) == (1, "")
    told = r"^✗ Album        there is no album 99.*\n {15}The number"
    assert re.search(told, ended.out, re.MULTILINE)
    ended = await doctor(box, "--album", "99", "--json")
    assert ended.code == 1
    document = json.loads(ended.out)
    album = document["checks"]["album"]
    assert (document["ok"], album["mark"]) == (False, "problem")
    assert "no album 99" in album["text"]
    assert "index.php" in album["hint"]


async def test_control_characters_in_names_are_escaped(tmp_path: Path) -> None:
    async with Sandbox(admin=("admin", PASSWORD), albums=["\x1b[2J bad"], max_file=M) as box:
        (tmp_path / "\x1b[2J.jpg").touch()
        ended = await doctor(box, tmp_path)
    assert ended.code == 1
    assert "\\x1b[2J.jpg: it is empty" in ended.out


# JSON


KEYS = {
    "address": {"url", "given"},
    "tls": {"version", "days", "trusted", "local"},
    "version": {"version"},
    "latency": {"median_s", "worst_s", "requests"},
    "account": {"user", "status", "api_key"},
    "methods": {"offered", "auto", "missing"},
    "types": {"endings"},
    "chunk": {"named", "passed", "refused", "reason", "slow", "rate", "tried"},
    "duplicates": {"by_md5", "detection"},
    "album": {"album", "name"},
    "workers": {"workers", "most", "finishing"},
    "archive": {
        *("photos", "size", "present", "requests", "chunk_size", "seconds", "types"),
        *("by_rule", "unreadable", "empty", "examples", "ids_left"),
    },
}


async def test_json_is_one_object_with_known_keys(box: Sandbox, photos: Path) -> None:
    ended = await doctor(box, photos, "--json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert set(document) == {"schema", "ok", "checks"}
    assert (document["schema"], document["ok"]) == (1, True)
    checks = document["checks"]
    assert {name: set(checks[name]) - {"mark", "text", "hint"} for name in checks} == KEYS
    assert checks["chunk"]["passed"] == 2000 * 1024
    assert all(check["mark"] in {"ok", "warning"} for check in checks.values())


# TLS


async def test_the_tls_version_and_the_validity_are_reported(box: Sandbox, tmp_path: Path) -> None:
    async with encrypted(box, make_certificate(tmp_path, days=5)) as url:
        ended = await doctor(box, "--ca-cert", tmp_path / "cert", url=url)
    assert ended.code == 0
    assert "! TLS          TLS 1.3, certificate valid for 4 days\n" in ended.out


async def test_a_certificate_that_the_system_trusts_is_trusted(
    box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
    async with encrypted(box, make_certificate(tmp_path)) as url:
        ended = await bulkup_process("doctor", **(needs(box) | {"url": url}))
    assert ended.code == 0
    assert "✓ TLS          TLS 1.3, certificate valid for" in ended.out


@pytest.mark.parametrize(("host", "reason"), [("127.0.0.1", "self-signed"), ("::1", "mismatch")])
async def test_bad_certificates_fail(box: Sandbox, tmp_path: Path, host: str, reason: str) -> None:
    trusted = f"{tmp_path}/cert" if reason == "mismatch" else ""
    async with encrypted(box, make_certificate(tmp_path, host=host)) as url:
        ended = await doctor(box, url=url, ca_cert=trusted)
    assert ended.code == 1
    assert re.search(rf"^✗ TLS .*{reason}", ended.out, re.MULTILINE)
    assert "Address" not in ended.out
    assert not box.requests


# Ctrl-C


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
