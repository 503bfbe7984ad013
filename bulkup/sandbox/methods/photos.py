"""pwg.images.setInfo, setCategory, delete and getInfo: one photo after it was uploaded."""

import re

from bulkup.sandbox import php
from bulkup.sandbox.answers import Refusal, WithStatus
from bulkup.sandbox.calls import REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.methods.info import photo_info
from bulkup.sandbox.records import StoredPhoto, storable, storable_comment, storable_date

_COLUMNS = ("name", "author", "comment", "level", "date_creation")
_HARMLESS = ("b", "strong", "em", "i")


async def _set_info(call: Call) -> object:
    with_token = call.release.major >= 14 and call.params.get("pwg_token") is not None
    if with_token:
        call.check_token()
    photo = _photo(call)
    changes = _changes(call, photo, with_token=with_token)
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


def _changes(call: Call, photo: StoredPhoto, *, with_token: bool) -> dict[str, object]:
    """Tell what is to be written, checked as a whole: one bad value and nothing is."""
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
            value = _text(call, column, value, with_token=with_token)
        if mode == "replace" or getattr(photo, column) in {None, "", "0", 0}:
            changes[column] = value
    return changes


def _text(call: Call, column: str, value: str, *, with_token: bool) -> object:
    if call.release.major < 14:
        value = php.strip_tags(value)
    elif not (with_token and call.html):
        value = php.strip_tags(value, keep=_HARMLESS)
    if column == "date_creation":
        return storable_date(value)
    return storable_comment(value) if column == "comment" else storable(value)


def set_albums(call: Call, photo: StoredPhoto, text: str) -> bool:
    """Link a photo to "3;4,rank"; False, and nothing done, when one of them is unknown."""
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
    if not photo.albums and not call.user.is_admin:
        raise Refusal(401, "Access denied")
    return photo_info(call, photo)


def _photo(call: Call) -> StoredPhoto:
    photo = call.gallery.photos.get(call.number("image_id"))
    if photo is None:
        raise Refusal(404, "image_id not found")
    return photo


def methods() -> dict[str, Method]:
    """List the methods of this topic."""
    photo = Param("int positive notnull", optional=False)
    info = {
        "image_id": photo,
        "file": TEXT,
        "name": TEXT,
        "author": TEXT,
        "date_creation": TEXT,
        "comment": TEXT,
        "categories": TEXT,
        "tag_ids": TEXT,
        "level": Param("int positive", max=8),
        "single_value_mode": Param(default="fill_if_empty"),
        "multiple_value_mode": Param(default="append"),
        "pwg_token": TEXT,
    }
    category = {
        "image_id": Param("int positive notnull", optional=False, force=True),
        "category_id": photo,
        "action": Param(default="associate"),
        "pwg_token": REQUIRED,
    }
    delete = {"image_id": Param(optional=False, array=True), "pwg_token": REQUIRED}
    return {
        "pwg.images.setInfo": Method(_set_info, info, admin=True, post=True),
        "pwg.images.setCategory": Method(_set_category, category, admin=True, post=True),
        "pwg.images.delete": Method(_delete, delete, admin=True, post=True),
        "pwg.images.getInfo": Method(_get_info, {"image_id": photo}),
    }
