"""`--monitor`: the page during a run, ports and tokens."""

import json
import re
import socket
from pathlib import Path

import aiohttp
import pytest
from anyio import fail_after
from anyio.abc import Process

from bulkup.cli.output_flags import OutputFlags
from bulkup.sandbox import Sandbox
from tests.support.commands import (
    UPLOADS,
    Held,
    interrupted,
    read_until,
    send,
    start,
)
from tests.support.runs import make_archive

TOKEN = "0123456789abcdef"


async def address_of(process: Process) -> str:
    """Return where a started command says that its monitor is."""
    said = await read_until(process, "/\n")
    found = re.search(r"the run is shown at (http://\S+/)\n", said)
    assert found, said
    return found[1]


async def get(address: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(address, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_the_page_is_served_during_the_run(tmp_path: Path) -> None:
    make_archive(tmp_path, count=5, names=5, size=(5000, 9000))
    async with (
        Held(*UPLOADS, nth=3) as box,
        await start(box, tmp_path, "--chunk-size", "4K", "--monitor", ":0") as process,
        aiohttp.ClientSession(read_bufsize=2**24) as session,
    ):
        with fail_after(60):
            address = await address_of(process)
            await box.came.wait()
            assert "<title>bulkup</title>" in (await get(address))[1]
            async with session.get(f"{address}events") as stream:
                while seen := await stream.content.readline():
                    if seen.strip() and json.loads(seen.removeprefix(b"data: "))["in_flight"]:
                        break
                status, figures = await get(f"{address}metrics")
                assert status == 200
                assert "bulkup_running 1.0" in figures
                assert re.search(r"bulkup_sent_bytes_total [1-9]", figures)
                said = await interrupted(box, process, twice=True)
                last = [line async for line in stream.content if line.strip()][-1]
        ended = json.loads(last.removeprefix(b"data: "))
        assert (ended["over"], ended["phase"]) == (True, "ended")
        assert "unfinished" in ended["summary"]
        assert "unfinished" in said
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(address)


async def test_a_port_in_use_is_a_usage_error(box: Sandbox, photos: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for command in ([photos], ["verify", photos], ["watch", photos]):
            ended = await send(box, *command, monitor=address)
            assert ended.code == 2
            assert f"--monitor {address}: another program is using this port" in ended.err
    assert not box.requests


async def test_a_public_page_needs_a_token(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "token").write_text(f"{TOKEN}\n")  # where it is skipped
    monkeypatch.setenv("BULKUP_MONITOR_TOKEN", TOKEN)
    listen = OutputFlags(monitor="0.0.0.0:0").options().listen
    assert listen
    assert listen.token == TOKEN
    flags = (photos, "--monitor", "0.0.0.0:0", "--monitor-token-file", photos / "token")
    async with Held(*UPLOADS) as box, await start(box, *flags) as process:
        port = (await address_of(process)).rstrip("/").rpartition(":")[2]
        address = f"http://127.0.0.1:{port}/"
        assert (await get(address))[0] == 401
        assert (await get(f"{address}?token={TOKEN}"))[0] == 200
        assert (await get(f"{address}metrics", Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert TOKEN not in await interrupted(box, process, twice=True)
