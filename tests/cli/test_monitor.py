"""`--monitor` as a flag: what the command says, serves, and refuses."""

import json
import re
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
from anyio import fail_after
from anyio.abc import Process

from bulkup.sandbox import Sandbox
from tests.support.commands import (
    PASSWORD,
    UPLOADS,
    Held,
    one_photo,
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


async def abort(process: Process) -> None:
    """Interrupt a run twice."""
    process.send_signal(signal.SIGINT)
    await read_until(process, "again aborts")
    process.send_signal(signal.SIGINT)


async def test_it_serves_the_run_while_it_lasts(tmp_path: Path) -> None:
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
                await abort(process)
                last = [line async for line in stream.content if line.strip()][-1]
            said = await read_until(process)
            assert await process.wait() == 130
        ended = json.loads(last.removeprefix(b"data: "))
        assert ended["over"]
        assert ended["phase"] == "ended"
        assert "unfinished" in ended["summary"]
        assert "unfinished" in said
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(address)


async def test_a_watch_is_shown_from_run_to_run(tmp_path: Path) -> None:
    one_photo(tmp_path, "first.jpg")
    flags = ["--settle", "0.2s", "--monitor", ":0"]
    async with (
        Sandbox(admin=("admin", PASSWORD)) as box,
        await start(box, "watch", tmp_path, *flags) as process,
    ):
        address = await address_of(process)
        await read_until(process, " verified ")
        one_photo(tmp_path, "second.jpg")
        await read_until(process, " verified ")
        _, figures = await get(f"{address}metrics")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert 'bulkup_photos_total{outcome="uploaded"} 2.0' in figures


async def test_an_address_that_is_taken_ends_the_command_before_any_request(
    tmp_path: Path,
) -> None:
    one_photo(tmp_path)
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for command in ([tmp_path], ["verify", tmp_path], ["watch", tmp_path]):
                ended = await send(box, *command, monitor=address)
                assert ended.code == 2
                assert f"--monitor {address}: another program listens there" in ended.err
        assert not box.requests


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--monitor", "0.0.0.0:0"], "can be reached by others"),
        (["--monitor", "here"], "is no host with a port"),
        (["--monitor", "0.0.0.0:0", "--monitor-token-file", "{folder}/weak"], "is shorter than"),
        (["--monitor", "0.0.0.0:0", "--monitor-token-file", "{folder}/none"], "No such file"),
        (["--monitor-token-file", "{folder}/weak"], "and no --monitor"),
    ],
)
async def test_a_mistake_is_told_before_any_request(
    tmp_path: Path, flags: list[str], words: str
) -> None:
    photo = one_photo(tmp_path)
    (tmp_path / "weak").write_text("s3cret")
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        given = [flag.format(folder=tmp_path) for flag in flags]
        ended = await send(box, photo, *given)
        assert not box.requests
    assert ended.code == 2
    assert words in ended.err
    assert "s3cret" not in ended.err


@pytest.mark.parametrize("by_file", [True, False])
async def test_wherever_others_can_reach_it_it_asks_for_its_token(
    tmp_path: Path, by_file: bool
) -> None:
    one_photo(tmp_path)
    flags = ["--monitor", "0.0.0.0:0"]
    if by_file:
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        flags += ["--monitor-token-file", str(tmp_path / "token")]
    async with Held(*UPLOADS) as box:
        token = "" if by_file else TOKEN
        async with await start(box, tmp_path, *flags, monitor_token=token) as process:
            port = (await address_of(process)).rstrip("/").rpartition(":")[2]
            address = f"http://127.0.0.1:{port}/"
            assert (await get(address))[0] == 401
            assert (await get(f"{address}?token={TOKEN}"))[0] == 200
            assert (await get(f"{address}metrics", Authorization=f"Bearer {TOKEN}"))[0] == 200
            await box.came.wait()
            await abort(process)
            said = await read_until(process)
            assert await process.wait() == 130
    assert TOKEN not in said
