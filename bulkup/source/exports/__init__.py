"""Exports of other services and programs: metadata of photos that is not in sidecars."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from anyio import from_thread

from bulkup.events import Emit, Noticed
from bulkup.source.exports.files import AlbumPath, ExportFiles, Problem
from bulkup.source.exports.flickr import Flickr
from bulkup.source.exports.icloud import ICloud
from bulkup.source.exports.immich import Immich
from bulkup.source.exports.photoprism import PhotoPrism
from bulkup.source.exports.picasa import Picasa
from bulkup.source.files import folder_version
from bulkup.source.metadata import Metadata
from bulkup.source.takeout.sidecars import Album

FOLDERS: Final = 4096
TRUSTED_S: Final = 1.0
"""How long a folder is not looked at again for new files, in seconds."""


class Reader(Protocol):
    """Reads the exports of one service."""

    def recognizes(self, folder: Path) -> bool:
        """Return whether photos in a folder may belong to such an export."""

    def metadata(self, photo: Path) -> Metadata:
        """Return the metadata of a photo."""

    def albums(self, photo: Path) -> Iterable[AlbumPath]:
        """Return the albums of a photo, as paths of names."""


class Exports:
    """The metadata that exports have of photos; call it in worker threads.

    `parts` are the zip archives of one tree. Dates in UTC are converted to `zone`, by default the
    local one.
    """

    def __init__(self, *, parts: Sequence[Path] = (), zone: tzinfo | None = None) -> None:
        self._files = ExportFiles(parts)
        self._icloud = ICloud(self._files, zone=zone)
        self._immich = Immich(self._files, zone=zone)
        self._picasa = Picasa(self._files)
        self._readers: Sequence[tuple[str, Reader]] = (
            ("Flickr", Flickr(self._files)),
            ("iCloud", self._icloud),
            ("Immich", self._immich),
            ("Picasa", self._picasa),
            ("PhotoPrism", PhotoPrism(self._files, zone=zone)),
        )
        self._last: tuple[Path | None, Sequence[tuple[str, Reader]], float] = (None, (), 0.0)
        self._of = lru_cache(maxsize=FOLDERS)(self._find)

    def metadata(self, photo: Path) -> Metadata:
        """Return the metadata of a photo."""
        found = Metadata()
        for _, reader in self.readers_of(photo):
            found = found.over(reader.metadata(photo))
        return found

    def albums(self, photo: Path) -> Iterator[AlbumPath]:
        """Yield the albums of a photo, as paths of names."""
        for _, reader in self.readers_of(photo):
            yield from reader.albums(photo)

    def comment(self, album: AlbumPath) -> str:
        """Return the description of an album that `albums` has returned, empty for none."""
        return self._files.comments.get(album, "")

    def is_deleted(self, photo: Path) -> bool:
        """Return whether a photo was deleted, and is in the export all the same."""
        return self._icloud.is_deleted(photo) or self._immich.is_deleted(photo)

    def title(self, folder: Path) -> Album | None:
        """Return the title and description of a folder, None if it has none."""
        return self._picasa.title(folder)

    def take_problems(self) -> Iterator[Problem]:
        """Return the files that can't be used, and forget them."""
        return self._files.take_problems()

    def readers_of(self, photo: Path) -> Sequence[tuple[str, Reader]]:
        """Return the readers that recognize the folder of a photo, with their services' names."""
        folder, now = photo.parent, time.monotonic()
        last, readers, until = self._last  # most photos are in the folder of the one before
        if folder != last or now > until:
            try:
                readers = self._of(folder, folder_version(folder))
            except OSError:
                readers = ()
            self._last = folder, readers, now + TRUSTED_S
        return readers

    def _find(self, folder: Path, _version: object) -> Sequence[tuple[str, Reader]]:
        return [each for each in self._readers if each[1].recognizes(folder)]


class ExportAlbums:
    """Returns the albums of photos in exports; call it in worker threads started with anyio.

    Each file that can't be used is reported as a notice.
    """

    def __init__(self, exports: Exports, *, emit: Emit) -> None:
        self._exports = exports
        self._emit = emit

    def __call__(self, photo: Path) -> Sequence[AlbumPath]:
        """Return the albums of a photo, as paths of names."""
        found = tuple(self._exports.albums(photo))
        for path, reason in self._exports.take_problems():
            from_thread.run_sync(self._emit, ignored(path, reason))
        return found


def ignored(path: Path, reason: str, *, kind: str = "sidecar") -> Noticed:
    """Return the notice of a file that can't be used."""
    return Noticed(
        message=f"the {kind} {path} is ignored: {reason}",
        hint="Its photos are uploaded without this metadata.",
    )
