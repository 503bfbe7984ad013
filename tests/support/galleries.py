"""What a sandbox was asked and what it stores, and changes behind its back."""

import re
from collections import Counter
from dataclasses import replace

from bulkup.sandbox import Sandbox
from bulkup.sandbox.files import Content
from bulkup.sandbox.gallery import StoredPhoto

SENDING = {"pwg.images.upload", "pwg.images.uploadAsync", "pwg.images.addChunk", "pwg.images.add"}
CHANGING = re.compile(r"upload|add|set|delete|Lounge|Completed", re.IGNORECASE)

LISTING = {
    *("pwg.session.login", "pwg.session.getStatus", "pwg.session.logout"),
    *("reflection.getMethodList", "pwg.images.uploadCompleted", "pwg.categories.getImages"),
}
"""The calls of a run that looks up no MD5 and sends no photo."""


def calls(box: Sandbox, *, since: int = 0) -> Counter[str]:
    """Count the calls of each method, from a number of requests on."""
    return Counter(seen.method for seen in list(box.requests)[since:])


def changes(box: Sandbox, *, since: int = 0) -> Counter[str]:
    """Count the calls, from a number of requests on, that may have changed something."""
    asked = calls(box, since=since)
    return Counter({method: count for method, count in asked.items() if CHANGING.search(method)})


def uploads(box: Sandbox) -> int:
    """Count the requests so far that sent a part of a file."""
    return sum(count for method, count in calls(box).items() if method in SENDING)


def only_photo(box: Sandbox) -> StoredPhoto:
    """Return the only photo of the gallery."""
    (photo,) = box.gallery.photos.values()
    return photo


def photo_files(box: Sandbox) -> set[str]:
    """Return the file names of all photos."""
    return {photo.file for photo in box.gallery.photos.values()}


def photo_of(box: Sandbox, md5: str) -> int:
    """Return the id of the photo with this MD5."""
    photo = box.gallery.find(md5)
    assert photo is not None
    return photo.id


async def content_of(data: bytes) -> Content:
    """Return bytes as a stored file of the sandbox."""
    content = Content(in_memory=True)
    await content.append(data)
    content.seal()
    return content


async def spoil(box: Sandbox, photo_id: int) -> None:
    """Change the stored bytes of a photo behind the gallery's back."""
    old = box.gallery.content(photo_id)
    spoiled = await content_of(old[:-3] + bytes([old[-3] ^ 1]) + old[-2:])
    box.gallery.contents[box.gallery.photos[photo_id].path] = spoiled


def lock_out(box: Sandbox) -> None:
    """Give the administrator another password, and end all sessions."""
    box.expire_sessions()
    users = box._accounts.users
    users["admin"] = replace(users["admin"], password="another")


def tags_of(box: Sandbox, photo: StoredPhoto) -> set[str]:
    """Return the names of a photo's tags."""
    return {box.gallery.tags[number].name for number in photo.tags}


def albums_of(box: Sandbox) -> dict[str, list[str]]:
    """Return the path of each album with the files that it shows."""
    albums = box.gallery.albums
    paths = {
        number: "/".join(albums[above].name for above in album.path)
        for number, album in albums.items()
    }
    shown: dict[str, list[str]] = {path: [] for path in paths.values()}
    assert len(shown) == len(albums), "two albums of one name"
    for photo in box.gallery.photos.values():
        for number in photo.albums:
            shown[paths[number]].append(photo.file)
    return {path: sorted(files) for path, files in shown.items()}


def attached(box: Sandbox) -> dict[str, list[tuple[str, bytes]]]:
    """Return the formats of each photo, by its file name."""
    return {
        photo.file: sorted(
            (row.extension, row.content.read() if row.content else b"")
            for row in box.gallery.formats.of(photo.id)
        )
        for photo in box.gallery.photos.values()
    }
