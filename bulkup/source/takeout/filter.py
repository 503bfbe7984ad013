"""What a Google Takeout says about the files of a scan: what is left out, and what lacks its JSON.

Reads files: call in a worker thread.
"""

import os
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from bulkup.events import SkipReason, TakeoutRead
from bulkup.source import zips
from bulkup.source.files import LARGEST_SIDECAR, FolderCache, read_file
from bulkup.source.filters import TAKEOUT_KINDS
from bulkup.source.inventory import Inventory
from bulkup.source.pairing import PairedFile
from bulkup.source.photos import Photo
from bulkup.source.scan import Skipped
from bulkup.source.takeout.names import FolderNames, Tie
from bulkup.source.takeout.sidecars import Identity, album_of, identity_of, is_takeout, states_of

FOLDERS: Final = 2
"""Folders whose listings are kept: a scan visits one after the other."""

ADDED: Final = re.compile(r"(\.(s[a-z-]*)?)?(\(\d{1,6}\))?\.json$", re.IGNORECASE)
"""What Takeout adds to the name of a photo, which differs between folders."""

TITLES_KEPT: Final = 20
STATES: Final = frozenset(TAKEOUT_KINDS[:4])
"""Those that a JSON file states."""

Item = Photo | PairedFile | Skipped


@dataclass(frozen=True, slots=True)
class Judgement:
    """Why a file is left out, None if it is not, and whether it lacks its JSON file.

    Of several reasons, it is the first of `TAKEOUT_KINDS`.
    """

    skip: SkipReason | None = None
    lacks_json: bool = False


KEEP: Final = Judgement()


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a photo is in a Takeout, and why it could be left out."""

    reasons: frozenset[SkipReason]
    has_json: bool
    edited: bool
    live: bool


class _Folder:
    """A folder; `takeout` is None until it is known whether it is that of a Takeout."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.names = FolderNames(files)
        self.takeout: bool | None = None


class TakeoutFilter:
    """Judges the files of one scan.

    `skip` are the kinds of photos to leave out. A file is left out in favour of another one, such
    as its original, only if that is of a type in `endings`, which are those that the server
    accepts, None for all. `parts` are the zip archives of one tree. Without `report`, nothing is
    said about files that lack their counterpart. `deleted` returns whether another export says
    that a photo was deleted, which counts as `TRASHED`. With an `inventory`, photos are to be
    judged, and are counted there, although they are on the server.
    """

    def __init__(
        self,
        skip: frozenset[SkipReason],
        *,
        parts: Sequence[Path] = (),
        endings: Collection[str] | None = None,
        report: bool = True,
        deleted: Callable[[Path], bool] = lambda _: False,
        inventory: Inventory | None = None,
    ) -> None:
        self.inventory = inventory
        self._skip = skip
        self._deleted = deleted
        self._endings = endings
        self._report = report
        self._folders = FolderCache(_Folder, parts=parts, most=FOLDERS)
        self._counts = Counter[str]()
        self._albums: dict[Path, str] = {}
        self._found = array("q")
        self._missing: list[tuple[int, str]] = []

    def judge(self, items: Sequence[Item]) -> dict[Path, Judgement]:
        """Return the judgements on those files that are left out or lack their counterpart."""
        judgements: dict[Path, Judgement] = {}
        if self.inventory is not None:
            for item in items:
                if not isinstance(item, Skipped):
                    self.inventory.count(item.path)
        for path, group in groupby(items, key=lambda item: item.path.parent):
            try:
                folder = self._folders.of(path)
            except OSError:
                continue
            if folder.names.jsons:
                for item in group:
                    judgement = self._judge(item, folder)
                    if judgement is not KEEP:
                        judgements[item.path] = judgement
        if SkipReason.TRASHED in self._skip:
            for item in items:
                if not isinstance(item, Skipped) and self._deleted(item.path):
                    judgements[item.path] = Judgement(SkipReason.TRASHED)
        return judgements

    def summary(self) -> TakeoutRead | None:
        """Return what was found so far, None if there is no Takeout to report on."""
        counts = self._counts
        if not counts or not self._report:
            return None
        found = {*self._found} if self._missing else set()
        nowhere = [folder for name, folder in self._missing if name not in found]
        return TakeoutRead(
            photos=counts["photos"],
            without_json=counts["without_json"],
            photos_missing=counts["photos_missing"],
            photos_nowhere=len(nowhere),
            folders_incomplete=tuple(dict.fromkeys(nowhere))[:TITLES_KEPT],
            edited=counts["edited"],
            live=counts["live"],
            trashed=counts["trashed"],
            locked=counts["locked"],
            archived=counts["archived"],
            partner=counts["partner"],
            albums=len(self._albums),
            titles=(*self._albums.values(),)[:TITLES_KEPT],
        )

    def _judge(self, item: Item, folder: _Folder) -> Judgement:
        if isinstance(item, Skipped):
            return self._judge_json(item, folder)
        found = self._kind(item.path.name, folder)
        if found is None:
            return KEEP
        self._count(found)
        reasons = found.reasons
        if isinstance(item, PairedFile) and (main := self._kind(item.of.name, folder)):
            reasons = reasons | main.reasons  # it can't be a format of a photo that is left out
        skip = next((reason for reason in TAKEOUT_KINDS if reason in reasons & self._skip), None)
        if skip is not None:
            return Judgement(skip)
        return Judgement(lacks_json=True) if self._report and not found.has_json else KEEP

    def _count(self, found: _Kind) -> None:
        self._counts["photos"] += 1
        self._counts["without_json"] += not found.has_json
        self._counts["edited"] += found.edited
        self._counts["live"] += found.live
        self._counts.update(reason.value for reason in found.reasons & STATES)

    def _judge_json(self, item: Skipped, folder: _Folder) -> Judgement:
        """Return the judgement on a JSON file: whether its photo is missing."""
        if not self._report:
            return KEEP
        name = _original_name(item.path.name)
        if not folder.names.lacks_photo(item.path.name):
            self._found.append(hash(name))
            return KEEP
        if self._states(item.path, folder) is None:
            return KEEP
        self._counts["photos_missing"] += 1
        self._missing.append((hash(name), item.path.parent.name))
        return Judgement(SkipReason.PHOTO_MISSING)

    def _kind(self, name: str, folder: _Folder) -> _Kind | None:
        """Return what a photo is in a Takeout, None outside of one."""
        names = folder.names
        json = names.json_of(name)
        states = None if json is None else self._states(names.sidecars[json[0]], folder)
        if states is None and not self._is_takeout(folder):
            return None
        tie = json[1] if json else None
        original = names.original_of(name) if tie in {Tie.EDITED, None} else None
        still = names.still_of(name) if tie is Tie.LIVE else None
        reasons = set(states or ())
        if self._accepts(original):
            reasons.add(SkipReason.EDITED)
        if self._accepts(still):
            reasons.add(SkipReason.LIVE)
        if SkipReason.ORIGINALS in self._skip and any(map(self._accepts, names.edited_of(name))):
            reasons.add(SkipReason.ORIGINALS)
        return _Kind(
            frozenset(reasons),
            has_json=json is not None,
            edited=tie is Tie.EDITED or original is not None,
            live=tie is Tie.LIVE,
        )

    def _accepts(self, name: str | None) -> bool:
        """Return whether the server accepts the type of a file, if there is one."""
        if name is None:
            return False
        return self._endings is None or name.rpartition(".")[2].lower() in self._endings

    def _states(self, json: Path, folder: _Folder) -> frozenset[SkipReason] | None:
        """Return the states of a photo, None if this is not its JSON file or can't be read."""
        states = None
        with suppress(OSError, ValueError):  # a notice about it comes with the photo's metadata
            states = states_of(read_file(json, limit=LARGEST_SIDECAR))
        if states is not None and not folder.takeout:
            self._found_takeout(folder)
        return states

    def _is_takeout(self, folder: _Folder) -> bool:
        if folder.takeout is None:
            folder.takeout = is_takeout(folder.names)
            if folder.takeout:
                self._found_takeout(folder)
        return folder.takeout

    def _found_takeout(self, folder: _Folder) -> None:
        """Count the album that a folder of a Takeout is."""
        folder.takeout = True
        with suppress(ValueError):
            if album := album_of(folder.names):
                names = folder.names  # of a list of files, a folder may come again
                self._albums[names.sidecars[names.jsons[0]]] = album.title


class OtherFolders:
    """Returns the folders of a Takeout that only have the JSON file of a photo in another folder.

    `parts` are zip archives of one tree, `folders` those of unpacked Takeouts; `reaches` returns
    whether one of their folders is to be looked at. All of these are looked through at the first
    call: make calls in one worker thread at a time.
    """

    def __init__(
        self,
        *,
        parts: Sequence[Path] = (),
        folders: Iterable[Path] = (),
        reaches: Callable[[Path], bool] = lambda _: True,
    ) -> None:
        self._parts = parts
        self._reaches = reaches
        self._tops = folders
        self._folders = FolderCache(FolderNames, parts=parts, most=FOLDERS)
        self._alone: dict[str, list[tuple[Identity, Path]]] | None = None

    def __call__(self, photo: Path) -> list[Path]:
        """Return the JSON files of a photo in other folders that lack it."""
        if self._alone is None:
            self._alone = self._look_through()
        if not self._alone:
            return []
        try:
            names = self._folders.of(photo.parent)
        except OSError:
            return []
        own = names.json_of(photo.name)
        alone = self._alone.get(_original_name(own[0]), ()) if own else ()
        if not (own and alone):
            return []
        identity = _identity(names.sidecars[own[0]])
        return [path for other, path in alone if other == identity]

    def _look_through(self) -> dict[str, list[tuple[Identity, Path]]]:
        """Return the JSON files without their photo, by its name."""
        alone: dict[str, list[tuple[Identity, Path]]] = {}
        last = None
        for folder in filter(self._reaches, self._all_folders()):
            with suppress(OSError):
                names = self._folders.of(folder)
                if names is last or not is_takeout(names):
                    continue
                last = names
                for json in filter(names.lacks_photo, names.jsons):
                    path = names.sidecars[json]
                    if identity := _identity(path):
                        alone.setdefault(_original_name(json), []).append((identity, path))
        return alone

    def _all_folders(self) -> Iterator[Path]:
        inside: list[tuple[str, Path]] = []
        for archive in self._parts:
            with suppress(OSError, zips.ZipError):
                inside += [(name, archive) for name in zips.open_archive(archive).folders()]
        yield from (archive / name for name, archive in sorted(inside))
        for top in self._tops:
            yield from (Path(folder) for folder, _, _ in os.walk(top))


def _original_name(json: str) -> str:
    """Return the name of a photo's file by that of its JSON file, without what differs."""
    return ADDED.sub("", unicodedata.normalize("NFC", json))


def _identity(json: Path) -> Identity | None:
    """Return what identifies a photo in Google Photos, None if its JSON file can't be used."""
    with suppress(OSError, ValueError):
        return identity_of(read_file(json, limit=LARGEST_SIDECAR))
    return None
