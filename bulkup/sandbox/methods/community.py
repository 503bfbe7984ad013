"""The Community plugin, by which users who are no administrators upload to some albums."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bulkup.sandbox import php
from bulkup.sandbox.accounts import Permission, User
from bulkup.sandbox.calls import REQUIRED, SWITCH, Call, Incoming, Method, Param
from bulkup.sandbox.gallery import Album, Gallery, StoredPhoto
from bulkup.sandbox.methods.photos import tag_row
from bulkup.sandbox.php import FatalError, WithStatus

MODERATED = 16
"""The privacy level of photos that wait for approval: nobody sees it, administrators neither."""

_LET_THROUGH = {
    *("pwg.tags.add", "pwg.images.exist", "pwg.images.add", "pwg.images.addSimple"),
    *("pwg.images.addChunk", "pwg.images.upload", "pwg.images.checkUpload"),
    *("pwg.images.checkFiles", "pwg.session.getStatus", "pwg.images.uploadCompleted"),
    "pwg.images.uploadAsync",
}
_FOR_OWN_PHOTOS = {"pwg.images.delete", "pwg.images.setInfo"}
_STORING = {
    "pwg.images.addSimple": "category",
    "pwg.images.upload": "category",
    "pwg.images.uploadAsync": "category",
    "pwg.images.add": "categories",
}
"""The methods whose photos the plugin moderates, and their fields with the album."""


@dataclass(slots=True)
class Pending:
    """A row of the plugin's table of photos."""

    photo: int
    state: str
    notified_on: str | None = None


class Community:
    """The plugin's permissions, its table of photos, and the mails to administrators."""

    names: Sequence[str] = (
        "community.categories.getList",
        "community.images.uploadCompleted",
        "community.session.getStatus",
    )

    def __init__(self, permissions: Sequence[Permission], gallery: Gallery) -> None:
        self.permissions = list(permissions)
        self.pending: list[Pending] = []
        self.mails: list[str] = []
        self._gallery = gallery
        ids = {"image_id": Param(optional=False, array=True), "pwg_token": REQUIRED}
        album = {"category_id": Param("int positive notnull", optional=False)}
        listing = dict.fromkeys(("recursive", "public", "tree_output", "fullname"), SWITCH)
        self._list = Method(self._get_list, {"cat_id": Param(default="0"), **listing})
        self._methods = {
            "community.categories.getList": self._list,
            "community.images.uploadCompleted": Method(self._completed, ids | album),
            "community.session.getStatus": Method(self._get_status),
        }

    def approve(self, photo_id: int) -> None:
        """Approve a photo, as an administrator does."""
        self._gallery.photos[photo_id].level = 0
        for row in self.pending:
            if row.photo == photo_id:
                row.state = "validated"

    def enter(self, call: Call, incoming: Incoming) -> Method | None:
        """Pretend that a user is an administrator, for what the permissions cover."""
        name, user = incoming.method, call.user
        call.real_user = user
        mine = self._permissions_of(user)
        if not user.is_admin and self._may_upload(user, mine):
            if name == "pwg.images.setInfo":
                call.html = False
                incoming.post.pop("level", None)
                for field in {"name", "author", "comment", "date_creation"} & incoming.post.keys():
                    text = incoming.text(field)
                    incoming.post[field] = php.strip_tags(text, keep=("b", "strong", "em", "i"))
            if name in _LET_THROUGH or self._is_for_own(call, incoming):
                call.user = replace(user, status="admin")
            elif name == "pwg.categories.add":
                if incoming.post.get("parent", incoming.query.get("parent")) is None:
                    call.warnings.append('Undefined array key "parent"')
                if self._may_create(mine, php.number(incoming.text("parent"))):
                    call.user = replace(user, status="admin")
        if not call.user.is_admin and mine and incoming.text("faked_by_community") != "false":
            if name == "pwg.categories.getList":
                return self._list
            if name == "pwg.tags.getAdminList":
                return Method(_get_tags)
        return self._methods.get(name)

    def leave(self, call: Call, incoming: Incoming, result: object) -> None:
        """Moderate the photo that a method answers with, even one that the gallery had before.

        Raises `FatalError` after a refused `addSimple`, whose photo is unknown.
        """
        user = call.real_user
        if user is None or user.is_admin or incoming.method not in _STORING:
            return
        if isinstance(result, WithStatus):
            result = result.result
        photo: StoredPhoto | None = None
        match result:
            case {"image_id": number} | {"id": number}:
                photo = self._gallery.photos[int(str(number))]
        if incoming.method == "pwg.images.add":
            photo = self._gallery.find(incoming.text("original_sum"))
        if photo is None:
            if incoming.method in {"pwg.images.upload", "pwg.images.uploadAsync"}:
                return
            raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
        album = self._gallery.albums.get(php.number(incoming.text(_STORING[incoming.method])))
        moderated = self._is_moderated(user, album)
        photo.level = MODERATED if moderated else 0
        state = "moderation_pending" if moderated else "validated"
        self.pending.append(Pending(photo.id, state))

    def page(self, user: User) -> str | None:
        """Return the page on which users add photos, None for users who may not."""
        mine = self._permissions_of(user)
        if user.status == "guest" or not self._may_upload(user, mine):
            return None
        own = [p for p in self._gallery.photos.values() if p.added_by == user.id]
        used = (len(own), sum(p.size // 1024 for p in own) // 1024)
        photos, megabytes = (
            0 if not all(limits) else max(limits) - use
            for limits, use in zip(
                ([p.photos for p in mine], [p.megabytes for p in mine]), used, strict=True
            )
        )
        limited = (all(p.photos for p in mine), all(p.megabytes for p in mine))
        if user.is_admin:
            limited = (False, False)
        errors, left, script = [], [], ""
        if limited[1] and megabytes <= 0:
            errors.append(f"Disk usage quota reached ({max(p.megabytes for p in mine)}MB)")
        elif limited[1]:
            left.append(f"{megabytes}MB")
            script = f"<script>var limit_storage = {megabytes * 2**20};</script>"
        if limited[0] and photos <= 0:
            errors.append(f"Maximum number of photos reached ({max(p.photos for p in mine)})")
        elif limited[0]:
            left.append(f"{photos} photo{'s' * (photos != 1)}")
        hidden = '<div class="errors" style="display:none"><ul></ul></div>'
        if errors:
            listed = "".join(f"    <li>{error}</li>\n" for error in errors)
            return f'{script}{hidden}\n<div class="errors">\n  <ul>\n{listed}  </ul>\n</div>\n'
        types = ", ".join(self._gallery.file_types)
        rest = f"Available {', '.join(left)}." if left else ""
        more = '<a class="showInfo" title="Learn more">i</a>'
        summary = f'<p id="uploadWarningsSummary">1000MB. {types}.  {rest}\n{more}</p>'
        return f"{script}{hidden}\n{summary}\n"

    # what users may do

    def _permissions_of(self, user: User) -> list[Permission]:
        if user.status == "guest":
            return []
        return [p for p in self.permissions if p.user in {None, user.name}]

    def _upload_albums(self, user: User, mine: Sequence[Permission]) -> set[int]:
        albums = self._gallery.albums
        if user.is_admin or any(p.album is None for p in mine):
            return set(albums)
        return {
            album.id
            for p in mine
            if p.album in albums
            for album in (self._gallery.subtree(p.album) if p.recursive else [albums[p.album]])
        }

    def _may_upload(self, user: User, mine: Sequence[Permission]) -> bool:
        return bool(self._upload_albums(user, mine)) or self._may_create(mine, 0)

    def _may_create(self, mine: Sequence[Permission], parent: int) -> bool:
        path = self._gallery.albums[parent].path if parent in self._gallery.albums else []
        return any(p.create and (p.album is None or p.album in path) for p in mine)

    def _is_for_own(self, call: Call, incoming: Incoming) -> bool:
        """Reduce the photos of a call to the user's own; return whether any are left."""
        if incoming.method not in _FOR_OWN_PHOTOS:
            return False
        photos = self._gallery.photos
        ids = php.ids(incoming.post.get("image_id"))
        own = [i for i in ids if i in photos and photos[i].added_by == call.user.id]
        if own:
            incoming.post["image_id"] = ",".join(map(str, own))
        return bool(own)

    def _is_moderated(self, user: User, album: Album | None) -> bool:
        path = album.path if album else []
        return not any(
            not p.moderated and (p.album is None or p.album in path)
            for p in self._permissions_of(user)
        )

    # the plugin's own methods, and those that it replaces

    async def _get_status(self, call: Call) -> dict[str, object]:
        listing = "community.categories.getList"
        if call.user.is_admin:
            listing = "pwg.categories.getAdminList"
        return {
            "real_user_status": call.user.status,
            "upload_categories_getList_method": listing,
        }

    async def _get_list(self, call: Call) -> dict[str, object]:
        gallery, above = self._gallery, php.number(str(call.params["cat_id"]))
        permitted = self._upload_albums(call.user, self._permissions_of(call.user))
        if call.params["recursive"]:
            albums = gallery.subtree(above) if above else list(gallery.albums.values())
        else:
            albums = [a for a in gallery.albums.values() if (above or None) in {a.parent, a.id}]
        rows = []
        for album in sorted(albums, key=lambda a: a.order):
            if album.id not in permitted:
                continue
            seen = [p for p in gallery.photos_in(album.id) if p.level <= call.level]
            row: dict[str, object] = {
                "id": album.id,
                "name": php.strip_tags(album.name),
                "permalink": None,
                "uppercats": album.uppercats,
                "global_rank": album.global_rank,
                "comment": album.comment or "",
                "nb_images": len(seen),
                "total_nb_images": len(seen),
                "date_last": max((p.date_available for p in seen), default=None),
                "max_date_last": max((p.date_available for p in seen), default=None),
                "nb_categories": 0,
                "url": f"{call.base}index.php?/category/{album.id}",
            }
            if call.params["fullname"]:
                row["name"] = php.strip_tags(gallery.fullname(album))
            else:
                row["name_raw"] = album.name
            rows.append(row | {"comment_raw": album.comment})
        return {"categories": rows}

    async def _completed(self, call: Call) -> dict[str, object] | None:
        call.check_token()
        wanted = set(php.ids(call.params["image_id"]))
        if not wanted:
            return None
        photos = [self._gallery.photos[i] for i in sorted(wanted) if i in self._gallery.photos]
        rows = {p.id: [r for r in self.pending if r.photo == p.id] for p in photos}
        new = [p for p in photos if not all(r.notified_on for r in rows[p.id]) or not rows[p.id]]
        answer = [
            {
                "id": str(photo.id),
                "level": str(photo.level),
                "added_by": str(photo.added_by),
                "state": row.state,
                "notified_on": row.notified_on,
            }
            for photo in photos
            for row in rows[photo.id]
            if row.state == "moderation_pending"
        ]
        if new:
            album = self._gallery.albums.get(call.number("category_id"))
            where = self._gallery.fullname(album) if album else ""
            self.mails.append(f"{len(new)} photos uploaded by {call.user.name} to {where}")
            for photo in new:
                for row in rows[photo.id]:
                    row.notified_on = php.now()
        return {"pending": answer}


async def _get_tags(call: Call) -> dict[str, object]:
    """List all tags, as numbers and with their addresses, unlike the method replaced."""
    tags = sorted(call.gallery.tags.values(), key=lambda t: t.name.lower())
    return {"tags": [tag_row(call, tag) for tag in tags]}
