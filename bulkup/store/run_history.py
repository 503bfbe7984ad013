"""The history of runs: its values, how runs write it, and how `bulkup status` reads it."""

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from filelock import Timeout

from bulkup.errors import UsageError
from bulkup.errors import run as run_failures
from bulkup.source.files import absolute, is_gone
from bulkup.store.database import as_run_error, lock_of, open_to_read, storable, transaction


class Ending(StrEnum):
    """How a run ended."""

    DONE = "done"
    INTERRUPTED = "interrupted"  # by Ctrl-C or SIGTERM
    FAILED = "failed"  # by an error
    OPEN = ""  # it is running, or its process was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What a run does; `album` is 0 if none was given."""

    task: str
    album: int
    album_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The failure of a photo, and what to do; `code` names its kind. `size` in bytes."""

    code: str
    reason: str
    hint: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFailure:
    """A failure that no later run has resolved; `at` in seconds since 1970."""

    url: str
    album: int
    path: Path
    cause: Failure
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run for the gallery at `url`, and its result; times in seconds since 1970.

    `seen` is the time of its last update, or of its end. `counts` holds the number of photos by
    outcome. `running` says that it has not ended and its process is alive.
    """

    url: str
    info: RunInfo
    began: float
    seen: float
    ending: Ending
    error: str
    counts: Mapping[str, int]
    running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumHistory:
    """The history of an album: files uploaded to it, the last run of each task, open failures.

    `album` 0 stands for runs without an album. `size` in bytes; `failures` counts open failures,
    and `examples` are the first of them.
    """

    album: int
    name: str
    files: int
    size: int
    runs: Sequence[PastRun]
    failures: int
    examples: Sequence[OpenFailure]


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryHistory:
    """The history of a gallery; files in several of its albums count once here."""

    url: str
    files: int
    size: int
    failures: int
    albums: Sequence[AlbumHistory]


RUNS_KEPT: Final = 100
"""Runs of each album that are kept; `bulkup watch` makes many."""

PAGE: Final = 1000
"""Failures that one query returns."""

GONE: Final = {"vanished", "not-there"}
"""Kinds of failures that are resolved if the file no longer exists."""


@dataclass(slots=True)
class HistoryWriter:
    """Writes the history of the runs for one server, at the time `now`."""

    database: sqlite3.Connection
    server: str
    now: float

    def begin(self, info: RunInfo) -> tuple[int, int]:
        """Store the start of a run; return its number and how many failures are open."""
        with transaction(self.database) as database:
            run = database.execute(
                "INSERT INTO runs (server, task, album, name, began, seen, ending, error, counts) "
                "VALUES (?, ?, ?, ?, ?, ?, '', '', '{}')",
                (
                    self.server,
                    info.task,
                    info.album,
                    storable(info.album_name),
                    self.now,
                    self.now,
                ),
            ).lastrowid
            database.execute(
                "DELETE FROM runs WHERE server = ? AND album = ? AND task = ? AND id <= ("
                "SELECT id FROM runs WHERE server = ? AND album = ? AND task = ? "
                "ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (self.server, info.album, info.task) * 2 + (RUNS_KEPT,),
            )
            (failures,) = database.execute(
                "SELECT count(*) FROM failures WHERE server = ?", (self.server,)
            ).fetchone()
        return run or 0, int(failures)

    def update(
        self,
        run: int,
        *,
        album: int,
        counts: Mapping[str, int],
        failed: Mapping[Path, Failure],
        resolved: Collection[Path],
    ) -> None:
        """Store the progress of a run: its counts, and what failed or was resolved since then."""
        gone = {path for path, cause in failed.items() if cause.code in GONE and is_gone(path)}
        rows = [
            (
                self.server,
                key_of(path),
                album,
                failure.code,
                storable(failure.reason),
                storable(failure.hint),
                failure.size,
                run,
                self.now,
            )
            for path, failure in failed.items()
            if path not in gone
        ]
        with transaction(self.database) as database:
            database.executemany(
                "DELETE FROM failures WHERE server = ? AND path = ? AND album IN (?, 0)",
                [(self.server, key_of(path), album) for path in (*resolved, *gone)],
            )
            database.executemany(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
            database.execute(
                "UPDATE runs SET counts = ?, seen = ? WHERE id = ?",
                (json.dumps(counts), self.now, run),
            )

    def end(self, run: int, ending: Ending, *, error: str, roots: Sequence[Path]) -> None:
        """Store the end of a run; failures below the roots whose files are gone are resolved."""
        for root in map(key_of, roots):
            self._resolve_gone(root.rstrip(b"/"), run)
        self.database.execute(
            "UPDATE runs SET ending = ?, error = ?, seen = ? WHERE id = ?",
            (ending.value, storable(error), self.now, run),
        )

    def _resolve_gone(self, folder: bytes, run: int) -> None:
        after, end = folder + b"/", folder + b"0"  # the character after /
        while True:
            rows = self.database.execute(
                "SELECT DISTINCT path FROM failures WHERE server = ? AND path > ? AND path < ? "
                "AND run < ? ORDER BY path LIMIT ?",
                (self.server, after, end, run, PAGE),
            ).fetchall()
            if not rows:
                break
            gone = [(self.server, path) for (path,) in rows if is_gone(Path(os.fsdecode(path)))]
            with transaction(self.database) as database:
                database.executemany("DELETE FROM failures WHERE server = ? AND path = ?", gone)
            after = rows[-1][0]


def key_of(path: Path) -> bytes:
    """Return a path as the ledger stores it: absolute, in the system's encoding."""
    return os.fsencode(absolute(path))


ROWS_AT_ONCE: Final = 1000
EXAMPLES: Final = 20
OLD_NAMES: Final = {"astray": "not-in-album", "put_away": "moved", "stays": "not_moved"}
"""Names of counts in older ledgers, and the present ones."""

UPLOADED: Final = "state IN ('sent', 'done', 'format')"


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Selects a gallery by its address, and an album by number or name; None selects all."""

    url: str | None = None
    album: int | str | None = None


class HistoryReader:
    """Reads the history of a ledger. Methods raise `RunError` if it can't be read."""

    def __init__(self, file: Path, database: sqlite3.Connection) -> None:
        self._file = file
        self._database = database
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        self._old = "failures" not in {name for (name,) in tables}

    def galleries(self, wanted: HistoryFilter) -> list[GalleryHistory]:
        """Return the history of the selected galleries.

        Raises `UsageError` if the ledger has nothing about the gallery or album.
        """
        with as_run_error(run_failures.LEDGER_UNREAD, self._file):
            urls = self._urls(wanted)
            galleries = [self._gallery(url, wanted.album) for url in urls]
            if wanted.album is not None and not any(gallery.albums for gallery in galleries):
                raise UsageError(
                    f"the ledger {self._file} has nothing about album {wanted.album}",
                    hint="Omit --album: bulkup status then lists all albums.",
                )
            return galleries

    def recent(self, *, url: str | None, task: str | None, most: int) -> list[PastRun]:
        """Return the last runs, the latest first; None means any gallery, or any task."""
        if self._old:
            return []
        wanted = {"server": url, "task": task}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        where = " AND ".join(["1", *(f"{name} = ?" for name in chosen)])
        with as_run_error(run_failures.LEDGER_UNREAD, self._file):
            return self._past_runs(where, list(chosen.values()), most=most)

    def failures(self, wanted: HistoryFilter) -> Iterator[OpenFailure]:
        """Yield the open failures by gallery and path. Raises `UsageError` as `galleries` does."""
        with as_run_error(run_failures.LEDGER_UNREAD, self._file):
            urls = [] if self._old else self._urls(wanted)
        for url in urls:
            path, album = b"", -1
            numbers = self._numbers(url, wanted.album)
            while True:
                with as_run_error(run_failures.LEDGER_UNREAD, self._file):
                    page = self._failures(
                        url, numbers, "(path, album) > (?, ?)", (path, album), ROWS_AT_ONCE
                    )
                yield from page
                if len(page) < ROWS_AT_ONCE:
                    break
                path, album = os.fsencode(page[-1].path), page[-1].album

    def _urls(self, wanted: HistoryFilter) -> list[str]:
        select = "SELECT DISTINCT server FROM photos"
        if not self._old:
            select += " UNION SELECT server FROM runs UNION SELECT server FROM failures"
        known = sorted(str(url) for (url,) in self._database.execute(select))
        if wanted.url is None:
            return known
        urls = [url for url in known if _address(url) == _address(wanted.url)]
        if not urls:
            others = f"It has {', '.join(known)}." if known else "It is empty."
            raise UsageError(
                f"the ledger {self._file} has nothing about {wanted.url}", hint=others
            )
        return urls

    def _gallery(self, url: str, only: int | str | None) -> GalleryHistory:
        files, size, in_albums = self._uploaded(url)
        runs = self._runs(url)
        failures = self._counts(url)
        numbers = self._numbers(url, only)
        albums = [
            AlbumHistory(
                album=album,
                name=runs[album][0].info.album_name if album in runs else "",
                files=in_albums[album][0],
                size=in_albums[album][1],
                runs=runs.get(album, ()),
                failures=failures.get(album, 0),
                examples=self._failures(url, {album}, "1", (), EXAMPLES)
                if failures.get(album)
                else (),
            )
            for album in sorted({*in_albums, *runs, *failures})
            if numbers is None or album in numbers
        ]
        return GalleryHistory(
            url=url, files=files, size=size, failures=sum(failures.values()), albums=albums
        )

    def _uploaded(self, url: str) -> tuple[int, int, Mapping[int, tuple[int, int]]]:
        """Return the uploaded files and bytes, in all and for each album."""
        all_files = all_size = 0
        albums: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
        rows = self._database.execute(
            "SELECT albums, count(*), sum(size) FROM photos "  # noqa: S608 (a constant)
            f"WHERE server = ? AND {UPLOADED} GROUP BY albums",
            (url,),
        )
        for text, files, size in rows:
            all_files, all_size = all_files + files, all_size + size
            for album in _numbers(text):
                before, size_before = albums[album]
                albums[album] = before + files, size_before + size
        return all_files, all_size, albums

    def _runs(self, url: str) -> Mapping[int, list[PastRun]]:
        """Return the last run of each task, the latest first, by album."""
        if self._old:
            return {}
        runs: dict[int, list[PastRun]] = {}
        for run in self._past_runs(
            "id IN (SELECT max(id) FROM runs WHERE server = ? GROUP BY album, task)", (url,)
        ):
            runs.setdefault(run.info.album, []).append(run)
        return runs

    def _past_runs(self, where: str, values: Sequence[str], *, most: int = -1) -> list[PastRun]:
        """Return the runs that match, the latest first."""
        rows = self._database.execute(
            "SELECT server, task, album, name, began, seen, ending, error, counts, "  # noqa: S608
            "id = (SELECT max(id) FROM runs AS others WHERE others.server = runs.server) "
            f"FROM runs WHERE {where} ORDER BY id DESC LIMIT ?",
            (*values, most),
        ).fetchall()
        return [
            PastRun(
                url=str(url),
                info=RunInfo(task=str(task), album=album, album_name=str(name)),
                began=began,
                seen=seen,
                ending=Ending(ending) if ending in set(Ending) else Ending.FAILED,
                error=str(error),
                counts=_counts(counts),
                running=not ending and bool(latest) and _is_held(self._file, url),
            )
            for url, task, album, name, began, seen, ending, error, counts, latest in rows
        ]

    def _counts(self, url: str) -> Mapping[int, int]:
        """Return the number of open failures by album."""
        if self._old:
            return {}
        select = "SELECT album, count(*) FROM failures WHERE server = ? GROUP BY album"
        return dict(self._database.execute(select, (url,)).fetchall())

    def _failures(
        self,
        url: str,
        albums: set[int] | None,
        where: str,
        values: tuple[bytes, int] | tuple[()],
        most: int,
    ) -> list[OpenFailure]:
        """Return the first failures that match."""
        marks = "" if albums is None else f"AND album IN ({','.join('?' * len(albums))})"
        rows = self._database.execute(
            "SELECT path, album, code, reason, hint, size, at FROM failures "  # noqa: S608
            f"WHERE server = ? AND {where} {marks} ORDER BY path, album LIMIT ?",
            (url, *values, *(albums or ()), most),
        ).fetchall()
        return [
            OpenFailure(
                url=url,
                album=album,
                path=Path(os.fsdecode(path)),
                cause=Failure(code=str(code), reason=str(reason), hint=str(hint), size=size),
                at=at,
            )
            for path, album, code, reason, hint, size, at in rows
        ]

    def _numbers(self, url: str, album: int | str | None) -> set[int] | None:
        """Return the numbers of the selected albums, None for all."""
        if album is None or isinstance(album, int):
            return None if album is None else {album}
        if self._old:
            return set()
        name = album.rpartition("/")[2].strip()
        select = "SELECT DISTINCT album FROM runs WHERE server = ? AND name = ?"
        return {number for (number,) in self._database.execute(select, (url, name))}


@contextmanager
def open_history(file: Path) -> Iterator[HistoryReader]:
    """Open the history of a ledger for reading.

    Raises `UsageError` if there is no ledger, and `RunError` if it can't be read.
    """
    if not file.exists():
        raise UsageError(
            f"there is no ledger {file}",
            hint="Nothing has been uploaded with it yet. To read another one, give --ledger.",
        )
    with as_run_error(run_failures.LEDGER_UNREAD, file):
        database = open_to_read(file)
    with closing(database):
        with as_run_error(run_failures.LEDGER_UNREAD, file):
            history = HistoryReader(file, database)
        yield history


def _is_held(file: Path, url: str) -> bool:
    """Return whether a run for this server holds the ledger."""
    lock = lock_of(file, url)
    if not Path(lock.lock_file).exists():
        return False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False  # another user's ledger: unknown
    lock.release()
    return False


def _address(url: str) -> str:
    """Return an address without its scheme, since the server may redirect to TLS."""
    return url.partition("://")[2].rstrip("/").lower()


def _numbers(text: object) -> list[int]:
    try:
        return [int(album) for album in json.loads(str(text))]
    except (ValueError, TypeError):
        return []


def _counts(text: object) -> Mapping[str, int]:
    try:
        counts = json.loads(str(text)).items()
        return {OLD_NAMES.get(name, str(name)): int(count) for name, count in counts}
    except (ValueError, TypeError, AttributeError):
        return {}
