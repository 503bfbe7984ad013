"""`bulkup sandbox`."""

import re
import signal
import subprocess
from pathlib import Path

import anyio

from tests.support.commands import COMMAND, bulkup, environment, one_photo


async def test_a_photo_is_uploaded_to_a_sandbox_with_few_workers(tmp_path: Path) -> None:
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
