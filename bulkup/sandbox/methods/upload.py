"""pwg.images.upload: the method of the web form, with its buffers keyed by name alone."""

import hashlib
import secrets

from bulkup.sandbox import php
from bulkup.sandbox.albums import fullname
from bulkup.sandbox.answers import Died, FatalError
from bulkup.sandbox.calls import LEVEL, REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.methods.formats import add_format, format_extension
from bulkup.sandbox.records import StoredPhoto
from bulkup.sandbox.versions import Release

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


def methods(release: Release) -> dict[str, Method]:
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
