"""What the metadata inside a photo costs: JPEGs with EXIF, IPTC and XMP data as of Lightroom.

They are hashed first, as in a run, and then described, in the threads of a run: the processor time
of describing counts.
"""

import struct
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from archive import HEAD
from frame import Figure, main

from bulkup.source.metadata import Labels
from bulkup.source.photos import Photo, fingerprint
from bulkup.source.sidecars import Describer

COUNT = 10_000
SIZE = 30_000
AT_ONCE = 8
MOST_MS = 2.0
SETTINGS = 150
"""Develop settings in the XMP document; Lightroom writes about as many."""

KEYWORDS = ("sea", "Saint-Malo", "France", "evening", "Plage de l'Éventail")
XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
 xmp:Rating="4" exif:DateTimeOriginal="2021-08-14T18:03:27.45" exif:GPSLatitude="48,38.9N"
 exif:GPSLongitude="2,1.5W" {settings}>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Photo {number}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>Zoë Müller</rdf:li></rdf:Seq></dc:creator>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">First evening.</rdf:li></rdf:Alt>
</dc:description><dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>
<lr:hierarchicalSubject><rdf:Bag>{paths}</rdf:Bag></lr:hierarchicalSubject>
<crs:ToneCurvePV2012><rdf:Seq>{curve}</rdf:Seq></crs:ToneCurvePV2012>
</rdf:Description></rdf:RDF></x:xmpmeta>{padding}<?xpacket end="w"?>"""


def photo(number: int) -> bytes:
    """Return a JPEG with metadata; number and padding make its content its own."""
    document = XMP.format(
        number=number,
        settings=" ".join(f'crs:Setting{n}="{n / 7:+.2f}"' for n in range(SETTINGS)),
        keywords="".join(f"<rdf:li>{word}</rdf:li>" for word in KEYWORDS),
        paths="".join(f"<rdf:li>Places|Europe|{word}</rdf:li>" for word in KEYWORDS),
        curve="".join(f"<rdf:li>{n}, {n}</rdf:li>" for n in range(0, 256, 16)),
        padding=" " * 2048,
    )
    texts = [(5, f"Photo {number}"), (120, "First evening."), *((25, word) for word in KEYWORDS)]
    iptc = struct.pack(">BBBH3s", 0x1C, 1, 90, 3, b"\x1b%G") + b"".join(
        struct.pack(">BBBH", 0x1C, 2, name, len(text.encode())) + text.encode()
        for name, text in texts
    )
    resources = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc
    date = b"2021:08:14 18:03:27\0"
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    exif += struct.pack(">HHHIII", 1, 0x9003, 2, len(date), 44, 0) + date
    head = HEAD[:2] + _segment(0xE1, exif) + _segment(0xED, resources)
    head += _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + document.encode()) + HEAD[2:]
    return head + bytes(SIZE - len(head))


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


async def figures() -> AsyncIterator[Figure]:
    """Hash the photos, then describe them."""
    with tempfile.TemporaryDirectory(prefix="bulkup-") as folder:
        photos = await anyio.to_thread.run_sync(_write, Path(folder))
        for each in photos:
            await fingerprint(each)
        described = 0
        describe = Describer(Labels(), emit=lambda _: None)
        queue = iter(photos)

        async def lane() -> None:
            nonlocal described
            for each in queue:
                metadata = await describe(each)
                described += metadata.tags == KEYWORDS

        began, cpu_began = time.monotonic(), time.process_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(lane)
        cost_ms = (time.process_time() - cpu_began) / COUNT * 1000
        seconds = time.monotonic() - began
    if described != COUNT:
        raise RuntimeError(f"only {described} photos were described")
    yield Figure(
        f"metadata inside photos ({COUNT:,} JPEGs of Lightroom), processor time of each",
        f"≤ {MOST_MS} ms",
        f"{cost_ms:.2f} ms ({COUNT / seconds:,.0f} photos/s)",
        cost_ms <= MOST_MS,
    )


def _write(folder: Path) -> list[Photo]:
    photos = []
    for number in range(COUNT):
        path = folder / f"IMG_{number:05}.jpg"
        path.write_bytes(photo(number))
        status = path.stat()
        photos.append(Photo(path, status.st_size, status.st_mtime_ns))
    return photos


if __name__ == "__main__":
    main(figures, about=__doc__)
