"""The older ways to add a photo: addChunk with add, and addSimple."""

import base64

from bulkup.sandbox import php
from bulkup.sandbox.answers import Refusal
from bulkup.sandbox.calls import LEVEL, REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.methods.chunks import describe
from bulkup.sandbox.methods.photos import set_albums

_REPLACED = Param("int positive notnull")


async def _add_chunk(call: Call) -> None:
    position = php.number(call.text("position"))
    name = f"{call.text('original_sum')}-{call.text('type')}-{position:05}.block"
    buffer = await call.gallery.buffer_folder.open(name, truncate=True, needed=True)
    # PHP skips what is not base64 and needs no padding at the end.
    data = call.text("data").encode().rstrip(b"=")
    await buffer.append(base64.b64decode(data + b"=" * (-len(data) % 4)))


async def _add(call: Call) -> dict[str, object]:
    total, file = call.text("original_sum"), call.text("original_filename")
    replace = _replaced(call)
    if call.params["check_uniqueness"]:
        by_name = call.gallery.uniqueness_mode == "filename"
        photos = call.gallery.photos.values()
        if any(p.file == file if by_name else p.md5 == total for p in photos):
            raise Refusal(500, "file already exists")
    buffers = call.gallery.buffer_folder
    merged = f"{total}-original"
    content = await buffers.open(merged, truncate=True)
    for name in sorted(buffers.contents):
        if name.startswith(f"{total}-file"):
            await content.append_all(buffers.contents[name])
            await buffers.remove(name)
    photo, new = await call.gallery.store(
        buffers.take(merged),
        php.backslashes(file),
        albums=[],
        level=call.number("level"),
        user_id=call.user.id,
        finish=call.finish,
        replace=replace,
        md5=total,
    )
    describe(call, photo)
    albums = call.text("categories")
    if albums:
        set_albums(call, photo, albums)
    return _told(call, photo.id if new else str(photo.id), album=php.number(albums))


async def _add_simple(call: Call) -> dict[str, object]:
    part = call.files.get("image")
    if part is None:
        raise Refusal(405, "The image (file) is missing")
    if part.too_large:
        raise Refusal(
            500, "The uploaded file exceeds the upload_max_filesize directive in php.ini."
        )
    replace = _replaced(call)
    buffers = call.gallery.buffer_folder
    content = await buffers.open(f"php-{id(part)}", truncate=True)
    await content.append(part.data)
    albums = call.numbers("category")
    photo, new = await call.gallery.store(
        buffers.take(f"php-{id(part)}"),
        part.filename,
        albums=albums,
        level=call.number("level"),
        user_id=call.user.id,
        finish=call.finish,
        replace=replace,
    )
    describe(call, photo)
    return _told(call, photo.id if new else str(photo.id), album=albums[0] if albums else 0)


def _replaced(call: Call) -> int | None:
    photo_id = call.number("image_id")
    if photo_id and photo_id not in call.gallery.photos:
        raise Refusal(404, "image_id not found")
    return photo_id or None


def _told(call: Call, image_id: int | str, *, album: int) -> dict[str, object]:
    where = f"/category/{album}" if album in call.gallery.albums else ""
    return {"image_id": image_id, "url": f"{call.base}picture.php?/{image_id}{where}"}


def methods() -> dict[str, Method]:
    """List the methods of this topic."""
    chunk = {
        "data": REQUIRED,
        "original_sum": REQUIRED,
        "type": Param(default="file"),
        "position": REQUIRED,
    }
    texts = dict.fromkeys(("name", "author", "date_creation", "comment"), TEXT)
    add = {
        "original_sum": REQUIRED,
        "original_filename": TEXT,
        **texts,
        "categories": TEXT,
        "tag_ids": TEXT,
        "level": LEVEL,
        "check_uniqueness": Param("bool", default=True),
        "image_id": _REPLACED,
    }
    simple = {
        "category": Param("int positive notnull", force=True),
        **texts,
        "level": LEVEL,
        "tags": Param(array=True),
        "image_id": _REPLACED,
    }
    return {
        "pwg.images.addChunk": Method(_add_chunk, chunk, admin=True, post=True),
        "pwg.images.add": Method(_add, add, admin=True),
        "pwg.images.addSimple": Method(_add_simple, simple, admin=True, post=True),
    }
