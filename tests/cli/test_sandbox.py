"""The command that serves a sandbox by itself."""

import re
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from tests.support.commands import COMMAND, bulkup, environment, one_photo


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--workers", "0"], "--workers 0 is out of range"),
        (["--workers", "2", "--start-workers", "3"], "--start-workers 3 is out of range"),
        (["--start-workers", "3"], "--start-workers grows up to --workers"),
        (["--cpus", "0"], "--cpus 0 is out of range"),
        (["--finish-time", "-1"], "--finish-time is out of range"),
        (["--page-time", "nan"], "--page-time is out of range"),
        (["--exist-time", "inf"], "--exist-time is out of range"),
        (["--gateway-timeout", "-1"], "--gateway-timeout is out of range"),
        (["--piwigo", "1.0"], "there is no sandbox of Piwigo 1.0"),
    ],
)
async def test_what_makes_no_sense_is_refused(flags: list[str], said: str) -> None:
    ended = await bulkup("sandbox", *flags)
    assert ended.code == 2
    assert said in ended.err


async def test_a_photo_goes_to_a_sandbox_with_few_workers(tmp_path: Path) -> None:
    flags = "--port 0 --discard --workers 3 --start-workers 2 --cpus 2"
    costs = "--finish-time 0.01 --page-time 0.01 --exist-time 0.1 --gateway-timeout 5"
    async with await anyio.open_process(
        [*COMMAND, "sandbox", *flags.split(), *costs.split()],
        env=environment({}),
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        address = re.search(r"http://\S+", (await process.stdout.receive()).decode())
        assert address
        needed = {"user": "admin", "password": "secret", "album": "1"}
        ended = await bulkup(one_photo(tmp_path), url=address[0], **needed)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    assert ended.code == 0
