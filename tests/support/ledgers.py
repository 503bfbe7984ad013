"""Runs with a ledger beside the archive."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkup.engine.ledger_port import Entry, State
from bulkup.sandbox import Sandbox
from bulkup.store.ledger import SqliteLedger
from tests.support.runs import Outcome, run


def entry(path: Path | str, **changes: object) -> Entry:
    """Return the entry of a photo that was uploaded to the albums 1 and 9."""
    uploaded = Entry(
        path=Path(path),
        size=5000,
        mtime_ns=1_700_000_000_123_456_789,
        md5="0123456789abcdef0123456789abcdef",
        state=State.DONE,
        image_id=7,
        albums=frozenset({1, 9}),
    )
    return replace(uploaded, **changes)  # type: ignore[arg-type]


def ledger_of(box: Sandbox, folder: Path) -> SqliteLedger:
    """Return this gallery's ledger beside the folder."""
    return SqliteLedger(folder.with_name("ledger.sqlite"), server=box.url)


async def run_with_ledger(box: Sandbox, folder: Path, **options: Any) -> Outcome:  # noqa: ANN401
    """Run with the ledger beside the folder; every file must have exactly one outcome."""
    async with ledger_of(box, folder) as ledger:
        outcome = await run(box, folder, memory=ledger, **options)
    assert outcome.balances()
    return outcome


async def entries(box: Sandbox, folder: Path, paths: Collection[Path]) -> list[Entry]:
    """Return the entries of files in the ledger beside the folder."""
    async with ledger_of(box, folder) as ledger:
        return list((await ledger.look_up(sorted(paths))).values())


def ruin(path: Path) -> bytes:
    """Change the content but neither size nor time, and return the old content."""
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return content
