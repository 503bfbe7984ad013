"""Metadata inside photo files, merged from their XMP, IPTC and EXIF data."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bulkup.source.embedded.iptc import FULL, IptcData, read_iptc
from bulkup.source.embedded.packets import FileType, find_packets
from bulkup.source.files import OpenFile
from bulkup.source.metadata import Iptc, Metadata
from bulkup.source.xmp import read_xmp

DATED: Final = frozenset({FileType.JPEG, FileType.TIFF})
"""Types of files whose EXIF date and position galleries read themselves, as PHP does."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The metadata inside a photo file, and why some of its XMP data can't be used."""

    metadata: Metadata = field(default_factory=Metadata)
    reasons: Sequence[str] = ()


def read_embedded(file: OpenFile) -> Embedded:
    """Return the metadata inside a photo file; nothing if it is of an unknown type.

    XMP takes precedence over IPTC, and both over EXIF, except for the date. Raises as reading the
    file does.
    """
    packets = find_packets(file)
    if packets is None:
        return Embedded()
    xmp, reasons = Metadata(), []
    for document in packets.xmp:
        try:
            xmp = xmp.over(read_xmp(document))
        except ValueError as error:
            reasons.append(str(error))
    iptc = read_iptc(packets.iptc)
    exif = packets.exif
    by_gallery = packets.type in DATED
    metadata = xmp.over(_without_doubles(iptc, xmp)).over(Metadata(title=iptc.headline))
    read_itself = exif.date if by_gallery else None
    return Embedded(
        replace(
            metadata,
            date=None if read_itself else exif.date or metadata.date,
            exif_date=read_itself,
            author=metadata.author or exif.author,
            rating=metadata.rating or exif.rating,
            position=exif.position or metadata.position,
            exif_position=by_gallery and exif.position is not None,
            iptc=_read_by_galleries(iptc) if packets.type is FileType.JPEG else None,
        ),
        reasons,
    )


def _without_doubles(iptc: IptcData, xmp: Metadata) -> Metadata:
    """Return the IPTC data without worse copies of keywords that XMP has too.

    Programs write both. Those of IPTC may be truncated, or in an unknown encoding.
    """
    if not xmp.tags:
        return iptc.metadata
    kept = [
        tag
        for tag in iptc.metadata.tags
        if (iptc.certain or tag.isascii())
        and not (len(tag.encode()) >= FULL - 3 and any(full.startswith(tag) for full in xmp.tags))
    ]
    return replace(iptc.metadata, tags=tuple(kept))


def _read_by_galleries(iptc: IptcData) -> Iptc | None:
    found = Iptc(
        title=iptc.metadata.title,
        description=iptc.metadata.description,
        keywords=iptc.metadata.tags,
        dated=iptc.metadata.date is not None,
    )
    return found if found != Iptc() else None
