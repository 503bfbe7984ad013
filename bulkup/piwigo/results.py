"""Pure: what the result of each of Piwigo's methods says, whatever odd shape it comes in.

Knows the results of single methods; whether there is one, `wire` has judged.
"""

import re
from dataclasses import dataclass

from bulkup.errors import NotOffered
from bulkup.failures import answers


def number(value: object) -> int:
    """Return the number of up to nine digits that stands there, as a number or a string, or 0."""
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


@dataclass(frozen=True, slots=True)
class Status:
    """What `pwg.session.getStatus` tells; `chunk_size` in bytes, `endings` in lower case.

    None, or empty, is what this server does not tell.
    """

    user: str
    rank: str
    token: str
    version: str
    chunk_size: int | None
    endings: frozenset[str] | None


def read_status(result: object) -> Status:
    """Return the status out of the answer to `pwg.session.getStatus`.

    Raises `NotOffered` where the answer is not of that form.
    """
    if not isinstance(result, dict):
        raise NotOffered(answers.SILENT(what="the status of its session"))
    chunk_kb = number(result.get("upload_form_chunk_size"))
    types = str(result.get("upload_file_types") or "")
    endings = frozenset(t.strip().lower() for t in types.split(",") if t.strip())
    return Status(
        user=str(result.get("username", "")),
        rank=str(result.get("status", "")),
        token=str(result.get("pwg_token", "")),
        version=str(result.get("version", "")),
        chunk_size=chunk_kb * 1024 or None,
        endings=endings or None,
    )


def read_methods(result: object) -> frozenset[str]:
    """Return the names out of the answer to `reflection.getMethodList`."""
    match result:
        case {"methods": [*names]}:
            return frozenset(str(name) for name in names)
    return frozenset()


def read_found(result: object) -> dict[str, int | None]:
    """Return the photo id, or None for 'absent', of each MD5 out of `pwg.images.exist`.

    An MD5 that the answer does not name is unknown: galleries that identify photos by file name
    answer an empty list (piwigo-api.md, section 4).
    """
    if not isinstance(result, dict):
        return {}
    return {str(md5): number(value) or None for md5, value in result.items()}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a photo is: the MD5 of its file, empty where it is not known; its privacy level.

    `file` is its file name in the gallery.
    """

    md5: str
    level: int
    file: str


def read_identity(result: object) -> Identity:
    """Return what `pwg.images.getInfo` tells of a photo.

    Raises `NotOffered` where the answer is not of that form.
    """
    match result:
        case {"id": _, **rest}:
            return Identity(
                str(rest.get("md5sum") or ""),
                number(rest.get("level")),
                str(rest.get("file") or ""),
            )
    raise NotOffered(answers.SILENT(what="what it knows of its photos"))


def read_has_format(result: object, photo_id: int) -> bool | None:
    """Tell whether `pwg.images.formats.searchImage` found the format with this photo.

    None where it does not tell of this photo.
    """
    match result:
        case {"format": {"status": "found", "image_id": found, "format_exist": bool(there)}}:
            return there if number(found) == photo_id else None
    return None


def read_formats(result: object, photo_id: int) -> frozenset[str] | None:
    """Return the endings of those formats that `pwg.images.formats.searchImage` found.

    Its keys are endings. None where it does not tell of this photo, or not of every format.
    """
    if not isinstance(result, dict):
        return None
    endings = set()
    told = False
    for ending, row in result.items():
        match row:
            case {"status": "found", "image_id": found, "format_exist": bool(there)}:
                if number(found) != photo_id:
                    return None
                told = True
                endings |= {str(ending)} if there else set()
            case {"status": "not found"}:
                continue  # the gallery takes no such formats
            case _:
                return None
    return frozenset(endings) if told else None


def read_checked(result: object) -> bool | None:
    """Return whether the file has the MD5, out of `pwg.images.checkFiles`; None: not told."""
    match result:
        case {"file": "equals"}:
            return True
        case {"file": "differs"}:
            return False
    return None


def read_members(result: object) -> tuple[list[tuple[int, str]], int]:
    """Return id and file name of each photo on a page of `pwg.categories.getImages`.

    And how many a page may hold, which the gallery's configuration may bound; 0 if not told.
    """
    match result:
        case {"images": [*images], **rest}:
            paging = rest.get("paging")
            per_page = number(paging.get("per_page")) if isinstance(paging, dict) else 0
            return [
                (number(image.get("id")), str(image.get("file", "")))
                for image in images
                if isinstance(image, dict)
            ], per_page
    raise NotOffered(answers.SILENT(what="the photos of an album"))


def read_tags(result: object) -> list[tuple[str, int]]:
    """Return name and id of each tag out of `pwg.tags.getAdminList`."""
    match result:
        case {"tags": [*tags]}:
            return [
                (str(tag.get("name_raw") or tag.get("name", "")), tag_id)
                for tag in tags
                if isinstance(tag, dict) and (tag_id := number(tag.get("id")))
            ]
    return []


def read_tag_id(result: object) -> int | None:
    """Return the id of the tag that `pwg.tags.add` has made, None if it names none."""
    return number(result.get("id")) or None if isinstance(result, dict) else None


def read_held(result: object) -> frozenset[int]:
    """Return which chunks, from 0 on, the server holds by the answer of `uploadAsync`."""
    match result:
        case {"message": str(message)} if message.startswith("chunks uploaded"):
            return frozenset(int(number) - 1 for number in re.findall(r"\d+", message))
    return frozenset()


def image_id(result: object) -> int | None:
    """Return the id of the photo that the answer to a last chunk names, if it names one.

    Ids come as numbers and as strings; 0 is none (piwigo-api.md, sections 1 and 6).
    """
    match result:
        case {"image_id": value} | {"id": value}:
            return number(value) or None
    return None


@dataclass(frozen=True, slots=True)
class AlbumRow:
    """An album in the list for administrators; `parent` 0: at the top. `name` as it is listed."""

    album_id: int
    name: str
    parent: int
    photos: int
    private: bool


def read_albums(result: object) -> list[AlbumRow]:
    """Return the albums out of `pwg.categories.getAdminList` or `pwg.categories.getList`.

    Raises `NotOffered` where the answer is not of that form.
    """
    match result:
        case {"categories": [*rows]}:
            return [_album(row) for row in rows if isinstance(row, dict)]
    raise NotOffered(answers.SILENT(what="its albums as a list"))


def _album(row: dict[str, object]) -> AlbumRow:
    path = str(row.get("uppercats", "")).split(",")
    return AlbumRow(
        album_id=number(row.get("id")),
        name=str(row.get("name_raw") or row.get("name") or ""),
        parent=number(path[-2]) if len(path) > 1 else 0,
        photos=number(row.get("nb_images")),
        private=row.get("status") == "private",
    )
