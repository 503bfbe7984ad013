"""Files to walk over, and what the walk says of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from bulkup.source.filters import EVERYTHING, Filters
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, Unreadable, scan

Words = dict[str, list[str]]


def put(path: Path, content: bytes = b"x") -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_all(root: Path, *names: str, content: bytes = b"x") -> list[Path]:
    """Write files below a root."""
    return [put(root / name, content) for name in names]


def link(path: Path, target: str | Path) -> Path:
    """Make a symbolic link, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def photo_at(path: Path, content: bytes | None = None) -> Photo:
    """Return the file as the walk finds it; write it first if it is given a content."""
    if content is not None:
        put(path, content)
    status = path.stat()
    return Photo(path, status.st_size, status.st_mtime_ns)


def word(found: Found) -> str:
    """Return what is said of a file or a folder."""
    match found:
        case Photo():
            return "taken"
        case Skipped(reason=reason):
            return reason.value
        case Unreadable(reason=text):
            return text


def words_of(root: Path, found: Iterable[Found]) -> Words:
    """Return what is said of things below a root: each word, and of what it is said."""
    words = defaultdict[str, list[str]](list)
    for each in found:
        words[word(each)].append(str(each.path.relative_to(root)))
    return {said: sorted(names) for said, names in words.items()}


def told(
    root: Path, filters: Filters = EVERYTHING, endings: Collection[str] | None = None
) -> Words:
    """Return what the walk says of what is below a root."""
    return words_of(root, scan([root], filters, endings=endings))
