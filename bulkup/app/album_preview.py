"""Which albums an upload would use and create, without reading photos or changing anything."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bulkup.app.executor import accepted_endings
from bulkup.app.gallery import album_name, base_album, open_gallery
from bulkup.app.settings import Account, UploadSettings
from bulkup.app.sources import open_sources
from bulkup.engine.albums import ROOT, AlbumPath, AlbumResolver, Albums
from bulkup.engine.context import Stop
from bulkup.engine.dry_run import DryRunGallery
from bulkup.engine.pipeline import Plan, walk_of
from bulkup.engine.read import judgements_on
from bulkup.errors import PhotoError
from bulkup.errors import local as local_failures
from bulkup.events import Emit, Event, Noticed
from bulkup.source.cells import TableFile
from bulkup.source.filters import Filters
from bulkup.source.metadata import Labels
from bulkup.source.photos import Photo

NOTICES_KEPT: Final = 10

Group = tuple[Path, tuple[AlbumPath | Path, ...]]
"""A folder, or a photo that was named itself, and the further albums of the photos in it."""


@dataclass(slots=True)
class Groups:
    """The photos below the paths, counted by groups; `examples` has a photo of each.

    It is kept to preview other albums for the same photos, once it is `complete`.
    """

    counts: Counter[Group] = field(default_factory=Counter)
    examples: dict[Group, Path] = field(default_factory=dict)
    complete: bool = False
    _files: dict[Path, Path] = field(default_factory=dict)

    def add(self, photo: Path, further: Sequence[AlbumPath | Path], *, alone: bool) -> Group:
        """Count a photo, and return its group. One that is `alone` shares it with no other."""
        albums = (
            self._files.setdefault(each.parent, each) if isinstance(each, Path) else each
            for each in further
        )
        group = (photo if alone else photo.parent, tuple(albums))
        self.counts[group] += 1
        self.examples.setdefault(group, photo)
        return group


@dataclass(frozen=True, slots=True)
class PreviewedAlbum:
    """An album; `depth` counts the albums above it, `photos` those in it, not those below it."""

    album_id: int
    name: str
    depth: int
    photos: int
    is_new: bool


@dataclass(slots=True)
class AlbumPreview:
    """The albums as far as they are known.

    `base` is the target album, `base_name` its name, empty for the top level. `photos` counts
    files, `without_album` those of them that would be in no album. `problems` are messages, each
    with a hint.
    """

    base: int = ROOT
    base_name: str = ""
    photos: int = 0
    without_album: int = 0
    counts: Counter[int] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)
    _albums: Albums | None = None
    _resolver: AlbumResolver | None = None

    def emit(self, event: Event) -> None:
        """Keep the first notices."""
        if isinstance(event, Noticed):
            self.report(event.message, event.hint)

    def report(self, message: str, hint: str) -> None:
        """Keep a message if it is one of the first."""
        if len(self.problems) < NOTICES_KEPT:
            self.problems.setdefault(message, hint)

    @property
    def total(self) -> int:
        """The number of albums that get photos or are created."""
        return len(self.counts.keys() | self._albums.made) if self._albums else 0

    @property
    def new(self) -> int:
        """The number of albums that would be created."""
        return len(self._albums.made) if self._albums else 0

    def albums(self) -> Iterator[PreviewedAlbum]:
        """Yield the albums from the top, each before those inside it, sorted by name."""
        if self._albums is None:
            return
        inside = dict(self._albums.used)
        if self.base and not any(self.base in albums for albums in inside.values()):
            inside[ROOT] = {self.base: self.base_name}
        waiting = [(ROOT, "", -1)]  # the next one is the last
        while waiting:
            album, name, depth = waiting.pop()
            if album != ROOT:
                yield PreviewedAlbum(
                    album, name, depth, self.counts[album], album in self._albums.made
                )
            below = inside.get(album, {}).items()
            ordered = sorted(below, key=lambda item: (item[1].casefold(), item[0]), reverse=True)
            waiting += [(each, title, depth + 1) for each, title in ordered]

    def folders(self, albums: set[int]) -> dict[int, list[Path]]:
        """Return the folders that become these albums."""
        found = defaultdict(list)
        for folder, album in self._resolver.folders() if self._resolver else ():
            if album in albums:
                found[album].append(folder)
        return found

    def begin(self, albums: Albums, resolver: AlbumResolver, *, base: int, name: str) -> None:
        """Show the albums of a resolver."""
        self._albums, self._resolver = albums, resolver
        self.base, self.base_name = base, name


class _Placing:
    """Puts groups of photos into albums; each group is resolved once."""

    def __init__(self, resolver: AlbumResolver, preview: AlbumPreview) -> None:
        self._resolver = resolver
        self._preview = preview
        self._albums: dict[Group, frozenset[int]] = {}

    async def place(self, group: Group, photo: Path, *, count: int) -> None:
        """Count photos in the albums of their group, of which `photo` is an example."""
        if group not in self._albums:
            self._albums[group] = await self._resolve(group, photo)
        albums = self._albums[group]
        self._preview.photos += count
        for album in albums:
            self._preview.counts[album] += count
        if not albums:
            self._preview.without_album += count

    async def _resolve(self, group: Group, photo: Path) -> frozenset[int]:
        try:
            album, further = await self._resolver.all_of(photo, group[1])
        except PhotoError as error:
            if error.code != local_failures.NO_FOLDER.code:
                self._preview.report(error.message, error.hint)
            return frozenset()
        return further | {album}


async def preview_albums(
    paths: Sequence[Path],
    *,
    account: Account,
    settings: UploadSettings,
    filters: Filters,
    labels: Labels,
    table: TableFile | None,
    groups: Groups,
    preview: AlbumPreview,
) -> None:
    """Fill a preview with the albums of an upload of these paths.

    Photos are searched for only if `groups` is not complete; it is afterwards. Raises
    `UsageError` where a path does not exist, and `RunError` where the target album does not.
    """
    emit: Emit = preview.emit
    sources = await open_sources(paths, filters=filters, labels=labels, table=table, stop=Stop())
    async with open_gallery(account, emit=emit) as (server, recovery):
        gallery = DryRunGallery(server)
        albums = Albums(gallery, recovery=recovery, emit=emit, private=settings.into.private)
        base = await base_album(settings.into, albums)
        name = await album_name(base, gallery, recovery)
        resolver = AlbumResolver(
            sources.folder_albums(settings.into, base),
            albums,
            emit=emit,
            titles=sources.titles(),
            further=sources.further(settings.into, emit=emit),
            comment=sources.exports.comment,
        )
        preview.begin(albums, resolver, base=base, name=name)
        placing = _Placing(resolver, preview)
        if groups.complete:
            for group, count in groups.counts.items():
                await placing.place(group, groups.examples[group], count=count)
            return
        endings, convert = accepted_endings(server.offer, converts=settings.convert)
        plan = Plan(
            roots=sources.roots,
            filters=filters,
            folder_albums=sources.folder_albums(settings.into, base),
            endings=endings,
            convert=convert,
            formats=settings.raw_as_format,
            takeout=sources.takeout_filter(endings),
        )
        named = frozenset(sources.roots)
        async with aclosing(walk_of(plan)) as walk:
            async for batch in walk:
                judgements = await judgements_on(plan.takeout, batch, {}) if plan.takeout else {}
                photos = [
                    found.path
                    for found in batch
                    if isinstance(found, Photo)
                    and not (found.path in judgements and judgements[found.path].skip)
                ]
                further = await resolver.paths_of(photos)
                for photo, others in zip(photos, further, strict=True):
                    group = groups.add(photo, others, alone=photo in named)
                    await placing.place(group, photo, count=1)
        groups.complete = True
