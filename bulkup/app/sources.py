"""Opens the paths of a command, and what describes its photos: exports, sidecars and a table."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from anyio import to_thread

from bulkup.app.executor import nothing_stated
from bulkup.app.settings import AlbumTarget
from bulkup.app.table import Matching, open_table
from bulkup.engine.albums import FolderAlbums, FurtherAlbums, Titles
from bulkup.engine.arrange import Marks
from bulkup.engine.arrange_options import Arrangement
from bulkup.engine.context import Stop
from bulkup.errors import RunError, UsageError
from bulkup.errors import run as run_failures
from bulkup.events import Emit, SkipReason
from bulkup.piwigo.client import PiwigoServer
from bulkup.source.cells import TableFile
from bulkup.source.exports import ExportAlbums, Exports
from bulkup.source.filters import Filters
from bulkup.source.inventory import Inventory
from bulkup.source.metadata import Labels, Metadata, distinct, line
from bulkup.source.scan import check_roots, may_reach
from bulkup.source.sidecars import Describer, TagAlbums
from bulkup.source.table import Table
from bulkup.source.takeout.filter import OtherFolders, TakeoutFilter
from bulkup.source.takeout.sidecars import TakeoutAlbums, find_takeouts
from bulkup.source.zips import only_zips

ANY_ALBUM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The paths of a command, opened.

    `roots` are the paths, `zips` the archives among them, `takeouts` the folders of Google
    Takeouts in them. `table` has metadata of photos, None without one.
    """

    roots: Sequence[Path]
    zips: Sequence[Path]
    takeouts: Mapping[Path, Sequence[str]]
    filters: Filters
    labels: Labels
    table: Table | None
    exports: Exports = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "exports", Exports(parts=self.zips))

    def matching(
        self, emit: Emit, *, stop: Stop, complete: bool = True, formats: bool = False
    ) -> Emit:
        """Return an `emit` that also reports what of the table does not match; see `Matching`."""
        if self.table is None:
            return emit
        return Matching(self.table, emit, complete=complete, stop=stop, formats=formats).emit

    def marks(self, arrangement: Arrangement) -> Marks | None:
        """Return the function for the ranks and covers in the table, None without a table.

        Raises `UsageError` if it lacks the order.
        """
        if arrangement.sort == "table" and (self.table is None or not self.table.has_ranks):
            raise UsageError(
                "--sort table needs a table with a column “rank”",
                hint="Give the table by --metadata FILE, and name the column rank, or yours such "
                "as --metadata-map rank=Order.",
            )
        return None if self.table is None else self.table.mark_of

    def check_levels(self, level: int, server: PiwigoServer) -> None:
        """Raise `RunError` if photos get privacy levels that this account can't set.

        `level` is the one of all photos, 0 for none.
        """
        if server.community and (level or (self.table and self.table.has_levels)):
            raise RunError(run_failures.NO_LEVEL())

    def stated(self, into: AlbumTarget | None = None) -> Callable[[Path], Metadata | None] | None:
        """Return a function for what the table and folders, as tags, state of a photo.

        None if there is neither. Tags are named like the albums of `into`.
        """
        table = self.table
        if not self.labels.folder_as_tag:
            return None if table is None else table.metadata_of
        below_roots = replace(
            into or AlbumTarget(album=ANY_ALBUM), tree=True, unwrap=True, levels=None
        )
        folders = self.folder_albums(below_roots, ANY_ALBUM)

        def stated(photo: Path) -> Metadata | None:
            tags = Metadata(tags=distinct(map(line, folders.names(photo))))
            row = None if table is None else table.metadata_of(photo)
            return row.over(tags) if row else tags

        return stated

    def describer(
        self, emit: Emit, stated: Callable[[Path], Metadata | None] | None = None
    ) -> Describer:
        """Return what describes photos by their files, sidecars and what is `stated` of them."""
        return Describer(
            self.labels,
            emit=emit,
            parts=self.zips,
            exports=self.exports,
            stated=stated or nothing_stated,
        )

    def folder_albums(self, into: AlbumTarget, base: int) -> FolderAlbums:
        """Return which folders become albums below `base`."""
        return FolderAlbums(
            roots=self.roots,
            zips=frozenset(self.zips),
            takeouts=self.takeouts,
            base=base,
            tree=into.tree,
            unwrap=into.unwrap,
            spaces=into.spaces,
            levels=into.levels,
            renames=into.renames,
        )

    def titles(self) -> Titles | None:
        """Return what names folders' albums after their titles in Google Photos or Picasa."""
        if not self.labels.sidecars:
            return None
        albums = TakeoutAlbums(parts=self.zips)
        return lambda folder: albums(folder) or self.exports.title(folder)

    def further(self, into: AlbumTarget, *, emit: Emit) -> Sequence[FurtherAlbums]:
        """Return the sources of albums besides those of folders: tags, the table, exports."""
        sources: list[FurtherAlbums] = []
        if into.by_tag:
            sources.append(TagAlbums(into.by_tag, describer=self._tags()))
        if self.table is not None and self.table.has_albums:
            sources.append(self.table.albums_of)
        if self.labels.sidecars:
            sources.append(ExportAlbums(self.exports, emit=emit))
            if into.tree and (self.zips or self.takeouts):
                sources.append(
                    OtherFolders(parts=self.zips, folders=self.takeouts, reaches=self._reaches)
                )
        return sources

    def _reaches(self, folder: Path) -> bool:
        return any(may_reach(root, folder, self.filters) for root in self.roots)

    def _tags(self) -> Describer:
        """Return what reads photos' tags, also those of exports; problems are not reported."""
        own = Labels(sidecars=self.labels.sidecars, embedded=self.labels.embedded)
        describer = replace(self, labels=own).describer
        return describer(lambda _: None, self.table.metadata_of if self.table else None)

    def takeout_filter(
        self,
        endings: Collection[str] | None,
        *,
        report: bool = False,
        inventory: Inventory | None = None,
    ) -> TakeoutFilter:
        """Return what leaves out photos of Takeouts and other exports, such as trashed ones."""
        return TakeoutFilter(
            self.filters.takeout_skip,
            parts=self.zips,
            endings=endings,
            report=report,
            deleted=self.exports.is_deleted,
            inventory=inventory,
        )

    def inventory(self) -> Inventory:
        """Return what counts the photos of each source."""
        trashed = SkipReason.TRASHED in self.filters.takeout_skip
        return Inventory(
            exports=self.exports if self.labels.sidecars else None,
            table=self.table,
            is_left_out=self.exports.is_deleted if trashed else lambda _: False,
        )


async def open_sources(
    paths: Sequence[Path],
    *,
    filters: Filters,
    labels: Labels,
    table: TableFile | None,
    stop: Stop,
) -> Sources:
    """Open the paths of a command and the table. Raises `UsageError`."""
    roots = await to_thread.run_sync(check_roots, paths, filters)
    return Sources(
        roots=roots,
        zips=await to_thread.run_sync(only_zips, roots),
        takeouts=await to_thread.run_sync(find_takeouts, roots),
        filters=filters,
        labels=labels,
        table=None
        if table is None
        else await open_table(table, roots=roots, filters=filters, stop=stop),
    )
