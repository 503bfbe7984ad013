"""`bulkup gui` as a process: what it prints, its port, and its end."""

import re
import signal
import socket

import aiohttp
import pytest
from anyio import EndOfStream, fail_after
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.support.commands import begin, bulkup, environment


async def test_the_command_serves_until_it_is_interrupted() -> None:
    process = await begin(["gui", "--no-browser", "--port", "0"], environment({}), piped=(1, 2))
    with fail_after(60):
        assert process.stdout is not None
        lines = BufferedByteReceiveStream(process.stdout)
        first = (await lines.receive_until(b"\n", 1000)).decode()
        address = re.fullmatch(r"Open (http://127\.0\.0\.1:\d+/\?token=[\w-]+)", first)
        assert address, first
        cookies = aiohttp.CookieJar(unsafe=True)
        async with (
            aiohttp.ClientSession(cookie_jar=cookies) as client,
            client.get(address[1]) as answer,
        ):
            assert answer.status == 200
            assert "token" not in str(answer.url)
        assert b"Ctrl-C" in await lines.receive_until(b"\n", 1000)
        assert b"Opened. Another browser" in await lines.receive_until(b"\n", 1000)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert process.stderr is not None
    with pytest.raises(EndOfStream):
        await process.stderr.receive()


async def test_a_port_that_is_taken_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = await bulkup("gui", "--no-browser", "--port", str(taken.getsockname()[1]))
        assert ended.code == 2
        assert "another program is using this port" in ended.err
        assert "--port" in ended.err
    assert (await bulkup("gui", "--port", "99999")).code == 2
