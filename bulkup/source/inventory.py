"""Counts for a dry run what exports, zip archives and a table contribute to the photos."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bulkup.events import SourceRead
from bulkup.source import zips
from bulkup.source.exports import Exports
from bulkup.source.exports.files import AlbumPath
from bulkup.source.metadata import Metadata
from bulkup.source.table import Table

TITLES_KEPT: Final = 10
ZIPS: Final = "zip archives"
TABLE: Final = "the table"


@dataclass(slots=True)
class _Counts:
    """What is known of a source."""

    photos: int = 0
    described: int = 0
    deleted: int = 0
    albums: dict[AlbumPath, None] = field(default_factory=dict)
    archives: set[Path] = field(default_factory=set)

    def add(self, metadata: Metadata, albums: Iterable[Sequence[str]]) -> None:
        """Count a photo."""
        paths = [tuple(path) for path in albums]
        self.photos += 1
        self.described += metadata != Metadata() or bool(paths)
        self.albums.update(dict.fromkeys(paths))


class Inventory:
    """Counts the photos of each source, and its metadata and albums for them; reads files.

    Without `exports` or a `table` there are none. `is_left_out` returns whether a photo is left
    out because an export says that it was deleted.
    """

    def __init__(
        self,
        *,
        exports: Exports | None,
        table: Table | None,
        is_left_out: Callable[[Path], bool],
    ) -> None:
        self._exports = exports
        self._table = table
        self._is_left_out = is_left_out
        self._counts: dict[str, _Counts] = {}

    def count(self, photo: Path) -> None:
        """Count a photo."""
        if (inside := zips.split(photo)) is not None:
            counts = self._of(ZIPS)
            counts.photos += 1
            counts.archives.add(inside[0])
        for name, reader in self._exports.readers_of(photo) if self._exports else ():
            self._of(name).add(reader.metadata(photo), reader.albums(photo))
            self._of(name).deleted += self._is_left_out(photo)
        if (table := self._table) is not None:
            row = table.metadata_of(photo)
            albums = table.albums_of(photo) if table.has_albums else ()
            self._of(TABLE).add(row or Metadata(), albums)

    def summary(self) -> Sequence[SourceRead]:
        """Return what was found so far, without sources that tell nothing."""
        return [
            SourceRead(
                source=name,
                photos=counts.photos,
                described=counts.described,
                deleted=counts.deleted,
                archives=len(counts.archives),
                albums=len(counts.albums),
                titles=tuple(" / ".join(path) for path in [*counts.albums][:TITLES_KEPT]),
            )
            for name, counts in sorted(self._counts.items())
            if counts.described or counts.deleted or counts.archives or name == TABLE
        ]

    def _of(self, source: str) -> _Counts:
        return self._counts.setdefault(source, _Counts())
