"""The rows of the gallery's tables, and what a text column takes.

It knows columns only: no rule, no file, no request.
"""

from dataclasses import dataclass, field
from datetime import datetime

from bulkup.sandbox.answers import FatalError

_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_MAX_TEXT = 255
_MAX_COMMENT_BYTES = 65535


@dataclass(slots=True)
class StoredPhoto:
    """One row of the table of photos, with its links. `md5` is what was claimed or computed."""

    id: int
    file: str
    name: str
    md5: str
    size: int
    path: str
    date_available: str
    added_at: float
    added_by: int
    width: int | None = None
    height: int | None = None
    level: int = 0
    author: str | None = None
    comment: str | None = None
    date_creation: str | None = None
    representative_ext: str | None = None
    albums: set[int] = field(default_factory=set)
    tags: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag."""

    id: int
    name: str
    url_name: str
    lastmodified: str


def storable(text: str) -> str:
    """Check what a column takes: three-byte UTF-8 of limited length. FatalError if not."""
    return _checked(text, fits=len(text) <= _MAX_TEXT)


def storable_comment(text: str) -> str:
    """Check what the column of comments takes, which counts bytes. FatalError if not."""
    return _checked(text, fits=len(text.encode("utf-8", "surrogatepass")) <= _MAX_COMMENT_BYTES)


def storable_date(text: str) -> str:
    """Check what a column of dates takes, and write it as the database does."""
    for form in _DATES:
        try:
            return datetime.strptime(text, form).strftime(_DATES[0])  # noqa: DTZ007 - no zone
        except ValueError:
            continue
    raise FatalError("mysqli_sql_exception: Incorrect datetime value")


def _checked(text: str, *, fits: bool) -> str:
    if not fits or any(ord(c) > 0xFFFF or 0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise FatalError("mysqli_sql_exception: Incorrect string value or data too long")
    return text
