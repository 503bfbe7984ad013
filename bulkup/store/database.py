"""Opens the SQLite file of a ledger: its tables, schema version, checks for damage, and lock."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Final

from filelock import FileLock

from bulkup.errors import FailureKind, RunError
from bulkup.errors import run as run_failures

SCHEMA: Final = 6
TABLES: Final = """
CREATE TABLE IF NOT EXISTS photos (
    server   TEXT NOT NULL,     -- the gallery's address
    path     BLOB NOT NULL,     -- absolute, in the system's encoding
    size     INTEGER NOT NULL,  -- bytes
    mtime_ns INTEGER NOT NULL,
    md5      TEXT NOT NULL,     -- lower-case hex
    state    TEXT NOT NULL,
    image_id INTEGER,
    albums   TEXT NOT NULL,     -- JSON list of numbers
    error    TEXT NOT NULL,
    at       REAL NOT NULL,     -- seconds since 1970, of the last change
    compared INTEGER NOT NULL DEFAULT 0,  -- 1: known to be stored as it is (since version 4)
    unarranged INTEGER NOT NULL DEFAULT 0,  -- 1: added to albums, 2: sent (since version 6)
    PRIMARY KEY (server, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS remains (  -- names under which the server may hold part of a photo
    server   TEXT NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (server, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (  -- measured properties of the server (since version 2)
    server   TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    INTEGER NOT NULL,
    at       REAL NOT NULL,     -- seconds since 1970
    PRIMARY KEY (server, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (  -- history of runs (since version 3)
    id       INTEGER PRIMARY KEY,
    server   TEXT NOT NULL,
    task     TEXT NOT NULL,
    album    INTEGER NOT NULL,  -- 0: none was given
    name     TEXT NOT NULL,     -- of the album
    began    REAL NOT NULL,     -- seconds since 1970, as all times
    seen     REAL NOT NULL,     -- of its last update
    ending   TEXT NOT NULL,     -- empty: it is running, or was killed
    error    TEXT NOT NULL,     -- the error that ended it, or empty
    counts   TEXT NOT NULL      -- JSON object of numbers
);
CREATE INDEX IF NOT EXISTS runs_of ON runs (server, album, task);
CREATE TABLE IF NOT EXISTS failures (  -- that no later run has resolved (since version 3)
    server   TEXT NOT NULL,
    path     BLOB NOT NULL,
    album    INTEGER NOT NULL,  -- of the run
    code     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    hint     TEXT NOT NULL,
    size     INTEGER NOT NULL,
    run      INTEGER NOT NULL,  -- the last one in which it failed
    at       REAL NOT NULL,
    PRIMARY KEY (server, path, album)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS written (  -- metadata set by bulkup (since version 5)
    server   TEXT NOT NULL,
    image_id INTEGER NOT NULL,
    fields   TEXT NOT NULL,     -- JSON object of texts
    PRIMARY KEY (server, image_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unsorted (  -- new albums to be put in order (since version 6)
    server   TEXT NOT NULL,
    parent   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (server, parent, name)
) WITHOUT ROWID;
"""
ADDED: Final = {
    column: f"ALTER TABLE photos ADD {column} INTEGER NOT NULL DEFAULT 0"
    for column in ("compared", "unarranged")
}
"""The columns that tables of earlier versions lack, and how they get them."""

INDEX: Final = """
CREATE INDEX IF NOT EXISTS unarranged ON photos (server, image_id) WHERE unarranged > 0
"""


def open_database(
    file: Path, *, now: Callable[[], float]
) -> tuple[sqlite3.Connection, Path | None]:
    """Open or create the database; also return the new path of a damaged file, if there was one.

    Raises `RunError` if the file belongs to another program, or to a newer bulkup.
    """
    try:
        return _connect(file), None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        moved_to = _set_aside(file, now=now)
        return _connect(file), moved_to


def open_to_read(file: Path) -> sqlite3.Connection:
    """Open the database read-only; a run may write to it at the same time.

    Raises `RunError` as `open_database` does, and `sqlite3.Error` if it can't be read.
    """
    address = f"{file.absolute().as_uri()}?mode=ro"
    database = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30.0)
    database.text_factory = lambda text: text.decode("utf-8", "replace")
    try:
        _check_kind(file, database)
    except BaseException:
        database.close()
        raise
    return database


def _connect(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=30.0)
    database.text_factory = lambda text: text.decode("utf-8", "replace")  # undetected damage
    try:
        _check_kind(file, database)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        _check_whole(database)
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database


def _check_kind(file: Path, database: sqlite3.Connection) -> None:
    """Raise `RunError` for a file that is not a ledger, before anything in it is changed."""
    # in this order, because another run may be creating the tables and the version right now
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise RunError(run_failures.LEDGER_NEWER(file=file))
    if tables and not version:
        raise RunError(run_failures.LEDGER_FOREIGN(file=file))


def _set_aside(file: Path, *, now: Callable[[], float]) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now()))
    aside = file.with_name(f"{file.name}.damaged-{stamp}")
    numbered = (aside.with_name(f"{aside.name}-{number}") for number in count(2))
    free = next(name for name in chain([aside], numbered) if not name.exists())
    file.rename(free)
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)
    return free


def _check_whole(database: sqlite3.Connection) -> None:
    if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("it is damaged")


def _prepare(database: sqlite3.Connection) -> None:
    with transaction(database):
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA:
            for statement in TABLES.split(";\n"):
                database.execute(statement)
            columns = database.execute("SELECT name FROM pragma_table_info('photos')").fetchall()
            for column, statement in ADDED.items():
                if (column,) not in columns:
                    database.execute(statement)
            database.execute(INDEX)
            database.execute(f"PRAGMA user_version = {SCHEMA}")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Write everything or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextmanager
def as_run_error(kind: FailureKind, file: Path) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into a `RunError` of this kind."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise RunError(kind(file=file, reason=reason)) from None


def storable(text: str) -> str:
    """Return a text without lone surrogates, which SQLite does not store."""
    return text.encode("utf-8", "replace").decode()


def lock_of(file: Path, server: str) -> FileLock:
    """Return the lock of a ledger that a run for this server holds."""
    mark = hashlib.sha256(server.encode()).hexdigest()[:12]
    return FileLock(f"{file}.{mark}.lock", thread_local=False)
