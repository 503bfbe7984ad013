"""Photos on disk, what cameras write into them, and the sidecars beside them."""

import hashlib
import json
import os
import struct
from pathlib import Path
from random import Random

from tests.support.runs import picture

_XMP = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/">
<dc:title>{title}</dc:title><dc:description>{description}</dc:description>
<dc:creator>{author}</dc:creator><exif:DateTimeOriginal>{date}</exif:DateTimeOriginal>
<dc:subject><rdf:Bag>{tags}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"""


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
    """Write a file of its own content at each path; those of other endings are no photos."""
    contents = {}
    for name in names:
        chance, path = Random(os.fsencode(name)), folder / name
        photo = name.lower().endswith((".jpg", ".jpeg", ".png"))
        contents[name] = picture(chance, size=900) if photo else chance.randbytes(9000)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[name])
    return contents


def files_in(folder: Path) -> set[str]:
    """Return the paths of all files in a folder, from there."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def with_exif(jpeg: bytes, date: bytes) -> bytes:
    """Put an EXIF block of nothing but DateTimeOriginal into a JPEG."""
    tiff = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    tiff += struct.pack(">HHHIII", 1, 0x9003, 2, len(date), 44, 0) + date
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def write_xmp(photo: Path, *tags: str, **texts: str) -> None:
    """Write an XMP sidecar; `texts` may be title, description, author and date."""

    def escaped(text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;")

    fields = dict.fromkeys(("title", "description", "author", "date"), "") | texts
    filled = _XMP.format(
        tags="".join(f"<rdf:li>{escaped(tag)}</rdf:li>" for tag in tags),
        **{name: escaped(value) for name, value in fields.items()},
    )
    photo.with_name(f"{photo.name}.xmp").write_text(filled, encoding="utf-8")


def write_takeout(photo: Path, *, stamp: int, description: str = "") -> None:
    """Write the sidecar that Google Takeout puts beside a photo."""
    document = {
        "title": photo.name,
        "description": description,
        "photoTakenTime": {"timestamp": str(stamp)},
    }
    photo.with_name(f"{photo.name}.json").write_text(json.dumps(document), encoding="utf-8")


def write_album_title(
    folder: Path, title: str, description: str = "", *, name: str = "metadata.json"
) -> None:
    """Write the file by which Google Takeout names the album of a folder."""
    told = {"title": title, "description": description, "access": "protected"}
    (folder / name).write_text(json.dumps(told), "utf-8")
