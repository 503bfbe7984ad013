"""Looks into the sandbox and compares what it holds with a recorded server_state."""

import re
from collections.abc import Callable
from typing import Any

from bulkup.sandbox import Sandbox
from bulkup.sandbox.gallery import Gallery, StoredPhoto
from tests.contract.replay import Replay

# Told for the reader, or sums already compared: `stored_file` is what is looked at.
_REMARKS = {
    "expected",
    "equal",
    "comment",
    "server_limits",
    "post_with_sums",
    "status",
    "answered",
}


def look(box: Sandbox, replay: Replay, state: dict[str, Any]) -> list[str]:
    """Compare each fact of a server_state."""
    found = []
    for fact, expected in state.items():
        if fact in _REMARKS:
            continue
        came = _fact(box, replay, fact, expected)
        rows = isinstance(expected, list)
        found += replay.bindings.differences(
            _sorted(expected, replay) if rows else expected,
            _sorted(came, replay) if rows else came,
            where=fact,
        )
    return found


def _sorted(rows: Any, replay: Replay) -> list[Any]:  # noqa: ANN401
    """Put rows into an order of our own: theirs is the database's affair."""
    return sorted(rows, key=lambda row: replay.bindings.fill(str(row)))


def _fact(box: Sandbox, replay: Replay, fact: str, expected: Any) -> Any:  # noqa: ANN401
    if fact in _OF_PHOTO:
        photo = box.gallery.photos.get(replay.last_photo)
        return _OF_PHOTO[fact](box, photo, expected) if photo else "no photo"
    if fact in _OF_SUM and (fact != "rows" or not expected):
        photos = box.gallery.photos.values()
        return _OF_SUM[fact]([p for p in photos if p.md5 == replay.last_sum])
    if fact in _LINKS:
        # The recorder looked at the rows of some photos only.
        named = {replay.bindings.fill(str(row[0])) for row in expected}
        return [row for row in _LINKS[fact](box.gallery) if row[0] in named or not named]
    return _OF_GALLERY[fact](box.gallery)


def _stored_file(box: Sandbox, photo: StoredPhoto, _expected: object) -> dict[str, object]:
    content = box.gallery.contents[photo.path]
    return {"length": content.size, "md5": content.md5}


def _hex(text: str) -> str:
    return text.encode().hex().upper()


def _column(photo: Any, column: str) -> str:  # noqa: ANN401
    value = getattr(photo, {"md5sum": "md5", "filesize": "size"}.get(column, column))
    if column == "filesize":
        value //= 1024
    if value is None:
        return "<NULL>" if re.search("_ext$", column) else "NULL"
    return str(value)


_OF_PHOTO: dict[str, Callable[[Sandbox, StoredPhoto, Any], object]] = {
    "stored_file": _stored_file,
    "db_row": lambda _, photo, row: {column: _column(photo, column) for column in row},
    "stored_extension": lambda _, photo, __: photo.path.rpartition(".")[2],
    "tags": lambda _, photo, __: [str(tag) for tag in photo.tags],
    "photos_with_this_sum": lambda box, photo, _: sum(
        other.md5 == photo.md5 for other in box.gallery.photos.values()
    ),
    "rows_hex": lambda _, photo, __: [[_hex(photo.file), _hex(photo.name)]],
}
_OF_SUM: dict[str, Callable[[list[StoredPhoto]], object]] = {
    "photo_saved": bool,
    "rows": lambda same: [photo.file for photo in same],
    "albums": lambda same: [str(album) for photo in same[-1:] for album in photo.albums],
}
_OF_GALLERY: dict[str, Callable[[Gallery], object]] = {
    "buffer": lambda gallery: [f"{name} {size}" for name, size in gallery.buffers.items()],
    "rows": lambda gallery: [
        [str(a.id), a.name, a.uppercats, str(a.parent or "NULL"), a.status]
        for a in gallery.albums.values()
    ],
}
_LINKS: dict[str, Callable[[Gallery], list[list[str]]]] = {
    "lounge": lambda gallery: [[str(p), str(a)] for p, a in gallery.lounge],
    "lounge_rows": lambda gallery: [[str(p), str(a)] for p, a in gallery.lounge],
    "image_category": lambda gallery: [
        [str(p.id), str(a)] for p in gallery.photos.values() for a in p.albums
    ],
}
