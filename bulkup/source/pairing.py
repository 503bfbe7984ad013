"""Pairs RAW files and others with the photo that they belong to."""

import os
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.events import SkipReason
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped

PHOTOS: Final = ("jpg", "jpeg", "heic", "heif", "png", "webp")
"""Endings of what may have a companion, the best first."""

COMPANIONS: Final = frozenset(
    {
        "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "gpr", "iiq", "kdc", "mef",
        "mos", "mrw", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw",
        "x3f", "tif", "tiff", "psd", "mov", "mp4",
    }
)  # fmt: skip
"""Endings of what may be one."""


@dataclass(frozen=True, slots=True)
class PairedFile:
    """A file that belongs to the photo `of`."""

    path: Path
    size: int
    mtime_ns: int
    of: Path


async def paired(
    walk: AsyncGenerator[Sequence[Found], None], *, endings: Collection[str] | None
) -> AsyncGenerator[Sequence[Found | PairedFile], None]:
    """Yield what the walk comes to, some at a time, companions as such."""
    async with aclosing(walk):
        async for batch in walk:
            yield await to_thread.run_sync(_pair_all, batch, endings)


def _pair_all(
    batch: Sequence[Found], endings: Collection[str] | None
) -> Sequence[Found | PairedFile]:
    return list(pair(iter(batch), endings=endings))


def pair(
    walk: Iterator[Found], *, endings: Collection[str] | None
) -> Iterator[Found | PairedFile]:
    """Yield what the walk comes to, companions as such.

    `endings` are those of photos that the server takes, None for all: what it does not take has
    no companions there.
    """
    photos = [ending for ending in PHOTOS if endings is None or ending in endings]
    folder: Path | None = None
    beside: Mapping[str, Path] = {}
    for found in walk:
        if not _may_be_companion(found):
            yield found
            continue
        if found.path.parent != folder:
            folder = found.path.parent
            beside = _photos_in(folder, photos)
        of = beside.get(found.path.stem)
        yield found if of is None else _companion(found, of)


def _may_be_companion(found: Found) -> bool:
    left_out = isinstance(found, Skipped) and found.reason is SkipReason.TYPE
    kind = found.path.suffix[1:].lower()
    return kind in COMPANIONS and (left_out or isinstance(found, Photo))


def _photos_in(folder: Path, endings: list[str]) -> Mapping[str, Path]:
    """Return the best photo of each stem in a folder."""
    ranked: dict[str, tuple[int, str]] = {}
    try:
        names = os.listdir(folder)  # noqa: PTH208 (names alone take a tenth of the memory)
    except OSError:
        return {}
    for name in names:
        stem, _, ending = name.rpartition(".")
        if stem and ending.lower() in endings:
            rank = (endings.index(ending.lower()), name)
            ranked[stem] = min(rank, ranked.get(stem, rank))
    return {stem: folder / name for stem, (_, name) in ranked.items()}


def _companion(found: Found, of: Path) -> Found | PairedFile:
    if isinstance(found, Photo):
        return PairedFile(found.path, found.size, found.mtime_ns, of)
    try:
        status = found.path.stat()
    except OSError:
        return found
    return PairedFile(found.path, status.st_size, status.st_mtime_ns, of)
