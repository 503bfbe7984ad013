"""The ledger: the state of each file by gallery. Deleting it only costs time."""

import json
import os
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Self, TypeVar

import anyio
from anyio import to_thread
from filelock import Timeout

from bulkup.engine.ledger_port import Entry, Fact, State, Unarranged
from bulkup.errors import RunError
from bulkup.errors import run as run_failures
from bulkup.store.database import as_run_error, lock_of, open_database, storable, transaction
from bulkup.store.run_history import HistoryWriter
from bulkup.store.run_history import key_of as _key

T = TypeVar("T")

MAX_INTEGER: Final = 2**63 - 1  # the largest number that SQLite holds
LOCK_S: Final = 0.5  # `bulkup status` holds the lock for a moment
WRITTEN: Final = "path, size, mtime_ns, md5, state, image_id, albums, error, compared"
COLUMNS: Final = f"{WRITTEN}, unarranged"
INSERT: Final = (
    f"INSERT INTO photos (server, at, {WRITTEN}) VALUES (?,?,?,?,?,?,?,?,?,?,?) "  # noqa: S608
    "ON CONFLICT (server, path) DO UPDATE SET at = excluded.at, "
    + ", ".join(f"{column} = excluded.{column}" for column in WRITTEN.split(", ")[1:])
)
ARRANGED: Final = 10_000
"""Photos that one transaction notes as arranged, so that others need not wait long."""


class SqliteLedger:
    """The part of a ledger file for one server, locked by one run at a time.

    Methods raise `RunError` if the file fails, once `again`, called with the error and the number
    of failures, no longer returns that another try is due.
    """

    def __init__(
        self,
        file: Path,
        *,
        server: str,
        now: Callable[[], float] = time.time,
        again: Callable[[RunError, int], Awaitable[bool]] | None = None,
    ) -> None:
        self.file = file
        self._again = again
        self.set_aside: Path | None = None
        self._server = server
        self._now = now
        self._one_thread = anyio.CapacityLimiter(1)
        self._lock = lock_of(file, server)
        self._database: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._in_thread(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._close, limiter=self._one_thread)

    async def look_up(self, paths: Sequence[Path]) -> Mapping[Path, Entry]:
        """Return the entries of these paths."""
        return await self._in_thread(lambda: self._look_up(paths))

    async def files_of(self, image_ids: Collection[int]) -> Sequence[Entry]:
        """Return the entries of all files with these photo numbers."""
        return await self._in_thread(
            lambda: self._entries(
                "image_id", image_ids, path_of=lambda path: Path(os.fsdecode(path))
            )
        )

    async def record(self, entries: Sequence[Entry]) -> None:
        """Replace the entries of these paths, either all or none."""
        await self._in_thread(lambda: self._record(entries))

    async def forget(self, paths: Sequence[Path]) -> None:
        """Delete the entries of these paths."""
        delete = "DELETE FROM photos WHERE server = ? AND path = ?"

        def forget() -> None:
            self._opened.executemany(delete, [(self._server, _key(path)) for path in paths])

        await self._in_thread(forget)

    async def written(self, image_ids: Collection[int]) -> Mapping[int, Mapping[str, str]]:
        """Return the metadata that bulkup set for these photos, by the names of its fields."""
        return await self._in_thread(lambda: self._written(image_ids))

    async def record_written(self, written: Mapping[int, Mapping[str, str]]) -> None:
        """Store metadata that was set, by photo; other fields of a photo keep their values."""
        insert = "INSERT OR REPLACE INTO written VALUES (?, ?, ?)"

        def record() -> None:
            known = self._written(written)
            rows = [
                (self._server, photo_id, json.dumps({**known.get(photo_id, {}), **fields}))
                for photo_id, fields in written.items()
            ]
            with transaction(self._opened) as database:
                database.executemany(insert, rows)

        await self._in_thread(record)

    async def settle(self) -> None:
        """Change every entry that is `SENT` to `DONE`."""
        update = "UPDATE photos SET state = ? WHERE server = ? AND state = ?"
        values = (State.DONE.value, self._server, State.SENT.value)
        await self._in_thread(lambda: self._opened.execute(update, values))

    async def plan_photos(self, paths: Sequence[Path], unarranged: Unarranged) -> None:
        """Note that the photos of entries are to be arranged."""
        update = "UPDATE photos SET unarranged = max(unarranged, ?) WHERE server = ? AND path = ?"
        if paths:
            await self._write(
                update, lambda: [(unarranged.value, self._server, _key(path)) for path in paths]
            )

    async def plan_album(self, parent: int, name: str) -> None:
        """Note that an album is to be put in order."""
        insert = "INSERT OR IGNORE INTO unsorted VALUES (?, ?, ?)"
        await self._write(insert, lambda: [(self._server, parent, storable(name))])

    async def planned_albums(self) -> Collection[tuple[int, str]]:
        """Return parent and name of the albums that are to be put in order."""
        select = "SELECT parent, name FROM unsorted WHERE server = ?"
        rows = await self._in_thread(
            lambda: self._opened.execute(select, (self._server,)).fetchall()
        )
        return {(int(parent), str(name)) for parent, name in rows}

    async def arranged(
        self, photo_ids: Iterable[int], albums: Collection[tuple[int, str]]
    ) -> None:
        """Note that these photos are arranged, and these albums in order."""
        update = (
            "UPDATE photos INDEXED BY unarranged SET unarranged = 0 "
            "WHERE server = ? AND image_id = ? AND unarranged > 0"  # else it scans all photos
        )
        left = iter(photo_ids)
        while ids := list(islice(left, ARRANGED)):
            await self._write(update, partial(_rows, self._server, ids))
        if albums:
            delete = "DELETE FROM unsorted WHERE server = ? AND parent = ? AND name = ?"
            await self._write(
                delete, lambda: [(self._server, parent, storable(name)) for parent, name in albums]
            )

    async def _write(
        self, statement: str, rows: Callable[[], Iterable[tuple[object, ...]]]
    ) -> None:
        """Execute a statement for each of the rows, which are made in the ledger's thread."""

        def write() -> None:
            with transaction(self._opened) as database:
                database.executemany(statement, rows())

        await self._in_thread(write)

    async def remains(self) -> Sequence[str]:
        """Return the names under which the server may hold part of a photo of an earlier run."""
        select = "SELECT name FROM remains WHERE server = ?"
        rows = await self._in_thread(
            lambda: self._opened.execute(select, (self._server,)).fetchall()
        )
        return [str(row[0]) for row in rows]

    async def begin(self, name: str) -> None:
        """Store a name until `end`, because part of a photo may be left under it."""
        insert = "INSERT OR IGNORE INTO remains VALUES (?, ?)"
        await self._in_thread(lambda: self._opened.execute(insert, (self._server, name)))

    async def end(self, name: str) -> None:
        """Delete a name: nothing is left under it."""
        delete = "DELETE FROM remains WHERE server = ? AND name = ?"
        await self._in_thread(lambda: self._opened.execute(delete, (self._server, name)))

    async def facts(self, *, max_age_s: float) -> Mapping[Fact, int]:
        """Return the facts about the server that are at most `max_age_s` seconds old."""
        select = "SELECT name, value FROM facts WHERE server = ? AND at > ?"
        values = (self._server, self._now() - max_age_s)
        rows = await self._in_thread(lambda: self._opened.execute(select, values).fetchall())
        return {Fact(name): int(value) for name, value in rows if name in set(Fact)}

    async def ages_s(self) -> Mapping[Fact, float]:
        """Return how many seconds ago each fact was stored."""
        select = "SELECT name, at FROM facts WHERE server = ?"
        rows = await self._in_thread(
            lambda: self._opened.execute(select, (self._server,)).fetchall()
        )
        now = self._now()
        return {Fact(name): now - float(at) for name, at in rows if name in set(Fact)}

    async def learn(self, fact: Fact, value: int) -> None:
        """Store a fact about the server."""
        insert = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)"
        values = (self._server, fact.value, value, self._now())
        await self._in_thread(lambda: self._opened.execute(insert, values))

    async def write_history(self, write: Callable[[HistoryWriter], T]) -> T:
        """Return what `write`, which is called in a thread, returns."""
        return await self._in_thread(
            lambda: write(HistoryWriter(self._opened, self._server, self._now()))
        )

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            with as_run_error(run_failures.LEDGER_FAILS, self.file):
                return work()

        failures = 0
        while True:
            try:
                return await to_thread.run_sync(guarded, limiter=self._one_thread)
            except RunError as error:
                failures += 1
                opened = self._database is not None
                if not (self._again and opened and await self._again(error, failures)):
                    raise

    def _open(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=LOCK_S)
        except Timeout:
            raise RunError(run_failures.LEDGER_BUSY(url=self._server, file=self.file)) from None
        self._database, self.set_aside = open_database(self.file, now=self._now)
        # an earlier run ended before it confirmed these in their album: ask the server
        self._database.execute(
            "UPDATE photos SET state = ?, albums = '[]' WHERE server = ? AND state = ?",
            (State.HASHED.value, self._server, State.SENT.value),
        )

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        self._lock.release()

    def _look_up(self, paths: Sequence[Path]) -> dict[Path, Entry]:
        keys = {_key(path): path for path in paths}
        entries = self._entries("path", keys, path_of=keys.__getitem__)
        return {entry.path: entry for entry in entries}

    def _entries(
        self, column: str, values: Collection[object], *, path_of: Callable[[bytes], Path]
    ) -> list[Entry]:
        """Return the entries with one of these values in a column, except for damaged ones."""
        marks = ",".join("?" * len(values))
        rows = self._opened.execute(
            f"SELECT {COLUMNS} FROM photos WHERE server = ? AND {column} IN ({marks})",  # noqa: S608
            (self._server, *values),
        )
        entries = []
        for row in rows:
            with suppress(ValueError, TypeError):  # damage that SQLite does not detect: hash again
                entries.append(_entry(path_of(row[0]), row))
        return entries

    def _written(self, image_ids: Collection[int]) -> dict[int, dict[str, str]]:
        marks = ",".join("?" * len(image_ids))
        rows = self._opened.execute(
            f"SELECT image_id, fields FROM written WHERE server = ? AND image_id IN ({marks})",  # noqa: S608
            (self._server, *image_ids),
        )
        written = {}
        for photo_id, text in rows:
            with suppress(ValueError, AttributeError):  # damage: as if bulkup had set nothing
                fields = json.loads(text)
                written[int(photo_id)] = {name: str(value) for name, value in fields.items()}
        return written

    def _record(self, entries: Sequence[Entry]) -> None:
        now = self._now()
        rows = [
            (
                self._server,
                now,
                _key(entry.path),
                entry.size,
                min(entry.mtime_ns, MAX_INTEGER),
                entry.md5,
                entry.state.value,
                entry.image_id,
                json.dumps(sorted(entry.albums)),
                storable(entry.error),
                entry.compared,
            )
            for entry in entries
        ]
        with transaction(self._opened) as database:
            database.executemany(INSERT, rows)

    @property
    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("the ledger is not open")
        return self._database


def _rows(server: str, numbers: Iterable[int]) -> list[tuple[str, int]]:
    return [(server, number) for number in numbers]


def _entry(path: Path, row: tuple[object, ...]) -> Entry:
    _, size, mtime_ns, md5, state, image_id, albums, error, compared, unarranged = row
    if not re.fullmatch("[0-9a-f]{32}", str(md5)):
        raise ValueError("no MD5")
    return Entry(
        path=path,
        size=int(str(size)),
        mtime_ns=int(str(mtime_ns)),
        md5=str(md5),
        state=State(str(state)),
        image_id=None if image_id is None else int(str(image_id)),
        albums=frozenset(int(album) for album in json.loads(str(albums))),
        error=str(error),
        compared=compared == 1,
        unarranged=Unarranged(int(str(unarranged))),
    )
