"""Metadata of photos: that of their sidecars and of the files, merged with the labels."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.errors import PhotoError
from bulkup.events import Emit
from bulkup.source.embedded import Embedded, read_embedded
from bulkup.source.exports import Exports, ignored
from bulkup.source.files import LARGEST_SIDECAR, FolderCache, opened, read_file
from bulkup.source.metadata import Labels, Metadata, Moment
from bulkup.source.name_dates import date_in_name
from bulkup.source.photos import Photo
from bulkup.source.takeout.names import FolderNames
from bulkup.source.takeout.sidecars import read_takeout
from bulkup.source.xmp import read_xmp

TagAlbum = tuple[str, tuple[str, ...]]
"""A tag, and the path of the album of all photos that have it."""

FOLDERS: Final = 8
"""Folders whose listings are kept: those of the photos in flight, which are few if large."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Metadata that can't be used, and why: a sidecar, or with another `kind` part of a photo."""

    path: Path
    reason: str
    kind: str = "sidecar"


class Sidecars:
    """Reads the sidecars of photos; a folder is listed again only when it has changed.

    Photos in one of several zip archives, the `parts` of one tree, have their sidecars in any of
    them. UTC times are converted to `zone`, by default the local one. What `exports` say of a
    photo has lower priority.
    """

    def __init__(
        self,
        *,
        parts: Sequence[Path] = (),
        zone: tzinfo | None = None,
        exports: Exports | None = None,
    ) -> None:
        self._zone = zone
        self._names = FolderCache(FolderNames, parts=parts, most=FOLDERS)
        self._exports = exports or Exports(parts=parts, zone=zone)

    def read(self, photo: Path) -> tuple[Metadata, list[Unusable]]:
        """Return the metadata from a photo's sidecars, and the sidecars that can't be used."""
        try:
            names = self._names.of(photo.parent)
        except OSError:
            return Metadata(), []
        metadata = Metadata()
        unusable = []
        for path in beside(photo.name, names):
            try:
                more = _read(path, photo=photo.name, zone=self._zone)
            except OSError as error:
                unusable.append(Unusable(path, error.strerror or str(error)))
            except ValueError as error:
                unusable.append(Unusable(path, str(error)))
            else:
                metadata = metadata.over(more)
        metadata = metadata.over(self._exports.metadata(photo))
        unusable += [Unusable(*problem) for problem in self._exports.take_problems()]
        return metadata, unusable


def beside(photo: str, names: FolderNames) -> Iterator[Path]:
    """Yield the sidecars of a photo in this folder: at most one XMP file, then one of Takeout.

    `photo.jpg.xmp` takes precedence over `photo.xmp`, which may belong to a RAW file.
    """
    normal = unicodedata.normalize("NFC", photo)
    stem = normal.rpartition(".")[0] or normal
    for name in (f"{normal}.xmp", f"{stem}.xmp"):
        if name in names.sidecars:
            yield names.sidecars[name]
            break
    if found := names.json_of(photo):
        yield names.sidecars[found[0]]


def _read(path: Path, *, photo: str, zone: tzinfo | None) -> Metadata:
    """Parse a sidecar. Raises `OSError`, or `ValueError` with a reason for the user."""
    data = read_file(path, limit=LARGEST_SIDECAR)
    if path.suffix.lower() == ".xmp":
        return read_xmp(data)
    return read_takeout(data, photo=photo, zone=zone) or Metadata()


class Describer:
    """Returns the metadata of each photo of a run, with times in `zone`, by default the local one.

    `folder` returns the folder's original path if the photo is a copy elsewhere; `parts` are the
    zip archives of one tree, `exports` what exports say of their photos. `stated` returns what
    the user says of a photo elsewhere, such as in a table; it takes precedence over sidecars, and
    may read files.
    """

    def __init__(
        self,
        labels: Labels,
        *,
        emit: Emit,
        folder: Callable[[Path], str | None] = lambda _: None,
        parts: Sequence[Path] = (),
        stated: Callable[[Path], Metadata | None] = lambda _: None,
        zone: tzinfo | None = None,
        exports: Exports | None = None,
    ) -> None:
        self._labels = labels
        self._stated = stated
        self._folder = folder
        self._zone = zone
        self._emit = emit
        self._sidecars = (
            Sidecars(parts=parts, zone=zone, exports=exports) if labels.sidecars else None
        )
        self._reported: set[Path] = set()

    async def __call__(self, photo: Photo) -> Metadata:
        """Return the photo's metadata; report each file that can't be used once, as a notice."""
        metadata, unusable = await to_thread.run_sync(self._describe, photo)
        for item in unusable:
            if item.path not in self._reported:
                self._reported.add(item.path)
                self._emit(ignored(item.path, item.reason, kind=item.kind))
        return metadata

    def tags(self, photo: Path) -> tuple[str, ...]:
        """Return a photo's tags, and the paths of hierarchical ones. Call it in a thread."""
        metadata, _ = self._describe(Photo(photo, size=0, mtime_ns=0))
        return (*metadata.tags, *("/".join(path) for path in metadata.keyword_paths))

    def _describe(self, photo: Photo) -> tuple[Metadata, list[Unusable]]:
        found, unusable = Metadata(), list[Unusable]()
        if self._sidecars is not None:
            found, unusable = self._sidecars.read(photo.path)
        if (stated := self._stated(photo.path)) is not None:
            found = stated.over(found)
        if self._labels.embedded:
            embedded = _embedded(photo.path)
            found = found.over(embedded.metadata)
            unusable += [Unusable(photo.path, why, "XMP data in") for why in embedded.reasons]
        if self._labels.date_from_name and found.date is None:
            found = replace(found, date=self._date_in_name(photo.path, found))
        path = photo.path.absolute()
        if (folder := self._folder(photo.path)) is not None:
            path = Path(folder, path.name)
        metadata = self._labels.apply(
            found,
            path=path,
            modified=datetime.fromtimestamp(photo.mtime_ns // 10**9, UTC).astimezone(self._zone),
        )
        if (metadata.tags or metadata.position) and not self._labels.embedded:
            # the gallery may read keywords from the file, which these tags must not replace, and
            # reads its position
            read = _embedded(photo.path).metadata
            iptc = read.iptc if metadata.tags else None
            metadata = replace(metadata, iptc=iptc, exif_position=read.exif_position)
        return metadata, unusable

    def _date_in_name(self, photo: Path, found: Metadata) -> Moment | None:
        """Return the date in a photo's name, None if there is one in the photo."""
        date = date_in_name(photo.name, zone=self._zone)
        if date is not None and not self._labels.embedded:
            found = _embedded(photo).metadata
        return None if found.exif_date or found.date else date


class TagAlbums:
    """Returns the albums of photos by their tags; `rules` are tags and paths of albums."""

    def __init__(self, rules: Sequence[TagAlbum], *, describer: Describer) -> None:
        self._rules = rules
        self._describer = describer

    def __call__(self, photo: Path) -> list[tuple[str, ...]]:
        """Return the albums of a photo, as paths of names. Reads files: call in a thread."""
        tags = {tag.casefold() for tag in self._describer.tags(photo)}
        return [album for tag, album in self._rules if tag.casefold() in tags]


def _embedded(photo: Path) -> Embedded:
    try:
        with opened(photo) as file:
            return read_embedded(file)
    except PhotoError:
        return Embedded()  # reading the photo will report the error
