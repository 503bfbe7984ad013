"""How a photo is told of in answers: its row, its addresses, its albums and tags."""

import secrets
import time

from bulkup.sandbox import php
from bulkup.sandbox.calls import Call
from bulkup.sandbox.records import StoredPhoto

# Name, suffix of the file, and the box that the picture is made to fit.
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
    """Give the addresses of a photo's page, its file and its smaller pictures."""
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
        as_told = int if call.release.major >= 16 else str
        url = call.base + photo.path
        return {"url": url, "width": as_told(own_width), "height": as_told(own_height)}
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
        "latitude": None,
        "longitude": None,
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
        {
            "id": tag.id,
            "name": tag.name,
            "url_name": tag.url_name,
            "lastmodified": tag.lastmodified,
            "url": f"{call.base}index.php?/tags/{tag.id}-{tag.url_name}",
            "page_url": f"{call.base}picture.php?/{photo.id}/tags/{tag.id}-{tag.url_name}",
        }
        for tag in sorted(tags, key=lambda t: t.name.lower())
    ]
