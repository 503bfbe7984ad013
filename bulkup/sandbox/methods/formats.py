"""What belongs to formats in the web API: `format_of` of an upload, and the search by name."""

import json

from bulkup.sandbox.answers import Refusal
from bulkup.sandbox.buffers import Content
from bulkup.sandbox.calls import REQUIRED, Call, Method
from bulkup.sandbox.records import StoredPhoto

_BY_DEFAULT = ("cr2", "tif", "tiff", "nef", "dng", "ai", "psd")


def format_extension(call: Call) -> str:
    """Return the extension under which a file becomes a format; Refusal where it may not."""
    allowed = call.gallery.formats.allowed
    if allowed is None:
        raise Refusal(401, "formats are disabled")
    name = call.text("name")
    # Piwigo compares as written: .NEF is none of them.
    for extension in allowed:
        if name.endswith(f".{extension}"):
            return extension
    listed = ", ".join(allowed)
    raise Refusal(
        401,
        f'unexpected format extension of file "{name}" (authorized extensions: {listed})',
    )


async def add_format(call: Call, content: Content, extension: str) -> tuple[StoredPhoto, str]:
    """Attach a file to a photo; the photo, and what Piwigo calls that."""
    photo = call.gallery.photos.get(call.number("format_of"))
    if photo is None:
        await content.remove()
        raise Refusal(404, "ws_images_upload : image_id not found")
    return photo, call.gallery.formats.add(photo.id, extension, content)


async def _search(call: Call) -> object:
    """Find photos by the names of their formats, which are theirs but for the extension."""
    photos: dict[str, list[int]] = {}
    for photo in call.gallery.photos.values():
        photos.setdefault(photo.file.rpartition(".")[0] or photo.file, []).append(photo.id)
    wanted = json.loads(call.text("filename_list"))
    return {key: _found(call, name, photos=photos) for key, name in wanted.items()}


def _found(call: Call, name: str, *, photos: dict[str, list[int]]) -> dict[str, object]:
    extension = name.rpartition(".")[2]
    ids = photos.get(name.rpartition(".")[0], [])
    if extension not in (call.gallery.formats.allowed or _BY_DEFAULT) or not ids:
        return {"status": "not found"}
    if len(ids) > 1:
        return {"status": "multiple"}
    found: dict[str, object] = {"status": "found", "image_id": str(ids[0])}
    if call.release.major >= 16:
        rows = call.gallery.formats.of(ids[0])
        found["format_exist"] = any(row.extension == extension for row in rows)
    return found


def methods() -> dict[str, Method]:
    """List the methods of this topic."""
    return {
        "pwg.images.formats.searchImage": Method(
            _search, {"filename_list": REQUIRED}, admin=True, post=True
        )
    }
