"""Writers of photos, of their EXIF block, and of the sidecars beside them."""

import hashlib
import json
import os
import struct
from collections.abc import Collection
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

from bulkup.source.takeout.sidecars import Album, TakeoutAlbums
from tests.support.runs import picture

_XMP = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/">
<dc:title>{title}</dc:title><dc:description>{description}</dc:description>
<dc:creator>{author}</dc:creator><exif:DateTimeOriginal>{date}</exif:DateTimeOriginal>
<dc:subject><rdf:Bag>{tags}</rdf:Bag></dc:subject>
<lr:hierarchicalSubject><rdf:Bag>{paths}</rdf:Bag></lr:hierarchicalSubject>
</rdf:Description></rdf:RDF>"""


def write_photo(
    path: Path, seed: int | str, *, size: int = 3000, exif: str = "", tail: bytes = b""
) -> str:
    """Write a photo whose content depends on the seed, and return its MD5."""
    content = picture(Random(seed), size=size) + tail
    if exif:
        content = with_exif(content, exif.encode() + b"\0")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.md5(content).hexdigest()


def write_files(folder: Path, *names: str) -> dict[str, bytes]:
    """Write a file of its own content at each path: a photo, if it has the extension of one."""
    contents = {}
    for name in names:
        chance, path = Random(os.fsencode(name)), folder / name
        photo = name.lower().endswith((".jpg", ".jpeg", ".png"))
        contents[name] = picture(chance, size=900) if photo else chance.randbytes(9000)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[name])
    return contents


def files_in(folder: Path) -> set[str]:
    """Return the paths of all files in a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def with_exif(jpeg: bytes, date: bytes) -> bytes:
    """Put an EXIF block with DateTimeOriginal alone into a JPEG."""
    tiff = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    tiff += struct.pack(">HHHIII", 1, 0x9003, 2, len(date), 44, 0) + date
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def write_xmp(
    photo: Path, *tags: str, paths: Collection[str] = (), name: str = "", **texts: str
) -> None:
    """Write an XMP sidecar beside a photo, as `name` or its own name and `.xmp`.

    `texts` may be title, description, author and date; `paths` are hierarchical tags.
    """
    filled = dict.fromkeys(("title", "description", "author", "date"), "") | texts
    escaped = {key: escape(text) for key, text in filled.items()}
    for key, items in (("tags", tags), ("paths", paths)):
        escaped[key] = "".join(f"<rdf:li>{escape(item)}</rdf:li>" for item in items)
    file = photo.with_name(name or f"{photo.name}.xmp")
    file.write_text(_XMP.format(**escaped), encoding="utf-8")


_POSITION = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="{latitude}"
 exif:GPSLongitude="{longitude}"/></rdf:RDF>"""


def write_position(photo: Path, latitude: str, longitude: str) -> None:
    """Write an XMP sidecar with a position, such as `45,24N`."""
    sidecar = photo.with_name(f"{photo.name}.xmp")
    sidecar.write_text(_POSITION.format(latitude=latitude, longitude=longitude), encoding="utf-8")


def write_takeout(
    photo: Path, *, stamp: int, title: str = "", description: str = "", name: str = ""
) -> None:
    """Write the sidecar of Google Takeout beside a photo."""
    document = {
        "title": title or photo.name,
        "description": description,
        "photoTakenTime": {"timestamp": str(stamp)},
    }
    file = photo.with_name(name or f"{photo.name}.json")
    file.write_text(json.dumps(document), encoding="utf-8")


def takeout_album(folder: Path) -> Album | None:
    """Return the Takeout album of a folder as it is now."""
    return TakeoutAlbums()(folder)


def write_album_title(
    folder: Path, title: str, description: str = "", *, name: str = "metadata.json"
) -> None:
    """Write the file in which Google Takeout gives the title of a folder's album."""
    document = {"title": title, "description": description, "access": "protected"}
    (folder / name).write_text(json.dumps(document), "utf-8")
