"""The upload methods: upload, uploadAsync, addChunk and addSimple; formats; the lounge."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping

from bulkup.sandbox import php
from bulkup.sandbox.calls import LEVEL, REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.files import Content
from bulkup.sandbox.gallery import StoredPhoto, storable, storable_comment, storable_date
from bulkup.sandbox.methods.photos import photo_info, set_albums
from bulkup.sandbox.php import Died, FatalError, Refusal
from bulkup.sandbox.versions import Release

_NO_FILE = (
    '{"jsonrpc" : "2.0", "error" : {"code": 103, "message": "Failed to move uploaded file."},'
    ' "id" : "id"}'
)
_BLOCK = 4096
_FORMATS_BY_DEFAULT = ("cr2", "tif", "tiff", "nef", "dng", "ai", "psd")
_PHOTO_ID = Param("int positive notnull")
_ALBUMS = Param("int positive notnull", force=True)


async def _store(
    call: Call,
    content: Content,
    file: str,
    *,
    albums: list[int],
    replace: int | None,
    md5: str | None = None,
) -> tuple[StoredPhoto, bool]:
    """Store a photo with the level and the user of the call; return also whether it is new."""
    return await call.gallery.store(
        content,
        file,
        albums=albums,
        level=call.number("level"),
        user_id=call.user.id,
        finish=call.finish,
        replace=replace,
        md5=md5,
    )


# pwg.images.upload, whose buffers are keyed by the name alone


async def _upload(call: Call) -> object:
    call.check_token()
    extension = _format_extension(call) if call.number("format_of") else ""
    key, data = _sent(call)
    chunk, chunks = (php.number(call.incoming.text(name)) for name in ("chunk", "chunks"))
    folder = call.gallery.buffer_folder
    buffer = await folder.open(f"{key}.part", truncate=not chunks)
    if data is None:
        raise Died(_NO_FILE)
    # Piwigo reads in blocks, and mistakes a block that is the single character 0 for the end.
    if len(data) % _BLOCK == 1 and data.endswith(b"0"):
        data = data[:-1]
    await buffer.append(data)
    if chunks and chunk != chunks - 1:
        return None
    content = folder.take(f"{key}.part")
    if extension:
        photo, status = await _add_format(call, content, extension)
        answer = _uploaded(call, photo, str(photo.id))
    else:
        photo, new, status = await _commit(call, content)
        album = call.numbers("category")[0]
        count = call.gallery.count_in(album) + call.gallery.waiting_for(album)
        answer = _uploaded(call, photo, photo.id if new else str(photo.id))
        answer["category"] = {"id": album, "nb_photos": count, "label": label(call, album)}
    return answer | ({"add_status": status} if call.release.major >= 16 else {})


async def _commit(call: Call, content: Content) -> tuple[StoredPhoto, bool, str]:
    """Store the photo; return also whether it is new, and its add_status."""
    file = call.given("name")
    if file is None and call.release.major < 17:
        await content.remove()
        raise FatalError("TypeError: the name is null")
    # Bytes that are not UTF-8 become U+FFFD.
    file = (file or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if call.release.major >= 16:
        file = php.backslashes(file)
    albums = call.numbers("category")
    replace = _photo_of_name(call, file, albums=albums)
    photo, new = await _store(call, content, file, albums=albums, replace=replace)
    if not albums:
        call.warnings.append("Undefined array key 0")
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    return photo, new, "add" if replace is None else "update"


def _uploaded(call: Call, photo: StoredPhoto, number: int | str) -> dict[str, object]:
    return {
        "image_id": number,
        "src": thumbnail(call, photo, size="th"),
        "square_src": thumbnail(call, photo, size="sq"),
        "name": photo.name,
    }


def _sent(call: Call) -> tuple[str, bytes | None]:
    """Return the key of the buffer and the bytes sent; None where PHP has no such file."""
    part = call.incoming.files.get("file")
    name = call.given("name")
    if name is None:
        name = part.filename if part else secrets.token_hex(7)
    key = hashlib.md5(name.encode("utf-8", "surrogateescape")).hexdigest()
    if not call.incoming.files:
        return key, call.incoming.body
    return key, None if part is None or part.too_large else part.data


def _photo_of_name(call: Call, file: str, *, albums: list[int]) -> int | None:
    """Return the photo that update_mode replaces: the first of this name in the first album."""
    if call.release.major < 16 or not call.params.get("update_mode"):
        return None
    if not albums:
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    found = [p.id for p in call.gallery.photos_in(albums[0]) if p.file == file]
    return min(found, default=None)


def label(call: Call, album_id: int) -> str:
    """Return the names of an album's path, as `Trip / Day 1`; empty for an unknown album."""
    album = call.gallery.albums.get(album_id)
    if album is None:
        call.warnings += [
            "Trying to access array offset on value of type null",
            "foreach() argument must be of type array|object, null given",
        ]
        return ""
    return call.gallery.fullname(album)


def thumbnail(call: Call, photo: StoredPhoto, *, size: str) -> str:
    """Return the address of a derivative, which is made when it is first requested."""
    folder, _, name = photo.path.rpartition("/")
    stem, _, kind = name.rpartition(".")
    if kind == "svg":
        return call.base + photo.path
    if photo.representative_ext:
        folder, kind = f"{folder}/pwg_representative", photo.representative_ext
    elif kind not in {"jpg", "jpeg", "png", "gif", "webp"}:
        return f"{call.base}i.php?/themes/default/icon/mimetypes/unknown-{size}.png"
    return f"{call.base}i.php?/{folder}/{stem}-{size}.{kind}"


# formats: further files of a photo


def _format_extension(call: Call) -> str:
    """Return the extension under which a file becomes a format. Raises `Refusal`."""
    allowed = call.gallery.formats.allowed
    if allowed is None:
        raise Refusal(401, "formats are disabled")
    name = call.text("name")
    for extension in allowed:  # Piwigo compares the case too: .NEF is not nef
        if name.endswith(f".{extension}"):
            return extension
    listed = ", ".join(allowed)
    raise Refusal(
        401,
        f'unexpected format extension of file "{name}" (authorized extensions: {listed})',
    )


async def _add_format(call: Call, content: Content, extension: str) -> tuple[StoredPhoto, str]:
    """Add a file to a photo; return the photo and the add_status."""
    photo = call.gallery.photos.get(call.number("format_of"))
    if photo is None:
        await content.remove()
        raise Refusal(404, "ws_images_upload : image_id not found")
    return photo, call.gallery.formats.add(photo.id, extension, content)


async def _search_formats(call: Call) -> object:
    """Find the photos of formats by their names, which differ only in the extension."""
    photos: dict[str, list[int]] = {}
    for photo in call.gallery.photos.values():
        photos.setdefault(photo.file.rpartition(".")[0] or photo.file, []).append(photo.id)
    wanted = json.loads(call.text("filename_list"))
    return {key: _photo_of_format(call, name, photos=photos) for key, name in wanted.items()}


def _photo_of_format(call: Call, name: str, *, photos: dict[str, list[int]]) -> dict[str, object]:
    extension = name.rpartition(".")[2]
    ids = photos.get(name.rpartition(".")[0], [])
    if extension not in (call.gallery.formats.allowed or _FORMATS_BY_DEFAULT) or not ids:
        return {"status": "not found"}
    if len(ids) > 1:
        return {"status": "multiple"}
    found: dict[str, object] = {"status": "found", "image_id": str(ids[0])}
    if call.release.major >= 16:
        rows = call.gallery.formats.of(ids[0])
        found["format_exist"] = any(row.extension == extension for row in rows)
    return found


# the lounge


async def _upload_completed(call: Call) -> dict[str, object]:
    call.check_token()
    moved = await _empty(call)
    album_id = call.number("category_id")
    if not album_id:
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    count = str(call.gallery.count_in(album_id))
    category = {"id": album_id, "nb_photos": count, "label": label(call, album_id)}
    return {"moved_from_lounge": moved, "category": category}


async def _empty_lounge(call: Call) -> dict[str, object]:
    return {"rows": await _empty(call)}


async def _empty(call: Call) -> object:
    rows = await call.gallery.empty_lounge()
    if rows is None:
        return None
    return [{"image_id": str(photo), "category_id": str(album)} for photo, album in rows]


async def _check_upload(_call: Call) -> dict[str, object]:
    return {"message": None, "ready_for_upload": True}


# pwg.images.uploadAsync


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
    file = php.backslashes(call.text("filename"))
    content, albums = buffers.take(merged), call.numbers("category")
    photo, _ = await _store(call, content, file, albums=albums, replace=replace, md5=total)
    _describe(call, photo)
    return photo_info(call, photo)


async def _receive(call: Call, name: str) -> None:
    """Replace the buffer by the chunk, and check its MD5."""
    buffers = call.gallery.buffer_folder
    part = call.incoming.files.get("file")
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


def _describe(call: Call, photo: StoredPhoto) -> None:
    """Set the tags and texts sent with a photo, also if it is a known one; their HTML is kept.

    Raises `FatalError` for a text that can't be stored: the photo and its tags stay.
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


# the older methods: pwg.images.addChunk with add, and addSimple


async def _add_chunk(call: Call) -> None:
    position = php.number(call.text("position"))
    name = f"{call.text('original_sum')}-{call.text('type')}-{position:05}.block"
    buffer = await call.gallery.buffer_folder.open(name, truncate=True, needed=True)
    # PHP skips characters that are not base64, and needs no padding at the end.
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
    file = php.backslashes(file)
    content = buffers.take(merged)
    photo, new = await _store(call, content, file, albums=[], replace=replace, md5=total)
    _describe(call, photo)
    albums = call.text("categories")
    if albums:
        set_albums(call, photo, albums)
    return _added(call, photo.id if new else str(photo.id), album=php.number(albums))


async def _add_simple(call: Call) -> dict[str, object]:
    part = call.incoming.files.get("image")
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
    content, albums = buffers.take(f"php-{id(part)}"), call.numbers("category")
    photo, new = await _store(call, content, part.filename, albums=albums, replace=replace)
    _describe(call, photo)
    return _added(call, photo.id if new else str(photo.id), album=albums[0] if albums else 0)


def _replaced(call: Call) -> int | None:
    photo_id = call.number("image_id")
    if photo_id and photo_id not in call.gallery.photos:
        raise Refusal(404, "image_id not found")
    return photo_id or None


def _added(call: Call, image_id: int | str, *, album: int) -> dict[str, object]:
    where = f"/category/{album}" if album in call.gallery.albums else ""
    return {"image_id": image_id, "url": f"{call.base}picture.php?/{image_id}{where}"}


def upload_methods(release: Release) -> Mapping[str, Method]:
    """Return these methods by name."""
    upload = {
        "name": TEXT,
        "category": _ALBUMS,
        "level": LEVEL,
        "format_of": Param(
            "int positive notnull",
            info="id of the extended image (name/category/level are not used if format_of is "
            "provided)",
        ),
    }
    if release.major >= 16:
        info = "true if the update mode is active"
        upload["update_mode"] = Param("bool", default=False, info=info)
    upload["pwg_token"] = REQUIRED
    description = (
        "Add an image.\n<br>Use the <b>$_FILES[image]</b> field for uploading "
        'file.\n<br>Set the form encoding to "form-data".'
    )
    completed = {
        "image_id": Param(array=True),
        "pwg_token": REQUIRED,
        "category_id": Param("int positive notnull", optional=release.major < 14),
    }
    number = Param("int positive", optional=False)
    texts = dict.fromkeys(("name", "author", "comment", "date_creation"), TEXT)
    upload_async = {
        "username": REQUIRED if release.major < 16 else TEXT,
        "password": TEXT,
        "chunk": number,
        "chunk_sum": REQUIRED,
        "chunks": number,
        "original_sum": REQUIRED,
        "category": _ALBUMS,
        "filename": REQUIRED,
        **texts,
        "level": LEVEL,
        "tag_ids": TEXT,
        "image_id": _PHOTO_ID,
    }
    add_chunk = {
        "data": REQUIRED,
        "original_sum": REQUIRED,
        "type": Param(default="file"),
        "position": REQUIRED,
    }
    add = {
        "original_sum": REQUIRED,
        "original_filename": TEXT,
        **texts,
        "categories": TEXT,
        "tag_ids": TEXT,
        "level": LEVEL,
        "check_uniqueness": Param("bool", default=True),
        "image_id": _PHOTO_ID,
    }
    simple = {
        "category": _ALBUMS,
        **texts,
        "level": LEVEL,
        "tags": Param(array=True),
        "image_id": _PHOTO_ID,
    }
    search = {"filename_list": REQUIRED}
    return {
        "pwg.images.upload": Method(
            _upload, upload, admin=True, post=True, description=description
        ),
        "pwg.images.formats.searchImage": Method(_search_formats, search, admin=True, post=True),
        "pwg.images.uploadCompleted": Method(_upload_completed, completed, admin=True),
        "pwg.images.emptyLounge": Method(_empty_lounge, admin=True),
        "pwg.images.checkUpload": Method(_check_upload, admin=True),
        "pwg.images.uploadAsync": Method(_upload_async, upload_async, admin=True, post=True),
        "pwg.images.addChunk": Method(_add_chunk, add_chunk, admin=True, post=True),
        "pwg.images.add": Method(_add, add, admin=True),
        "pwg.images.addSimple": Method(_add_simple, simple, admin=True, post=True),
    }
