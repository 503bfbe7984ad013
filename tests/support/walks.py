"""Files to scan, and the results of a scan in words."""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, Unreadable, scan


def put(path: Path, content: bytes = b"x") -> Path:
    """Write a file and its parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_all(root: Path, *names: str, content: bytes = b"x") -> list[Path]:
    """Write files below a root."""
    return [put(root / name, content) for name in names]


def link(path: Path, target: str | Path) -> Path:
    """Make a symbolic link and its parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def photo_at(path: Path, content: bytes | None = None) -> Photo:
    """Return the file as a scan finds it; with `content`, write it first."""
    if content is not None:
        put(path, content)
    status = path.stat()
    return Photo(path, status.st_size, status.st_mtime_ns)


def word(found: Found) -> str:
    """Return the result for a file or a folder as a word."""
    match found:
        case Photo():
            return "taken"
        case Skipped(reason=reason):
            return reason.value
        case Unreadable(reason=str(text)):
            return text
        case Unreadable():
            return found.failure.code


def scanned(
    root: Path, filters: Filters = EVERYTHING, endings: Collection[str] | None = None
) -> dict[str, list[str]]:
    """Scan a root and return the paths below it by the word of their result."""
    words = defaultdict[str, list[str]](list)
    for found in scan([root], filters, endings=endings):
        words[word(found)].append(str(found.path.relative_to(root)))
    return {each: sorted(names) for each, names in words.items()}
