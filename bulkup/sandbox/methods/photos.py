"""Photos after the upload: their data, albums, deletion, and their MD5s."""

import re
import secrets
import time

from bulkup.sandbox import php
from bulkup.sandbox.calls import REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.files import coordinate
from bulkup.sandbox.gallery import StoredPhoto, Tag, storable, storable_comment, storable_date
from bulkup.sandbox.php import FatalError, Refusal, WithStatus

# name, suffix of the file, and the box that the derivative fits into
_SIZES = (
    ("square", "sq", 120, 120),
    ("thumb", "th", 144, 144),
    ("2small", "2s", 240, 240),
    ("xsmall", "xs", 432, 324),
    ("small", "sm", 576, 432),
    ("medium", "me", 792, 594),
    ("large", "la", 1008, 756),
    ("xlarge", "xl", 1224, 918),
    ("xxlarge", "xx", 1656, 1242),
    ("3xlarge", "3x", 2592, 1944),
    ("4xlarge", "4x", 3840, 2880),
)


def photo_urls(call: Call, photo: StoredPhoto) -> dict[str, object]:
    """Return the addresses of a photo's page, its file and its derivatives."""
    sizes = _SIZES if call.release.major >= 16 else _SIZES[:-2]
    urls: dict[str, object] = {
        "page_url": f"{call.base}picture.php?/{photo.id}",
        "element_url": call.base + photo.path,
        "derivatives": {
            name: _derivative(call, photo, suffix=suffix, width=width, height=height)
            for name, suffix, width, height in sizes
        },
    }
    if call.release.major >= 14:
        urls["download_url"] = f"{call.base}action.php?id={photo.id}&part=e&download"
    return urls


def _derivative(
    call: Call, photo: StoredPhoto, *, suffix: str, width: int, height: int
) -> dict[str, object]:
    own_width, own_height = photo.width or 0, photo.height or 0
    scale = min(width / max(own_width, 1), height / max(own_height, 1))
    if scale >= 1:
        number = int if call.release.major >= 16 else str
        url = call.base + photo.path
        return {"url": url, "width": number(own_width), "height": number(own_height)}
    stem, _, kind = photo.path.rpartition(".")
    return {
        "url": f"{call.base}i.php?/{stem}-{suffix}.{kind}",
        "width": round(own_width * scale),
        "height": round(own_height * scale),
    }


def photo_info(call: Call, photo: StoredPhoto) -> dict[str, object]:
    """Return the answer of pwg.images.getInfo."""
    info: dict[str, object] = {
        "id": photo.id,
        "file": photo.file,
        "date_available": photo.date_available,
        "date_creation": photo.date_creation,
        "name": photo.name,
        "comment": photo.comment,
        "author": photo.author,
        "hit": 0,
        "filesize": photo.size // 1024,
        "width": photo.width,
        "height": photo.height,
        "coi": None,
        "representative_ext": photo.representative_ext,
        "date_metadata_update": photo.date_available[:10],
        "rating_score": None,
        "level": str(photo.level),
        "md5sum": photo.md5,
        "added_by": str(photo.added_by),
        "rotation": "0",
        "latitude": photo.position[0] if photo.position else None,
        "longitude": photo.position[1] if photo.position else None,
        "lastmodified": photo.date_available,
        "rates": {"score": None, "count": 0, "average": None},
        "categories": _albums(call, photo),
        "tags": _tags(call, photo),
        "comments_paging": {"page": 0, "per_page": "10", "count": 0, "total_count": 0},
        "comments": [],
    }
    if call.release.major >= 16:
        info["name"] = php.strip_tags(photo.name)
        info |= {"name_raw": photo.name, "comment_raw": photo.comment}
    elif info["categories"] and call.release.major < 15:
        key = f"{int(time.time())}:2:{secrets.token_hex(16)}"
        info["comment_post"] = {"author": call.user.name, "key": key}
    return info | photo_urls(call, photo)


def _albums(call: Call, photo: StoredPhoto) -> list[dict[str, object]]:
    albums = [call.gallery.albums[i] for i in photo.albums if i in call.gallery.albums]
    return [
        {
            "id": album.id,
            "name": php.strip_tags(album.name),
            "permalink": None,
            "uppercats": album.uppercats,
            "global_rank": album.global_rank,
            "url": f"{call.base}index.php?/category/{album.id}",
            "page_url": f"{call.base}picture.php?/{photo.id}/category/{album.id}",
        }
        for album in sorted(albums, key=lambda a: a.order)
    ]


def _tags(call: Call, photo: StoredPhoto) -> list[dict[str, object]]:
    tags = [call.gallery.tags[i] for i in photo.tags if i in call.gallery.tags]
    return [
        tag_row(call, tag)
        | {"page_url": f"{call.base}picture.php?/{photo.id}/tags/{tag.id}-{tag.url_name}"}
        for tag in sorted(tags, key=lambda t: t.name.lower())
    ]


def tag_row(call: Call, tag: Tag) -> dict[str, object]:
    """Return a tag as the lists of tags and of a photo show it."""
    return {
        "id": tag.id,
        "name": tag.name,
        "url_name": tag.url_name,
        "lastmodified": tag.lastmodified,
        "url": f"{call.base}index.php?/tags/{tag.id}-{tag.url_name}",
    }


_COLUMNS = ("name", "author", "comment", "level", "date_creation")
_HARMLESS = ("b", "strong", "em", "i")


def _set_position(call: Call) -> None:
    """Set a position as the plugin piwigo-openstreetmap does, before the method runs."""
    found = [call.incoming.post.get(name) for name in ("latitude", "longitude")]
    texts = [text for text in found if isinstance(text, str) and text not in {"", "0"}]
    photo = call.gallery.photos.get(call.number("image_id"))
    if call.backend.map_plugin == "new" and photo and len(texts) == 2:
        latitude, longitude = (coordinate(float(text)) for text in texts)
        photo.position = latitude, longitude


async def _set_info(call: Call) -> object:
    _set_position(call)
    keeps_html = call.keeps_html()
    photo = _photo(call)
    changes = _changes(call, photo, keeps_html=keeps_html)
    file = php.strip_tags(call.text("file"))
    if file:
        changes["file"] = storable(file)
    for column, value in changes.items():
        setattr(photo, column, value)
    status = 200
    if call.given("categories") is not None:
        status = 200 if set_albums(call, photo, call.text("categories")) else 500
    if call.given("tag_ids") is not None:
        _set_tags(call, photo)
    return WithStatus(None, status)


def _changes(call: Call, photo: StoredPhoto, *, keeps_html: bool) -> dict[str, object]:
    """Return the columns to set. Raises `FatalError` for any bad value; then nothing is set."""
    changes: dict[str, object] = {}
    mode = call.text("single_value_mode")
    for column in _COLUMNS:
        value = call.params[column]
        if value is None:
            continue
        if mode not in {"fill_if_empty", "replace"}:
            raise Refusal(
                500,
                f'[ws_images_setInfo] invalid parameter single_value_mode "{mode}", '
                "possible values are {fill_if_empty, replace}.",
            )
        if isinstance(value, str):
            value = _text(call, column, value, keeps_html=keeps_html)
        if mode == "replace" or getattr(photo, column) in {None, "", "0", 0}:
            changes[column] = value
    return changes


def _text(call: Call, column: str, value: str, *, keeps_html: bool) -> object:
    if call.release.major < 14:
        value = php.strip_tags(value)
    elif not keeps_html:
        value = php.strip_tags(value, keep=_HARMLESS)
    if column == "date_creation":
        return storable_date(value)
    return storable_comment(value) if column == "comment" else storable(value)


def set_albums(call: Call, photo: StoredPhoto, text: str) -> bool:
    """Link a photo to "3;4,rank"; return False, and do nothing, if an album is unknown."""
    wanted = {int(t) for t in re.findall(r"(?:^|;)(\d+)(?=,|;|$)", text)}
    if not wanted or not wanted <= call.gallery.albums.keys():
        return False
    if call.params.get("multiple_value_mode") == "replace":
        for album_id in photo.albums - wanted:
            call.gallery.unlink(photo.id, album_id)
    for album_id in sorted(wanted):
        call.gallery.link(photo.id, album_id)
    return True


def _set_tags(call: Call, photo: StoredPhoto) -> None:
    mode = call.text("multiple_value_mode")
    wanted = {int(t) for t in call.text("tag_ids").split(",") if re.fullmatch(r"\s*\d+\s*", t)}
    if mode not in {"append", "replace"}:
        raise Refusal(
            500,
            f'[ws_images_setInfo] invalid parameter multiple_value_mode "{mode}", '
            "possible values are {replace, append}.",
        )
    photo.tags = wanted if mode == "replace" else photo.tags | wanted


async def _set_category(call: Call) -> None:
    call.check_token()
    album_id = call.number("category_id")
    if album_id not in call.gallery.albums:
        raise Refusal(404, "category_id not found")
    action = call.text("action")
    for photo_id in call.numbers("image_id"):
        photo = call.gallery.photos.get(photo_id)
        leaves = {"dissociate": {album_id}, "move": photo.albums if photo else set()}
        for old in set(leaves.get(action, ())):
            call.gallery.unlink(photo_id, old)
        if action in {"associate", "move"}:
            call.gallery.link(photo_id, album_id)


async def _delete(call: Call) -> int:
    call.check_token()
    return sum([await call.gallery.delete(i) for i in php.ids(call.params["image_id"])])


async def _get_info(call: Call) -> object:
    photo = _photo(call)
    if photo.level > call.level:
        raise Refusal(404, "image_id not found")
    if not photo.albums and not call.user.is_admin:
        raise Refusal(401, "Access denied")
    return photo_info(call, photo)


def _photo(call: Call) -> StoredPhoto:
    photo = call.gallery.photos.get(call.number("image_id"))
    if photo is None:
        raise Refusal(404, "image_id not found")
    return photo


_SEPARATORS = str.maketrans(",;|", "   ")


async def _exist(call: Call) -> object:
    by_name = call.gallery.uniqueness_mode == "filename"
    text = call.text("filename_list" if by_name else "md5sum_list")
    asked = text.translate(_SEPARATORS).split()
    await call.workers.compute(call.backend.exist_cost_s * len(asked) / 100_000)
    photos = call.gallery.photos.values()
    ids = {p.file if by_name else p.md5: str(p.id) for p in photos}
    return {item: ids.get(item) for item in dict.fromkeys(asked)} or []


async def _check_files(call: Call) -> object:
    photo = call.gallery.photos.get(call.number("image_id"))
    if photo is None:
        raise Refusal(404, "image_id not found")
    wanted = call.given("file_sum")
    if wanted is None:
        return []
    content = call.gallery.contents.get(photo.path)
    return {"file": "equals" if content and content.md5 == wanted else "differs"}


async def _set_md5sum(call: Call) -> dict[str, object]:
    """Compute missing MD5s; a file that can't be read leaves NULL, in blocks of 10 or more ""."""
    call.check_token()
    gallery, size = call.gallery, call.number("block_size")
    missing = [photo.id for photo in gallery.photos.values() if photo.md5 is None]
    ids = missing[:size]
    if not ids and (missing or call.release.major < 15):
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    for photo_id, row in zip(ids, sorted(ids) if call.release.mixes_md5s else ids, strict=True):
        path = gallery.photos[row].path
        content = gallery.contents.get(path)
        if content is None:
            call.warnings.append(f"md5_file(././{path}): Failed to open stream")
        md5 = content.md5 if content else "" if len(ids) >= 10 else None
        gallery.set_md5(gallery.photos[photo_id], md5)
    left = sum(photo.md5 is None for photo in gallery.photos.values())
    return {"nb_added": len(ids), "nb_no_md5sum": left}


async def _add_to_caddie(call: Call) -> int:
    wanted = set(call.numbers("image_id")) & call.gallery.photos.keys()
    caddie = call.gallery.caddies.setdefault(call.user.id, set())
    new = wanted - caddie
    caddie |= new
    return len(new)


_PHOTO = Param("int positive notnull", optional=False)
_INFO = {
    "image_id": _PHOTO,
    **dict.fromkeys(("file", "name", "author", "date_creation", "comment", "categories"), TEXT),
    "tag_ids": TEXT,
    "level": Param("int positive", max=8),
    "single_value_mode": Param(default="fill_if_empty"),
    "multiple_value_mode": Param(default="append"),
    "pwg_token": TEXT,
}
_CATEGORY = {
    "image_id": Param("int positive notnull", optional=False, force=True),
    "category_id": _PHOTO,
    "action": Param(default="associate"),
    "pwg_token": REQUIRED,
}
_PHOTOS = {"image_id": Param(optional=False, array=True), "pwg_token": REQUIRED}
_BLOCK = {"block_size": Param("int positive", default=50), "pwg_token": REQUIRED}
_SUMS = {"md5sum_list": TEXT, "filename_list": TEXT}
PHOTO_METHODS = {
    "pwg.images.setInfo": Method(_set_info, _INFO, admin=True, post=True),
    "pwg.images.setCategory": Method(_set_category, _CATEGORY, admin=True, post=True),
    "pwg.images.delete": Method(_delete, _PHOTOS, admin=True, post=True),
    "pwg.images.getInfo": Method(_get_info, {"image_id": _PHOTO}),
    "pwg.images.exist": Method(_exist, _SUMS, admin=True),
    "pwg.images.setMd5sum": Method(_set_md5sum, _BLOCK, admin=True, post=True),
    "pwg.caddie.add": Method(_add_to_caddie, {"image_id": _CATEGORY["image_id"]}, admin=True),
    "pwg.images.checkFiles": Method(
        _check_files, {"image_id": _PHOTO, "file_sum": TEXT}, admin=True
    ),
}
