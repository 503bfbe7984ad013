"""Albums and tags: add, change, delete and list them, list the photos of an album."""

import secrets
import unicodedata
from collections.abc import Iterable

from bulkup.sandbox import php
from bulkup.sandbox.calls import ID, REQUIRED, SWITCH, TEXT, Call, Method, Param
from bulkup.sandbox.gallery import Album, storable
from bulkup.sandbox.methods.photos import photo_urls, tag_row
from bulkup.sandbox.methods.upload import thumbnail
from bulkup.sandbox.php import Refusal
from bulkup.sandbox.versions import Release

_ORDER = "date_available DESC, file ASC, id ASC"
_BY_RANK = "`rank` ASC"
_LIMIT = 100


async def _add(call: Call) -> dict[str, object]:
    keeps_html = call.keeps_html()
    name, comment = call.text("name"), call.text("comment")
    if not keeps_html:
        name, comment = php.strip_tags(name), php.strip_tags(comment)
    if not name.strip():
        raise Refusal(500, "The name of an album must not be empty")
    album = call.gallery.add_album(
        name,
        parent=call.number("parent") or None,
        status="private" if call.text("status") == "private" else "public",
        comment=comment or None,
        last=call.text("position") == "last",
    )
    if album.status == "private":
        admins = {user.id for user in call.accounts.users.values() if user.is_admin}
        call.gallery.give_access([album.id], users={*admins, call.user.id})
    return {"info": "Album added", "id": album.id}


async def _set_info(call: Call) -> None:
    keeps_html = call.keeps_html()
    album = call.gallery.albums.get(call.number("category_id"))
    if album is None:
        raise Refusal(404, "category_id not found")
    name = call.given("name")
    if name is not None:
        album.name = storable(name if keeps_html else php.strip_tags(name))


async def _delete(call: Call) -> None:
    call.check_token()
    for album_id in php.ids(call.params["category_id"]):
        if album_id in call.gallery.albums:
            call.gallery.delete_album(album_id)


async def _get_list(call: Call) -> object:
    album_id, recursive = call.number("cat_id"), bool(call.params["recursive"])
    albums: Iterable[Album] = _chosen(call, album_id, recursive=recursive)
    if call.release.major >= 14 and call.text("search"):
        albums = [a for a in albums if call.text("search").lower() in a.name.lower()][:_LIMIT]
    albums = [a for a in albums if call.gallery.may_see(a, call.user.id)]
    if not call.user.is_admin:
        albums = [a for a in albums if _count(call, a, below=True)]
    rows = [_listed(call, a) for a in _ordered(albums)]
    if not call.params["tree_output"]:
        return {"categories": rows}
    shown = {row["id"] for row in rows}
    return [_branch(row, rows) for row in rows if _above(row) not in shown]


def _branch(row: dict[str, object], rows: list[dict[str, object]]) -> dict[str, object]:
    below = [_branch(child, rows) for child in rows if _above(child) == row["id"]]
    return row | ({"sub_categories": below} if below else {})


def _above(row: dict[str, object]) -> int | None:
    return php.number(str(row["id_uppercat"])) or None


def _chosen(call: Call, album_id: int, *, recursive: bool) -> list[Album]:
    albums = call.gallery.albums
    if recursive:
        return call.gallery.subtree(album_id) if album_id else list(albums.values())
    wanted = album_id or None
    return [a for a in albums.values() if wanted in {a.parent, a.id}]


def _ordered(albums: Iterable[Album]) -> list[Album]:
    return sorted(albums, key=lambda a: a.order)


def _count(call: Call, album: Album, *, below: bool) -> int:
    albums = call.gallery.subtree(album.id) if below else [album]
    if call.user.is_admin:
        return sum(call.gallery.count_in(a.id) for a in albums)
    photos = [p for a in albums for p in call.gallery.photos_in(a.id)]
    return sum(p.level <= call.level for p in photos)


def _comment(call: Call, album: Album) -> str:
    comment = album.comment or ""
    return comment if call.release.major >= 16 else php.strip_tags(comment)


def _listed(call: Call, album: Album) -> dict[str, object]:
    gallery, major = call.gallery, call.release.major
    dates = [
        max((p.date_available for p in gallery.photos_in(a.id)), default="")
        for a in [album, *gallery.subtree(album.id)]
    ]
    name = php.strip_tags(album.name)
    if call.params["fullname"]:
        name = php.strip_tags(gallery.fullname(album))
    face = gallery.photos.get(album.representative or 0)
    row: dict[str, object] = {
        "id": album.id,
        "name": name,
        "comment": _comment(call, album),
        "permalink": None,
        "status": album.status,
        "uppercats": album.uppercats,
        "global_rank": album.global_rank,
        "id_uppercat": str(album.parent) if album.parent else None,
        "nb_images": _count(call, album, below=False),
        "total_nb_images": _count(call, album, below=True),
        "representative_picture_id": str(face.id) if face else None,
        "date_last": dates[0] or None,
        "max_date_last": max(dates) or None,
        "nb_categories": len(gallery.subtree(album.id)) - 1,
        "url": f"{call.base}index.php?/category/{album.id}",
    }
    row |= {"image_order": album.image_order or _ORDER} if major >= 14 else {}
    row |= {"tn_url": thumbnail(call, face, size="th")} if face else {}
    if major >= 16:
        row |= {"comment_raw": album.comment}
        row |= {} if call.params["fullname"] else {"name_raw": album.name}
    return row


async def _get_admin_list(call: Call) -> dict[str, object]:
    gallery, major = call.gallery, call.release.major
    recursive = major < 15 or bool(call.params["recursive"])
    album_id = call.number("cat_id") if major >= 15 else 0
    search = call.text("search").lower()
    rows = []
    for album in _ordered(_chosen(call, album_id, recursive=recursive)):
        if search not in album.name.lower():
            continue
        count = gallery.count_in(album.id)
        row: dict[str, object] = {
            "id": str(album.id),
            "name": php.strip_tags(album.name),
            "comment": _comment(call, album),
            "uppercats": album.uppercats,
            "global_rank": album.global_rank,
            "dir": None,
            "status": album.status,
            "nb_images": str(count) if count else 0,
            "fullname": php.strip_tags("\n" + gallery.fullname(album, separator=" / \n")),
        }
        row |= {"image_order": album.image_order or _ORDER} if major >= 14 else {}
        row |= {"name_raw": album.name, "comment_raw": album.comment} if major >= 16 else {}
        if not recursive:
            row["nb_categories"] = sum(a.parent == album.id for a in gallery.albums.values())
        rows.append(row)
    return {"categories": rows, "limit": _LIMIT, "limit_reached": len(rows) > _LIMIT}


async def _get_images(call: Call) -> dict[str, object]:
    gallery, major = call.gallery, call.release.major
    asked = call.numbers("cat_id")
    if unknown := [i for i in asked if i not in gallery.albums]:
        raise Refusal(404, f"cat_id {{{','.join(map(str, unknown))}}} not found")
    recursive = bool(call.params["recursive"])
    albums = {a.id for i in asked for a in _chosen(call, i, recursive=recursive)}
    if not recursive:
        albums &= set(asked)
    if not asked:
        albums = set(gallery.albums)
    albums = {i for i in albums if gallery.may_see(gallery.albums[i], call.user.id)}
    shown = {p.id: p for a in albums for p in gallery.photos_in(a) if p.level <= call.level}
    photos = list(shown.values())
    if (order := call.text("order")) == "random":
        secrets.SystemRandom().shuffle(photos)
    elif order:
        photos.sort(key=lambda p: p.id, reverse=order.lower().endswith(" desc"))
    elif len(asked) == 1 and gallery.albums[asked[0]].image_order == _BY_RANK:
        photos.sort(key=lambda p: gallery.ranks.get((asked[0], p.id), 0))
    else:
        photos.sort(key=lambda p: (p.file, p.id))
        photos.sort(key=lambda p: p.date_available, reverse=True)
    page, per_page = call.number("page"), call.number("per_page")
    part = photos[page * per_page :][:per_page]
    total = len(photos) if major >= 15 else str(len(photos))
    return {
        "paging": {"page": page, "per_page": per_page, "count": len(part), "total_count": total},
        "images": [
            {
                "is_favorite": False,
                "id": photo.id,
                "width": photo.width,
                "height": photo.height,
                "hit": 0,
                "file": photo.file,
                "name": photo.name,
                "comment": photo.comment,
                "date_creation": photo.date_creation,
                "date_available": photo.date_available,
                **photo_urls(call, photo),
                "categories": [
                    {
                        "id": i,
                        "url": f"{call.base}index.php?/category/{i}",
                        "page_url": f"{call.base}picture.php?/{photo.id}/category/{i}",
                    }
                    for i in sorted(photo.albums)
                ],
            }
            for photo in part
        ],
    }


async def _set_representative(call: Call) -> None:
    album = call.gallery.albums.get(call.number("category_id"))
    if album is None:
        raise Refusal(404, "category_id not found")
    if call.number("image_id") not in call.gallery.photos:
        raise Refusal(404, "image_id not found")
    album.representative = call.number("image_id")


async def _set_rank(call: Call) -> dict[str, object]:
    """Rank a list of photos from 1 on, whether in the album or not, or a single one."""
    gallery, album = call.gallery, call.number("category_id")
    ids = call.numbers("image_id")
    if len(ids) > 1:
        for rank, photo_id in enumerate(ids, start=1):
            if album in getattr(gallery.photos.get(photo_id), "albums", ()):
                gallery.rank(photo_id, album, rank)
        ranked = sorted(
            gallery.photos_in(album), key=lambda p: gallery.ranks.get((album, p.id), 0)
        )
        return {"image_id": [str(photo.id) for photo in ranked], "category_id": album}
    if not call.params["rank"]:
        raise Refusal(1002, "rank is missing")
    if ids[0] not in gallery.photos:
        raise Refusal(404, "image_id not found")
    if album not in gallery.photos[ids[0]].albums:
        raise Refusal(404, "This image is not associated to this category")
    ranks = {
        p.id: gallery.ranks[album, p.id]
        for p in gallery.photos_in(album)
        if (album, p.id) in gallery.ranks
    }
    rank = min(call.number("rank"), max(ranks.values()) + 1) if ranks else 1
    for photo_id, other in ranks.items():
        if other >= rank:
            gallery.rank(photo_id, album, other + 1)
    gallery.rank(ids[0], album, rank)
    return {"image_id": ids[0], "category_id": album, "rank": rank}


async def _set_album_rank(call: Call) -> None:
    ids, gallery = call.numbers("category_id"), call.gallery
    known = sorted(gallery.albums.keys() & set(ids))
    if not known:
        raise Refusal(404, "category_id not found")
    parent = gallery.albums[known[0]].parent
    siblings = [a.id for a in _ordered(gallery.albums.values()) if a.parent == parent]
    if len(ids) > 1:
        if sorted(ids) != sorted(siblings):
            raise Refusal(1003, "you need to provide all sub-category ids for a given category")
        siblings = ids
    else:
        siblings.remove(ids[0])
        place = call.number("rank") if call.params["rank"] else len(siblings) + 1
        siblings.insert(place - 1, ids[0])
    gallery.order_albums(siblings)


async def _create_search(call: Call) -> dict[str, object]:
    """Create a search; which photos it finds is a matter of its page alone."""
    if any(i not in call.gallery.albums for i in call.numbers("categories")):
        raise Refusal(1003, "Invalid parameter categories")
    number = f"psk-{call.gallery.release.major}-{secrets.token_hex(5)}"
    return {"search_id": number, "search_url": f"{call.base}index.php?/search/{number}"}


def album_methods(release: Release) -> dict[str, Method]:
    """Return these methods by name."""
    add = dict.fromkeys(("comment", "status", "position", "pwg_token"), TEXT) | {
        "name": REQUIRED,
        "parent": Param("int positive"),
    }
    info = {"category_id": ID, "name": TEXT, "pwg_token": TEXT}
    get = dict.fromkeys(("recursive", "tree_output", "fullname"), SWITCH) | {
        "cat_id": Param("int positive"),
        "search": TEXT,
    }
    admin = {
        "cat_id": Param("int positive"),
        "recursive": Param("bool", default=True),
        "search": TEXT,
    }
    if release.major < 15:
        admin = {"search": TEXT}
    images = {
        "cat_id": Param("int positive", force=True),
        "recursive": SWITCH,
        "per_page": Param("int positive", default=100, max=500),
        "page": Param("int positive", default=0),
        "order": TEXT,
    }
    delete = {"category_id": Param(optional=False, array=True), "pwg_token": REQUIRED}
    rank = {
        "image_id": Param("int positive notnull", optional=False, force=True),
        "category_id": Param("int positive notnull", optional=False),
        "rank": ID,
    }
    order = {"category_id": Param("int positive notnull", force=True), "rank": ID}
    face = dict.fromkeys(
        ("category_id", "image_id"), Param("int positive notnull", optional=False)
    )
    posted = "date_posted" if release.major < 15 else "date_posted_preset"
    search = {"categories": Param("int positive notnull", force=True), posted: TEXT}
    return {
        "pwg.images.setRank": Method(_set_rank, rank, admin=True, post=True),
        "pwg.images.filteredSearch.create": Method(_create_search, search),
        "pwg.categories.setRepresentative": Method(
            _set_representative, face, admin=True, post=True
        ),
        "pwg.categories.setRank": Method(_set_album_rank, order, admin=True, post=True),
        "pwg.categories.add": Method(_add, add, admin=True),
        "pwg.categories.setInfo": Method(_set_info, info, admin=True, post=True),
        "pwg.categories.delete": Method(_delete, delete, admin=True, post=True),
        "pwg.categories.getList": Method(_get_list, get),
        "pwg.categories.getAdminList": Method(_get_admin_list, admin, admin=True),
        "pwg.categories.getImages": Method(_get_images, images),
    }


# tags

_SAME = str.maketrans("ßı", "si")
_SHORT_I = "и\u0306"


async def _add_tag(call: Call) -> dict[str, object]:
    name = call.text("name")
    if call.release.major >= 14:
        name = php.strip_tags(name)
    if any(_compared(tag.name) == _compared(name) for tag in call.gallery.tags.values()):
        raise Refusal(1003, f'Tag "{name}" already exists')
    tag = call.gallery.add_tag(name, url_name=php.url_name(name))
    return {
        "info": f'Tag "{name}" has been added',
        "id": tag.id,
        "name": tag.name,
        "url_name": tag.url_name,
    }


def _compared(text: str) -> str:
    """Return what the database compares (utf8_general_ci): no case, few accents."""
    letters = unicodedata.normalize("NFD", text.lower().translate(_SAME)).replace(_SHORT_I, "й")
    return "".join(c for c in letters if not "\u0300" <= c <= "\u036f").rstrip()


async def _get_admin_tags(call: Call) -> dict[str, object]:
    tags = []
    for tag in sorted(call.gallery.tags.values(), key=lambda t: t.name.lower()):
        row = {
            "id": str(tag.id),
            "name": tag.name,
            "url_name": tag.url_name,
            "lastmodified": tag.lastmodified,
        }
        tags.append(row | ({"name_raw": tag.name} if call.release.major >= 16 else {}))
    return {"tags": tags}


async def _get_tags(call: Call) -> dict[str, object]:
    used = [
        (tag, sum(tag.id in p.tags for p in call.gallery.photos.values()))
        for tag in call.gallery.tags.values()
    ]
    key = (lambda u: -u[1]) if call.params["sort_by_counter"] else (lambda u: u[0].name.lower())
    rows = [
        tag_row(call, tag) | {"counter": count} for tag, count in sorted(used, key=key) if count
    ]
    return {"tags": rows}


async def _delete_tags(call: Call) -> dict[str, object]:
    call.check_token()
    ids = call.numbers("tag_id")
    if not set(ids) <= call.gallery.tags.keys():
        raise Refusal(1003, "All tags does not exist.")
    for tag_id in ids:
        del call.gallery.tags[tag_id]
    return {"id": ids}


_TAG_IDS = Param("int positive notnull", optional=False, force=True)
TAG_METHODS = {
    "pwg.tags.add": Method(_add_tag, {"name": REQUIRED}, admin=True),
    "pwg.tags.getAdminList": Method(_get_admin_tags, admin=True),
    "pwg.tags.getList": Method(_get_tags, {"sort_by_counter": SWITCH}),
    "pwg.tags.delete": Method(
        _delete_tags, {"tag_id": _TAG_IDS, "pwg_token": REQUIRED}, admin=True
    ),
}
