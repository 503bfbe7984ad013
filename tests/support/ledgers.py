"""Runs with a ledger that lies beside the archive."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkup.engine.ports import Entry, State
from bulkup.sandbox import Sandbox
from bulkup.store.ledger import SqliteLedger
from tests.support.runs import Outcome, run


def entry(path: Path | str, **changes: object) -> Entry:
    """Return what a ledger holds of a photo that was brought into the albums 1 and 9."""
    brought = Entry(
        path=Path(path),
        size=5000,
        mtime_ns=1_700_000_000_123_456_789,
        md5="0123456789abcdef0123456789abcdef",
        state=State.DONE,
        image_id=7,
        albums=frozenset({1, 9}),
    )
    return replace(brought, **changes)  # type: ignore[arg-type]


def ledger_of(box: Sandbox, folder: Path) -> SqliteLedger:
    """Return the ledger of this gallery that lies beside the folder."""
    return SqliteLedger(folder.with_name("ledger.sqlite"), server=box.url)


async def run_with_ledger(box: Sandbox, folder: Path, **options: Any) -> Outcome:  # noqa: ANN401
    """Run with the ledger beside the folder; every file must have exactly one outcome."""
    async with ledger_of(box, folder) as ledger:
        outcome = await run(box, folder, memory=ledger, **options)
    assert outcome.balances()
    return outcome


async def entries(box: Sandbox, folder: Path, paths: Collection[Path]) -> list[Entry]:
    """Return what the ledger beside the folder holds about files."""
    async with ledger_of(box, folder) as ledger:
        return list((await ledger.look_up(sorted(paths))).values())


def ruin(path: Path) -> bytes:
    """Change the content and neither size nor time, to see whether anybody reads it.

    Returns the old content.
    """
    content, status = path.read_bytes(), path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return content
