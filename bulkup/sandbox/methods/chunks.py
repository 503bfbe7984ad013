"""pwg.images.uploadAsync: chunks with sums, in any order, keyed by content and user."""

import re

from bulkup.sandbox import php
from bulkup.sandbox.answers import FatalError, Refusal
from bulkup.sandbox.buffers import Content
from bulkup.sandbox.calls import LEVEL, REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.methods.info import photo_info
from bulkup.sandbox.records import StoredPhoto, storable, storable_comment, storable_date
from bulkup.sandbox.versions import Release

_NUMBER = Param("int positive", optional=False)


async def _upload_async(call: Call) -> object:
    total = call.text("original_sum")
    if not re.fullmatch(r"[a-fA-F0-9]{32}", total):
        raise Refusal(1003, "Invalid original_sum")
    replace = call.number("image_id") or None
    if replace and replace not in call.gallery.photos:
        raise Refusal(404, "ws_images_uploadAsync : image_id not found")
    prefix, chunks = f"{total}-u{call.user.id}", call.number("chunks")
    names = [f"{prefix}-{i:03}of{chunks:03}.chunk" for i in range(1, chunks + 1)]
    await _receive(call, f"{prefix}-{call.number('chunk') + 1:03}of{chunks:03}.chunk")
    buffers = call.gallery.buffer_folder
    there = [i for i, name in enumerate(names, start=1) if name in buffers.contents]
    merged = f"{prefix}.merged"
    if len(there) < chunks or merged in buffers.contents:
        return {"message": f"chunks uploaded = {','.join(map(str, there))}"}
    content = await _merge(call, names, into=merged)
    if content.md5 != total:
        await buffers.remove(merged)
        raise Refusal(500, "MD5 checksum merged file mismatched")
    photo, _ = await call.gallery.store(
        buffers.take(merged),
        php.backslashes(call.text("filename")),
        albums=call.numbers("category"),
        level=call.number("level"),
        user_id=call.user.id,
        finish=call.finish,
        replace=replace,
        md5=total,
    )
    describe(call, photo)
    return photo_info(call, photo)


async def _receive(call: Call, name: str) -> None:
    """Write the chunk over what was there, and check its sum."""
    buffers = call.gallery.buffer_folder
    part = call.files.get("file")
    matches = False
    if part is not None and not part.too_large:
        buffer = await buffers.open(name, truncate=True, needed=True)
        await buffer.append(part.data)
        matches = buffer.md5 == call.text("chunk_sum")
    if not matches:
        await buffers.remove(name)
        raise Refusal(500, "MD5 checksum chunk file mismatched")


async def _merge(call: Call, names: list[str], *, into: str) -> Content:
    buffers = call.gallery.buffer_folder
    merged = await buffers.open(into)
    if call.fault and call.fault.kind == "merged-left":
        raise FatalError("Maximum execution time exceeded")
    for number, name in enumerate(names, start=1):
        chunk = buffers.contents[name]
        if not chunk.size:
            await buffers.remove(into)
            raise Refusal(500, f"error while merging chunk {number}")
        await merged.append_all(chunk)
        await buffers.remove(name)
    return merged


def describe(call: Call, photo: StoredPhoto) -> None:
    """Set what came along with a photo: tags, name, author, comment, date; HTML is kept.

    Tags are replaced, also those of a photo that was there. FatalError where a text can't be
    stored: then the photo and its tags are.
    """
    if tags := php.ids(call.text("tag_ids")):
        photo.tags = set(tags)
    checks = {
        "name": storable,
        "author": storable,
        "comment": storable_comment,
        "date_creation": storable_date,
    }
    given = {column: call.given(column) for column in checks}
    values = {column: checks[column](text) for column, text in given.items() if text is not None}
    for column, value in values.items():
        setattr(photo, column, value)


def methods(release: Release) -> dict[str, Method]:
    """List the methods of this topic."""
    params = {
        "username": REQUIRED if release.major < 16 else TEXT,
        "password": TEXT,
        "chunk": _NUMBER,
        "chunk_sum": REQUIRED,
        "chunks": _NUMBER,
        "original_sum": REQUIRED,
        "category": Param("int positive notnull", force=True),
        "filename": REQUIRED,
        "name": TEXT,
        "author": TEXT,
        "comment": TEXT,
        "date_creation": TEXT,
        "level": LEVEL,
        "tag_ids": TEXT,
        "image_id": Param("int positive notnull"),
    }
    return {"pwg.images.uploadAsync": Method(_upload_async, params, admin=True, post=True)}
