"""The walk over an archive: what lies there, one thing at a time, and what is left out by rule.

Knows the disk and nothing of any server. A tree is never listed whole.
"""

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bulkup.errors import UsageError
from bulkup.events import SkipReason
from bulkup.photos import Photo

JUNK: Final = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot",
        "$recycle.bin", "__macosx", "lost+found", "system volume information",
        "thumbs.db", "ehthumbs.db", "desktop.ini",
    }
)  # fmt: skip
"""Lower-case names of what systems leave beside photos, as does every name with a dot first."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or a whole junk folder, that is left out by rule."""

    path: Path
    size: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that the walk can't look into, and the system's reason."""

    path: Path
    reason: str


Found = Photo | Skipped | Unreadable


def check_roots(roots: Sequence[Path]) -> list[Path]:
    """Return the roots without those that the walk over another one comes to anyway.

    Raises `UsageError` where one is not there.
    """
    for root in roots:
        try:
            root.stat()
        except OSError as error:
            raise UsageError(
                f"{root}: {error.strerror}", hint="Give a folder or a photo that is there."
            ) from None
    resolved = [root.resolve() for root in roots]
    return [
        root
        for i, root in enumerate(roots)
        if not any(
            _is_walked_from(other, resolved[i]) and (resolved[i] != other or j < i)
            for j, other in enumerate(resolved)
            if i != j
        )
    ]


def _is_walked_from(root: Path, path: Path) -> bool:
    """Tell whether the path lies below the root, and in no junk folder there."""
    return path.is_relative_to(root) and not any(map(is_junk, path.relative_to(root).parts))


def scan(roots: Sequence[Path], *, endings: Collection[str] | None) -> Iterator[Found]:
    """Walk the roots depth first in name order and yield whatever lies there, one at a time.

    `endings` are the lower-case file endings that the server takes, without a dot; None takes all.
    Symbolic links below a root are not followed, so there can be no loops.
    """
    for root in roots:
        if not root.is_dir():
            yield _judge(root, follow=True, endings=endings)
            continue
        folders = [(root, iter([""]))]
        while folders:
            folder, names = folders[-1]
            name = next(names, None)
            if name is None:
                folders.pop()
                continue
            path = folder / name
            if name and is_junk(name):
                yield Skipped(path, 0, SkipReason.JUNK)
            elif not name or _is_folder(path):
                try:
                    folders.append((path, iter(sorted(os.listdir(path)))))  # noqa: PTH208 (names alone take a tenth of the memory)
                except OSError as error:
                    yield Unreadable(path, error.strerror or str(error))
            else:
                yield _judge(path, follow=False, endings=endings)


def is_junk(name: str) -> bool:
    """Tell whether a file or folder of this name is no photo of anybody's."""
    return name.startswith(".") or name.lower() in JUNK


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _judge(path: Path, *, follow: bool, endings: Collection[str] | None) -> Found:
    try:
        status = path.stat() if follow else path.lstat()
    except OSError as error:
        return Unreadable(path, error.strerror or str(error))
    if stat.S_ISLNK(status.st_mode):
        return Skipped(path, 0, SkipReason.SYMLINK)
    if not stat.S_ISREG(status.st_mode):
        return Skipped(path, 0, SkipReason.SPECIAL)
    if endings is not None and path.suffix[1:].lower() not in endings:
        return Skipped(path, status.st_size, SkipReason.TYPE)
    return Photo(path, status.st_size, status.st_mtime_ns)
