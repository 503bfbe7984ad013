"""What an upload of an archive would be about: a walk that counts and reads no file.

Knows local files and what is remembered of them, and no server. Only counts are kept, so that
memory stays flat however large the tree.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.choice import EVERYTHING, Choice
from bulkup.kinds import SkipReason
from bulkup.memory import Memory, State
from bulkup.photos import Photo
from bulkup.walk import Found, Skipped, Unreadable, find

TYPES_KEPT: Final = 200
OTHER_TYPES: Final = "…"
EXAMPLES: Final = 5


@dataclass(slots=True)
class Estimate:
    """The counts so far; sizes in bytes. `left` is what the ledger does not hold as brought."""

    photos: int = 0
    size: int = 0
    left: int = 0
    left_size: int = 0
    requests: int = 0
    types: Counter[str] = field(default_factory=Counter)
    by_rule: int = 0
    unreadable: int = 0
    empty: int = 0
    examples: dict[Path, str] = field(default_factory=dict)


async def estimate(
    roots: Sequence[Path],
    choice: Choice = EVERYTHING,
    *,
    endings: Collection[str] | None,
    chunk_size: int,
    memory: Memory,
    album: int | None,
    look: Callable[[int], None],
) -> Estimate:
    """Walk the roots and count; `look` hears now and then how many files were seen.

    `choice` and `endings` as for `find`; `album` None: what is brought to any album is brought.
    """
    counts = Estimate()
    seen = 0
    async with aclosing(find(roots, choice, endings=endings)) as walk:
        async for some in walk:
            batch = await to_thread.run_sync(_tried, some, abandon_on_cancel=True)
            photos = [found for found in batch if isinstance(found, Photo) and found.size]
            known = await memory.look_up([photo.path for photo in photos])
            for found in batch:
                if not isinstance(found, Photo):
                    _leave_out(found, counts)
                elif not found.size:
                    counts.empty += 1
                    _example(counts, found.path, "it is empty")
                else:
                    entry = known.get(found.path)
                    brought = (
                        entry is not None
                        and entry.state is State.DONE
                        and entry.is_of(found)
                        and (album is None or album in entry.albums)
                    )
                    _take(found, counts, brought=brought, chunk_size=chunk_size)
            seen += len(batch)
            look(seen)
    return counts


def _tried(batch: Sequence[Found]) -> list[Found]:
    """Return what was found, with files that nobody may read as such."""
    return [
        Unreadable(found.path, "Permission denied")
        if isinstance(found, Photo) and not os.access(found.path, os.R_OK)
        else found
        for found in batch
    ]


def _take(photo: Photo, counts: Estimate, *, brought: bool, chunk_size: int) -> None:
    counts.photos += 1
    counts.size += photo.size
    if not brought:
        counts.left += 1
        counts.left_size += photo.size
        counts.requests += -(-photo.size // chunk_size)


def _leave_out(found: Skipped | Unreadable, counts: Estimate) -> None:
    if isinstance(found, Unreadable):
        counts.unreadable += 1
        _example(counts, found.path, found.reason)
    elif found.reason is not SkipReason.TYPE:
        counts.by_rule += 1
    else:
        kind = found.path.suffix[1:].lower()
        if kind not in counts.types and len(counts.types) >= TYPES_KEPT:
            kind = OTHER_TYPES
        counts.types[kind] += 1


def _example(counts: Estimate, path: Path, reason: str) -> None:
    if len(counts.examples) < EXAMPLES:
        counts.examples[path] = reason
