"""pwg.images.upload: the method of the web form, with its buffers keyed by name alone."""

import base64
import hashlib
import json
import re
import secrets

from bulkup.sandbox import php
from bulkup.sandbox.calls import LEVEL, REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.files import Content
from bulkup.sandbox.gallery import StoredPhoto, fullname, storable, storable_comment, storable_date
from bulkup.sandbox.methods.photos import photo_info, set_albums
from bulkup.sandbox.php import Died, FatalError, Refusal
from bulkup.sandbox.versions import Release

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


def format_methods() -> dict[str, Method]:
    """List the methods of this topic."""
    return {
        "pwg.images.formats.searchImage": Method(
            _search, {"filename_list": REQUIRED}, admin=True, post=True
        )
    }


_NO_FILE = (
    '{"jsonrpc" : "2.0", "error" : {"code": 103, "message": "Failed to move uploaded file."},'
    ' "id" : "id"}'
)
_BLOCK = 4096


async def _upload(call: Call) -> object:
    call.check_token()
    extension = format_extension(call) if call.number("format_of") else ""
    key, data = _sent(call)
    chunk, chunks = (php.number(_one(call, name)) for name in ("chunk", "chunks"))
    folder = call.gallery.buffer_folder
    buffer = await folder.open(f"{key}.part", truncate=not chunks)
    if data is None:
        raise Died(_NO_FILE)
    # Piwigo reads in blocks and takes a block that is the one character 0 for the end.
    if len(data) % _BLOCK == 1 and data.endswith(b"0"):
        data = data[:-1]
    await buffer.append(data)
    if chunks and chunk != chunks - 1:
        return None
    content = folder.take(f"{key}.part")
    if extension:
        photo, status = await add_format(call, content, extension)
        told: dict[str, object] = {
            "image_id": str(photo.id),
            "src": thumbnail(call, photo, size="th"),
            "square_src": thumbnail(call, photo, size="sq"),
            "name": photo.name,
        }
        return told | ({"add_status": status} if call.release.major >= 16 else {})
    file = call.given("name")
    if file is None and call.release.major < 17:
        await content.remove()
        raise FatalError("TypeError: the name is null")
    file = _clean(file or "")
    if call.release.major >= 16:
        file = php.backslashes(file)
    albums = call.numbers("category")
    replace = _known_name(call, file, albums=albums)
    photo, new = await call.gallery.store(
        content,
        file,
        albums=albums,
        level=call.number("level"),
        user_id=call.user.id,
        finish=call.finish,
        replace=replace,
    )
    if not albums:
        call.warnings.append("Undefined array key 0")
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    answer = {
        "image_id": photo.id if new else str(photo.id),
        "src": thumbnail(call, photo, size="th"),
        "square_src": thumbnail(call, photo, size="sq"),
        "name": photo.name,
        "category": {
            "id": albums[0],
            "nb_photos": call.gallery.count_in(albums[0]) + call.gallery.waiting_for(albums[0]),
            "label": label(call, albums[0]),
        },
    }
    if call.release.major >= 16:
        answer["add_status"] = "add" if replace is None else "update"
    return answer


def _sent(call: Call) -> tuple[str, bytes | None]:
    """Give the key of the buffer, and the bytes that came; None when PHP has no such file."""
    part = call.files.get("file")
    name = call.given("name")
    if name is None:
        name = part.filename if part else secrets.token_hex(7)
    key = hashlib.md5(name.encode("utf-8", "surrogateescape")).hexdigest()
    if not call.files:
        return key, call.body
    return key, None if part is None or part.too_large else part.data


def _one(call: Call, name: str) -> str | None:
    value = call.request.get(name)
    return value if isinstance(value, str) else None


def _clean(name: str) -> str:
    """Bytes that are not UTF-8 become the sign for unknown characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _known_name(call: Call, file: str, *, albums: list[int]) -> int | None:
    """Find the photo that update_mode replaces: the first of this name in the first album."""
    if call.release.major < 16 or not call.params.get("update_mode"):
        return None
    if not albums:
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    found = [p.id for p in call.gallery.photos_in(albums[0]) if p.file == file]
    return min(found, default=None)


def label(call: Call, album_id: int) -> str:
    """Give an album with those above it, as `Trip / Day 1`; empty when unknown."""
    album = call.gallery.albums.get(album_id)
    if album is None:
        call.warnings += [
            "Trying to access array offset on value of type null",
            "foreach() argument must be of type array|object, null given",
        ]
        return ""
    return fullname(call.gallery.albums, album)


def thumbnail(call: Call, photo: StoredPhoto, *, size: str) -> str:
    """Give the address of a small picture, which is made when first asked for."""
    folder, _, name = photo.path.rpartition("/")
    stem, _, kind = name.rpartition(".")
    if kind == "svg":
        return call.base + photo.path
    if photo.representative_ext:
        folder, kind = f"{folder}/pwg_representative", photo.representative_ext
    elif kind not in {"jpg", "jpeg", "png", "gif", "webp"}:
        return f"{call.base}i.php?/themes/default/icon/mimetypes/unknown-{size}.png"
    return f"{call.base}i.php?/{folder}/{stem}-{size}.{kind}"


def upload_methods(release: Release) -> dict[str, Method]:
    """List the methods of this topic."""
    params = {
        "name": TEXT,
        "category": Param("int positive notnull", force=True),
        "level": LEVEL,
        "format_of": Param(
            "int positive notnull",
            info="id of the extended image (name/category/level are not used if format_of is "
            "provided)",
        ),
    }
    if release.major >= 16:
        params["update_mode"] = Param(
            "bool", default=False, info="true if the update mode is active"
        )
    params["pwg_token"] = REQUIRED
    return {
        "pwg.images.upload": Method(
            _upload,
            params,
            admin=True,
            post=True,
            description="Add an image.\n<br>Use the <b>$_FILES[image]</b> field for uploading "
            'file.\n<br>Set the form encoding to "form-data".',
        )
    }


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


def lounge_methods(release: Release) -> dict[str, Method]:
    """List the methods of this topic."""
    completed = {
        "image_id": Param(array=True),
        "pwg_token": REQUIRED,
        "category_id": Param("int positive notnull", optional=release.major < 14),
    }
    return {
        "pwg.images.uploadCompleted": Method(_upload_completed, completed, admin=True),
        "pwg.images.emptyLounge": Method(_empty_lounge, admin=True),
        "pwg.images.checkUpload": Method(_check_upload, admin=True),
    }


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


def chunk_methods(release: Release) -> dict[str, Method]:
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


def legacy_methods() -> dict[str, Method]:
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
