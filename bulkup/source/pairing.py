"""Pairs files that belong to a photo, such as its RAW file, with it."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.events import SkipReason
from bulkup.source.files import FolderCache, version
from bulkup.source.photos import Photo, ending_of
from bulkup.source.scan import Found, Skipped

PHOTOS: Final = ("jpg", "jpeg", "heic", "heif", "hif", "avif", "png", "webp")
"""Endings of files that others can be paired with, the most preferred first."""

COMPANIONS: Final = frozenset(
    {
        "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "gpr", "iiq", "kdc", "mef",
        "mos", "mrw", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw",
        "x3f", "tif", "tiff", "psd", "mov", "mp4",
    }
)  # fmt: skip
"""Endings of files that can be paired with a photo."""


@dataclass(frozen=True, slots=True)
class PairedFile:
    """A file that belongs to the photo `of`, such as its RAW file, or that this photo shows."""

    path: Path
    size: int
    mtime_ns: int
    of: Path

    @property
    def recorded_as(self) -> Path:
        """The path in the ledger, which has the photo under its own one."""
        return self.path / self.path.name if self.path == self.of else self.path


def original_of(photo: Photo) -> PairedFile:
    """Return the file of a converted photo as one that belongs to it."""
    return PairedFile(photo.path, photo.size, photo.mtime_ns, photo.path)


async def paired(
    walk: AsyncGenerator[Sequence[Found], None],
    *,
    endings: Collection[str] | None,
    parts: Sequence[Path] = (),
) -> AsyncGenerator[Sequence[Found | PairedFile], None]:
    """Yield the batches of a walk with files paired that belong to a photo.

    `endings` are those that the server accepts, None for all; nothing is paired with files of
    other types. A photo may be in another one of the zip archives that are the `parts` of one
    tree.
    """
    photos = [ending for ending in PHOTOS if endings is None or ending in endings]
    folders = FolderCache(partial(_photos_in, endings=photos), parts=parts, most=1)

    def pair(batch: Sequence[Found]) -> list[Found | PairedFile]:
        return [_pair(found, folders) for found in batch]

    async with aclosing(walk):
        async for batch in walk:
            yield await to_thread.run_sync(pair, batch)


def _pair(found: Found, folders: FolderCache[Mapping[str, Path]]) -> Found | PairedFile:
    """Return a file, paired with the photo that it belongs to, if any."""
    of = None
    if _may_be_companion(found):
        with suppress(OSError):
            of = folders.of(found.path.parent).get(found.path.stem)
    return found if of is None else _companion(found, of)


def _may_be_companion(found: Found) -> bool:
    left_out = isinstance(found, Skipped) and found.reason is SkipReason.TYPE
    kind = ending_of(found.path)
    return kind in COMPANIONS and (left_out or isinstance(found, Photo))


def _photos_in(names: Mapping[str, Path], *, endings: list[str]) -> Mapping[str, Path]:
    """Return the preferred photo of each stem in a folder, by its names and where they lie."""
    ranked: dict[str, tuple[int, str]] = {}
    for name in names:
        stem, _, ending = name.rpartition(".")
        if stem and ending.lower() in endings:
            rank = (endings.index(ending.lower()), name)
            ranked[stem] = min(rank, ranked.get(stem, rank))
    return {stem: names[name] / name for stem, (_, name) in ranked.items()}


def _companion(found: Found, of: Path) -> Found | PairedFile:
    if isinstance(found, Photo):
        return PairedFile(found.path, found.size, found.mtime_ns, of)
    try:
        size, mtime_ns = version(found.path)
    except OSError:
        return found
    return PairedFile(found.path, size, mtime_ns, of)
