"""Validated settings of the use cases: frozen values, and a clear error for each wrong one."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final, Literal, Self, get_args

from bulkup.errors import UsageError, check_range


@dataclass(frozen=True, slots=True)
class Timetable:
    """Limits in bytes a second, None for no limit, each from its time of day on.

    `entries` are in order of time, at least one; before the first of a day the last one holds.
    """

    entries: tuple[tuple[time, int | None], ...] = ((time(), None),)

    @classmethod
    def always(cls, limit: int | None) -> Self:
        """Return one limit for all day."""
        return cls(((time(), limit),))

    def limit(self, now: Callable[[], time]) -> int | None:
        """Return what holds now."""
        if len(self.entries) == 1:
            return self.entries[0][1]
        moment = now()
        open_run = [limit for begin, limit in self.entries if begin <= moment]
        return open_run[-1] if open_run else self.entries[-1][1]


NO_LIMIT: Final = Timetable()


def local_time() -> time:
    """Return the time of day on the clock on the wall."""
    return datetime.now(UTC).astimezone().time()


UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
LEVELS: Final = (0, 1, 2, 4, 8)
MOST_CONCURRENT: Final = 64
SMALLEST_CHUNK: Final = 4096
LARGEST_CHUNK: Final = 1024**3
LEAST_RATE: Final = 1024
REPORTS: Final = frozenset({".csv", ".jsonl", ".html"})
RATE_HINT: Final = "Give a rate like 500K or 2M, off, or a time table like 08:00,1M 23:00,off."

Level = Literal[0, 1, 2, 4, 8]
After = Path | Literal["trash"]
MethodName = Literal["auto", "async", "upload", "legacy"]


@dataclass(frozen=True, slots=True)
class Caution:
    """Something about the settings that the user should know, and what to do about it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who logs in to which gallery: a user with a password, or an API key.

    `ca_cert` is a file of certificates to trust besides the system's, `insecure` trusts any.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    ca_cert: Path | None = None
    insecure: bool = False
    cautions: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        for what, text in (
            ("address", self.url),
            ("user name", self.user),
            ("password", self.password),
        ):
            if any("\ud800" <= c <= "\udfff" for c in text):
                raise UsageError(
                    f"the {what} is not UTF-8 text",
                    hint="Check the encoding of the terminal, or of what sets the environment.",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumTarget:
    """Which albums photos go to: the one of a number, or on a path of names, or of the folders.

    With neither number nor names, the folders' albums are at the gallery's top.
    """

    album: int | None = None
    names: tuple[str, ...] = ()
    create: bool = False
    tree: bool = False
    unwrap: bool = False
    spaces: bool = False
    private: bool = False

    def __post_init__(self) -> None:
        if self.album is not None:
            check_range("--album", self.album, least=1, most=2**31 - 1)
        elif not self.names and not self.tree:
            raise UsageError("the album is missing", hint="Give its number or name: --album N.")
        if "" in self.names:
            raise UsageError(
                "--album holds an empty name", hint="Give names such as Trips/2019, or a number."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """Where photos go and how, all of it valid; sizes in bytes, times in seconds.

    `chunk_size` None: as large as the server and the line bear; `finishing` None: as many photos
    at once as do the server good. `bwlimit` holds for all that goes out. `ledger` is the file
    that remembers, None to do without. `after` is where the files go in the end: a folder, the
    trash, or None, where they are.
    """

    into: AlbumTarget
    concurrency: int = 8
    finishing: int | None = None
    level: int = 0
    chunk_size: int | None = None
    bwlimit: Timetable = NO_LIMIT
    method: MethodName = "auto"
    dry_run: bool = False
    update: bool = False
    raw_as_format: bool = False
    retries: int = 5
    patience_s: float = 3600.0
    ledger: Path | None = None
    after: After | None = None

    def __post_init__(self) -> None:
        if self.update and self.ledger is None:
            raise UsageError(
                "--update needs the ledger, which knows what each file was uploaded as",
                hint="Leave out --no-ledger.",
            )
        check_range("--concurrency", self.concurrency, least=1, most=MOST_CONCURRENT)
        if self.finishing is not None:
            check_range("--finishing", self.finishing, least=1, most=MOST_CONCURRENT)
        check_range("--retries", self.retries, least=0, most=1000)
        if self.method not in get_args(MethodName):  # by programs
            raise UsageError(
                f"--method {self.method} is none of its values",
                hint=f"Give one of {', '.join(get_args(MethodName))}.",
            )
        if self.level not in LEVELS:
            raise UsageError(
                f"--level {self.level} is none of Piwigo's privacy levels",
                hint="Give 0 (everybody), 1 (contacts), 2 (friends), 4 (family) or 8 (admins).",
            )
        if self.chunk_size is not None and not (
            SMALLEST_CHUNK <= self.chunk_size <= LARGEST_CHUNK
        ):
            raise UsageError(
                "--chunk-size is out of range", hint="Give a size from 4K to 1G, like 500K or 2M."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """What a gallery is checked for and how, all of it valid; times in seconds.

    `into` tells the albums that photos must be in, None: they may be anywhere in the gallery.
    `sidecars` is whether folders' albums are called what files in them say. `ledger` as for
    `UploadSettings`.
    """

    into: AlbumTarget | None = None
    sidecars: bool = True
    concurrency: int = 4
    quick: bool = False
    retries: int = 5
    patience_s: float = 3600.0
    ledger: Path | None = None

    def __post_init__(self) -> None:
        check_range("--concurrency", self.concurrency, least=1, most=MOST_CONCURRENT)
        check_range("--retries", self.retries, least=0, most=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorSettings:
    """What a check-up is for, all of it valid; `album` None: none is chosen yet."""

    album: int | None = None
    ledger: Path | None = None

    def __post_init__(self) -> None:
        if self.album is not None:
            check_range("--album", self.album, least=1, most=2**31 - 1)


def parse_size(text: str, *, flag: str) -> int:
    """Return the bytes that a text such as `500K`, `2M` or `1.5 MB` means; K is 1024.

    Raises `UsageError` where it means none.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*([kmg]?)(?:i?b)?\s*", text.lower())
    if match is None:
        raise UsageError(
            f"{flag} “{text}” is no size", hint="Give a number of bytes, or one like 500K or 2M."
        )
    return int(float(match[1]) * UNITS[match[2]])


def parse_bwlimit(text: str) -> Timetable:
    """Return what a text such as `2M`, `off` or `08:00,1M 23:00,off` means, in bytes a second.

    Raises `UsageError` where it means nothing.
    """
    if "," not in text:
        return Timetable.always(_parse_rate(text))
    entries: dict[time, int | None] = {}
    for entry in text.split():
        match = re.fullmatch(r"(\d\d?):(\d\d),(.+)", entry, flags=re.ASCII)
        if match is None or int(match[1]) > 23 or int(match[2]) > 59:
            raise UsageError(f"--bwlimit “{entry}” is no time with a rate", hint=RATE_HINT)
        begin = time(int(match[1]), int(match[2]))
        if begin in entries:
            raise UsageError(f"--bwlimit has two rates for {begin:%H:%M}", hint=RATE_HINT)
        entries[begin] = _parse_rate(match[3])
    return Timetable(tuple(sorted(entries.items())))


def _parse_rate(text: str) -> int | None:
    if text.strip().lower() == "off":
        return None
    try:
        rate = parse_size(text, flag="--bwlimit")
    except UsageError:
        raise UsageError(f"--bwlimit “{text}” is no rate", hint=RATE_HINT) from None
    if rate < LEAST_RATE:
        raise UsageError(f"--bwlimit {text} is too slow", hint="Give 1K or more, or off.")
    return rate


def parse_duration(text: str, *, flag: str) -> float:
    """Return the seconds that a text such as `90`, `15m` or `2h` means.

    Raises `UsageError` where it means none.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*([smhd]?)\s*", text.lower())
    if match is None:
        raise UsageError(
            f"{flag} “{text}” is no time", hint="Give seconds, or a time like 15m or 2h."
        )
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def need(value: str | None, *, flag: str, variable: str, what: str) -> str:
    """Return a value that the run can't do without. Raises `UsageError` where it is missing."""
    if not value:
        raise UsageError(f"{what} is missing", hint=f"Give {flag}, or set {variable}.")
    return value


def default_ledger() -> Path:
    """Return the ledger's place in the platform's folder for state."""
    from platformdirs import user_state_path  # noqa: PLC0415 (only where it is needed)

    return user_state_path("bulkup", appauthor=False) / "ledger.sqlite"
