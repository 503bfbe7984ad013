"""The sources: folders and zip archives of this machine, and what is in them."""

import inspect
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from anyio import to_thread

from bulkup.api import UploadOptions, filters_of
from bulkup.app.options import build_filters
from bulkup.events import SkipReason
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit
from bulkup.source.convert import CONVERTIBLE
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, check_roots, find
from bulkup.source.zips import SUFFIX

SHOWN: Final = 1000
EXAMPLES: Final = 10
TYPES: Final = 200
OTHER: Final = "…"
MOUNTS: Final = ("/media/*", "/run/media/*/*", "/mnt/*", "/Volumes/*")


COUNTING: Final = ("convert", *(inspect.signature(build_filters).parameters.keys() - {"now_s"}))
"""Options on which the count depends."""


def to_code(path: Path) -> str:
    """Return a path as ASCII for forms and addresses, also one with an undecodable name."""
    return quote(os.fsencode(path), safe="/:\\")


def from_code(code: str) -> Path:
    """Return the path of a code, an absolute one."""
    path = Path(os.fsdecode(unquote_to_bytes(code)))
    return path if path.is_absolute() and "\0" not in str(path) else Path.home()


def _typed(text: str) -> tuple[Path, bool]:
    """Return the path that was typed, and whether it is a folder."""
    path = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111 (Path.expanduser may raise)
    return path, path.is_dir()


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or archive in the picker."""

    path: Path
    name: str

    @property
    def code(self) -> str:
        """The path as in forms."""
        return to_code(self.path)


@dataclass(slots=True)
class Listing:
    """A folder in the picker; `others` counts its files, `more` folders that are not shown."""

    above: list[Place]
    folders: list[Place] = field(default_factory=list)
    hidden: list[Place] = field(default_factory=list)
    archives: list[Place] = field(default_factory=list)
    others: int = 0
    more: int = 0
    error: str = ""


def list_folder(at: Path) -> Listing:
    """Return what the picker shows of a folder."""
    listing = Listing([Place(path, path.name or str(path)) for path in reversed(at.parents)])
    try:
        with os.scandir(at) as entries:
            for entry in entries:
                _add(listing, entry)
    except OSError as error:
        listing.error = error.strerror or str(error)
    for places in (listing.folders, listing.hidden, listing.archives):
        places.sort(key=lambda place: (place.name.casefold(), place.name))
        listing.more += max(0, len(places) - SHOWN)
        del places[SHOWN:]
    return listing


def _add(listing: Listing, entry: os.DirEntry[str]) -> None:
    place = Place(Path(entry.path), entry.name)
    try:
        is_folder = entry.is_dir()
    except OSError:
        is_folder = False
    if not is_folder:
        if entry.name.lower().endswith(SUFFIX):
            listing.archives.append(place)
        else:
            listing.others += 1
    else:
        (listing.hidden if entry.name.startswith(".") else listing.folders).append(place)


def starts() -> list[Place]:
    """Return where to look for photos: the home folder, drives, and what is mounted."""
    home = Path.home()
    places = [Place(home, str(home))]
    if sys.platform == "win32":
        drives = [f"{letter}:\\" for letter in ascii_uppercase]
        places += [Place(Path(drive), drive) for drive in drives if Path(drive).exists()]
    else:
        with suppress(OSError):
            for pattern in MOUNTS:
                places += [Place(path, str(path)) for path in sorted(Path("/").glob(pattern[1:]))]
        places.append(Place(Path("/"), "/"))
    return places


@dataclass(slots=True)
class Count:
    """What has been found so far; sizes in bytes. `refused` are types the gallery refuses."""

    photos: int = 0
    size: int = 0
    empty: int = 0
    unreadable: int = 0
    types: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[Path, str]] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """Count a file."""
        kind = found.path.suffix[1:].lower()
        match found:
            case Photo(size=0):
                self.empty += 1
            case Photo():
                kind = kind if kind in self.types or len(self.types) < TYPES else OTHER
                self.photos += 1
                self.size += found.size
                self.types[kind] += 1
                self.sizes[kind] += found.size
            case Skipped(reason=SkipReason.TYPE):
                kind = kind if kind in self.refused or len(self.refused) < TYPES else OTHER
                self.refused[kind] += 1
            case Skipped():
                self.skipped[found.reason.value] += 1
            case _:
                self.unreadable += 1
                if len(self.examples) < EXAMPLES:
                    self.examples.append((found.path, found.reason_text))


async def count_files(
    paths: Sequence[Path],
    options: UploadOptions,
    *,
    endings: Collection[str] | None,
    count: Count,
) -> None:
    """Count the files below the paths. Raises `UsageError`, and `RunError` of a list of paths."""
    filters = await to_thread.run_sync(filters_of, options)
    roots = await to_thread.run_sync(check_roots, paths, filters)
    accepted = {*endings, *(CONVERTIBLE if options.convert else ())} if endings else None
    async with aclosing(find(roots, filters, endings=accepted)) as walk:
        async for batch in walk:
            for found in batch:
                count.add(found)


class Sources(Step):
    """The picker, what has been picked, and the count."""

    name = "sources"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._job = session.job()
        self._count = Count()
        self._of: object = None

    @property
    def done(self) -> bool:
        """Whether anything is picked."""
        return bool(self.session.draft.paths)

    @property
    def running(self) -> bool:
        """Whether it counts."""
        return self._job.running

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the folder at which the picker is, and the count."""
        self._recount()
        paths = self.session.draft.paths
        given = visit.query.get("at") or visit.form.get("at")
        at = from_code(given) if given else paths[-1].parent if paths else Path.home()
        return {
            "at": Place(at, at.name or str(at)),
            # a large folder takes long to list
            "listing": None if visit.live else await to_thread.run_sync(list_folder, at),
            "starts": () if visit.live else await to_thread.run_sync(starts),
            "picked": [Place(path, str(path)) for path in paths],
            "count": self._count,
            "failure": self._job.error,
        }

    async def save(self, visit: Visit) -> str:
        """Go to a folder, pick or drop one, or count again."""
        form, paths = visit.form, self.session.draft.paths
        at = form.get("at", "")
        if typed := form.get("path", "").strip():
            place, is_folder = await to_thread.run_sync(_typed, typed)
            at = to_code(place)
            if not is_folder:
                at = to_code(place.parent)
                await self._pick([*paths, place])
        elif "add" in form:
            await self._pick([*paths, *map(from_code, form.getall("add"))])
        elif "drop" in form:
            dropped = {from_code(code) for code in form.getall("drop")}
            await self.session.change(paths=tuple(path for path in paths if path not in dropped))
        elif "again" in form:
            self._of = None
        return f"/sources?at={quote(at, safe='')}"

    async def _pick(self, paths: Iterable[Path]) -> None:
        chosen = tuple(dict.fromkeys(paths))
        await to_thread.run_sync(check_roots, chosen)
        await self.session.change(paths=chosen)

    def _recount(self) -> None:
        """Count anew if something has changed that the count depends on."""
        draft, offer = self.session.draft, self.session.offer
        endings = offer.endings if offer else None
        of = (draft.paths, [getattr(draft.options, name) for name in COUNTING], endings)
        if of == self._of:
            return
        self._of, self._count = of, Count()
        self._job.cancel()
        if draft.paths:
            task = partial(
                count_files, draft.paths, draft.options, endings=endings, count=self._count
            )
            self._job.start(task)
