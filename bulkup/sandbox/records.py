"""The rows of the gallery's tables, and what a text column takes.

It knows columns only: no rule, no file, no request.
"""

from dataclasses import dataclass, field

from bulkup.sandbox.answers import FatalError

_MAX_TEXT = 255


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


def storable(text: str, *, limit: int = _MAX_TEXT) -> str:
    """Check what a column takes: three-byte UTF-8 of limited length. FatalError if not."""
    if len(text) > limit or any(ord(c) > 0xFFFF or 0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise FatalError("mysqli_sql_exception: Incorrect string value or data too long")
    return text
