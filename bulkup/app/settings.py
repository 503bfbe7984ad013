"""Validated settings of the use cases, and the parsers of their text forms.

Errors name the command-line flag of a value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final, Literal, Self, get_args

from bulkup.engine.arrange_options import NOTHING, Arrangement
from bulkup.errors import UsageError, check_range
from bulkup.source.metadata import LEVELS
from bulkup.source.renames import Rename


@dataclass(frozen=True, slots=True)
class Timetable:
    """Rate limits in bytes per second (None: no limit), each starting at a time of day.

    `entries` are sorted by time; there is at least one. Before the first entry of a day, the last
    one applies.
    """

    entries: tuple[tuple[time, int | None], ...] = ((time(), None),)

    @classmethod
    def always(cls, limit: int | None) -> Self:
        """Return a timetable with the same limit all day."""
        return cls(((time(), limit),))

    def limit(self, now: Callable[[], time]) -> int | None:
        """Return the current limit."""
        if len(self.entries) == 1:
            return self.entries[0][1]
        moment = now()
        started = [limit for begin, limit in self.entries if begin <= moment]
        return started[-1] if started else self.entries[-1][1]


NO_LIMIT: Final = Timetable()


def local_time() -> time:
    """Return the local time of day."""
    return datetime.now(UTC).astimezone().time()


UNITS: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
MOST_CONCURRENT: Final = 64
SMALLEST_CHUNK: Final = 4096
LARGEST_CHUNK: Final = 1024**3
LEAST_RATE: Final = 1024
REPORTS: Final = frozenset({".csv", ".jsonl", ".html"})
RATE_HINT: Final = "Give a rate like 500K or 2M, off, or a timetable like 08:00,1M 23:00,off."

Level = Literal[0, 1, 2, 4, 8]
After = Path | Literal["trash"]
MethodName = Literal["auto", "async", "upload", "legacy"]


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning about the settings, and what to do about it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A gallery and how to log in to it: with a user and a password, or with an API key.

    `ca_cert` is a PEM file of certificates to trust in addition to the system's. `insecure` skips
    certificate verification. `client_cert` and `client_key` are PEM files of this client's own
    certificate; the key may be in the former. `http_user` and `http_password` are for a web
    server that asks for a password in front of Piwigo. `headers` are sent with every request.
    `proxy` is an HTTP proxy's URL, perhaps with user and password, `off`, or empty for that of the
    environment.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    ca_cert: Path | None = None
    insecure: bool = False
    client_cert: Path | None = None
    client_key: Path | None = None
    http_user: str = ""
    http_password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: str = field(default="", repr=False)
    cautions: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        for what, text in (
            ("address", self.url),
            ("user name", self.user),
            ("password", self.password),
            ("HTTP user", self.http_user),
            ("HTTP password", self.http_password),
            ("proxy", self.proxy),
        ):
            if any("\ud800" <= c <= "\udfff" for c in text):
                raise UsageError(
                    f"the {what} is not UTF-8 text",
                    hint="Check the encoding of the terminal, or the source of the environment.",
                )

    def without_secrets(self) -> Self:
        """Return the account without passwords, keys, headers, and the proxy if it has one."""
        return replace(
            self,
            password="",
            api_key="",
            client_cert=None,
            client_key=None,
            http_password="",
            headers={},
            proxy="" if "@" in self.proxy else self.proxy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumTarget:
    """Albums to upload to: an album's number, its path of names, or albums made from folders.

    Without number and names, the albums of `tree` are at the top level of the gallery. `by_tag`
    are tags, and the paths of further albums for photos that have them.
    """

    album: int | None = None
    names: tuple[str, ...] = ()
    create: bool = False
    tree: bool = False
    unwrap: bool = False
    spaces: bool = False
    renames: tuple[Rename, ...] = ()
    levels: int | None = None
    private: bool = False
    share_with: tuple[str, ...] = ()
    by_tag: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __post_init__(self) -> None:
        for given, flag in (
            (self.unwrap, "--unwrap"),
            (self.spaces, "--underscores-to-spaces"),
            (self.renames, "--rename-album"),
            (self.levels is not None, "--album-levels"),
        ):
            if given and not self.tree:
                raise UsageError(f"{flag} requires --tree", hint="Give both, or neither.")
        if self.levels is not None:
            check_range("--album-levels", self.levels, least=1, most=1000)
        if self.album is not None:
            check_range("--album", self.album, least=1, most=2**31 - 1)
        elif not self.names and not self.tree:
            raise UsageError(
                "the album is missing",
                hint="Give its number or name with --album N (the number is in the album's "
                "URL), or create albums from folders with --tree.",
            )
        if "" in self.names:
            raise UsageError(
                "--album contains an empty name",
                hint="Give names such as Trips/2019, or a number.",
            )
        if self.private and not (self.tree or self.create or self.by_tag):
            raise UsageError(
                "--private only affects new albums", hint="Give --tree or --create-albums too."
            )
        check_share_with(self.share_with, private=self.private)


def check_level(level: int) -> None:
    """Raise `UsageError` if this is no privacy level."""
    if level not in LEVELS:
        raise UsageError(
            f"invalid value for --level: {level}",
            hint="Give 0 (everybody), 1 (contacts), 2 (friends), 4 (family) or 8 (admins).",
        )


def check_share_with(names: tuple[str, ...], *, private: bool) -> None:
    """Raise `UsageError` if albums can't be shared like this."""
    if names and not private:
        raise UsageError(
            "--share-with requires --private",
            hint="Everybody sees public albums: give both, or neither.",
        )
    if not all(name.strip() for name in names):
        raise UsageError("--share-with is empty", hint="Give the name of a group or of a user.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """Settings of every run on photos; `ledger` None disables the ledger.

    Raises `UsageError` for invalid values, as its subclasses do.
    """

    concurrency: int = 8
    convert: bool = False
    retries: int = 5
    patience_s: float = 3600.0
    ledger: Path | None = None

    def __post_init__(self) -> None:
        check_range("--concurrency", self.concurrency, least=1, most=MOST_CONCURRENT)
        check_range("--retries", self.retries, least=0, most=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings(TaskSettings):
    """Settings of an upload; sizes in bytes.

    `chunk_size` None adapts to the server and the connection, `finishing` None to the server's
    PHP workers. `bwlimit` limits all outgoing data. `after` moves uploaded files to a folder or
    the trash; None keeps them.
    """

    into: AlbumTarget
    finishing: int | None = None
    level: int = 0
    chunk_size: int | None = None
    bwlimit: Timetable = NO_LIMIT
    method: MethodName = "auto"
    dry_run: bool = False
    update: bool = False
    confirm_present: bool = False
    raw_as_format: bool = False
    arrangement: Arrangement = field(default_factory=Arrangement)
    after: After | None = None

    def __post_init__(self) -> None:
        if self.update and self.ledger is None:
            raise UsageError(
                "--update needs the ledger, which records the uploaded version of each file",
                hint="Leave out --no-ledger.",
            )
        TaskSettings.__post_init__(self)
        if self.finishing is not None:
            check_range("--finishing", self.finishing, least=1, most=MOST_CONCURRENT)
        if self.method not in get_args(MethodName):  # only from programs
            raise UsageError(
                f"invalid value for --method: {self.method}",
                hint=f"Give {', '.join(get_args(MethodName)[:-1])} or {get_args(MethodName)[-1]}.",
            )
        check_level(self.level)
        if self.chunk_size is not None and not (
            SMALLEST_CHUNK <= self.chunk_size <= LARGEST_CHUNK
        ):
            raise UsageError(
                "--chunk-size is out of range", hint="Give a size from 4K to 1G, like 500K or 2M."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings(TaskSettings):
    """Settings of a verification.

    `into` None accepts photos anywhere in the gallery; otherwise, `private` checks that their
    albums are private, and `share_with` who sees these. `sidecars` names albums after titles from
    Google Takeout. `arrangement` has the order and the cover that albums have to have. With
    `positions`, photos have to have a position if their sources do.
    """

    into: AlbumTarget | None = None
    sidecars: bool = True
    concurrency: int = 4
    quick: bool = False
    private: bool = False
    share_with: tuple[str, ...] = ()
    positions: bool = False
    arrangement: Arrangement = NOTHING

    def __post_init__(self) -> None:
        if self.into is None and self.arrangement != NOTHING:
            raise UsageError(
                "--sort and --cover check albums, but no album is to be checked",
                hint="Give --album or --tree as for the upload.",
            )
        if self.private and self.into is None:
            raise UsageError(
                "--private checks the albums of the photos, but none are named",
                hint="Give --album or --tree as for the upload, or leave out --private.",
            )
        check_share_with(self.share_with, private=self.private)
        TaskSettings.__post_init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSettings(TaskSettings):
    """Settings of refreshing metadata.

    `into` None accepts photos anywhere in the gallery. A `level` above 0 is set for all photos.
    With `overwrite`, values edited in the gallery are replaced.
    """

    into: AlbumTarget | None = None
    level: int = 0
    overwrite: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        TaskSettings.__post_init__(self)
        check_level(self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorSettings:
    """Settings of the doctor; `album` None checks no album. Raises `UsageError`.

    With `fill_md5`, the gallery computes missing MD5s.
    """

    album: int | None = None
    ledger: Path | None = None
    fill_md5: bool = False

    def __post_init__(self) -> None:
        if self.album is not None:
            check_range("--album", self.album, least=1, most=2**31 - 1)


def parse_size(text: str, *, flag: str) -> int:
    """Return the bytes of a text such as `500K`, `2M` or `1.5 MB`; K is 1024.

    Raises `UsageError`.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*([kmg]?)(?:i?b)?\s*", text.lower())
    if match is None:
        raise UsageError(
            f"invalid size for {flag}: “{text}”", hint="Give bytes, or a size like 500K or 2M."
        )
    return int(float(match[1]) * UNITS[match[2]])


def parse_chunk_size(text: str) -> int | None:
    """Return the bytes of a text such as `500K`, None for `auto`. Raises `UsageError`."""
    return None if text.lower() == "auto" else parse_size(text, flag="--chunk-size")


def parse_after(text: str) -> After | None:
    """Return what `none`, `trash` or `move:DIR` names, None to keep files. Raises `UsageError`."""
    if text in {"", "none"}:
        return None
    if text == "trash":
        return "trash"
    kind, _, folder = text.partition(":")
    if kind != "move" or not folder.strip():
        raise UsageError(
            f"invalid value for --after: “{text}”",
            hint="Give none, trash, or move: with a folder, such as move:/home/me/done.",
        )
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise UsageError(
            f"--after “{text}”: no such user", hint="Give the folder's full path."
        ) from None


def parse_bwlimit(text: str) -> Timetable:
    """Return the limits of a text such as `2M`, `off` or `08:00,1M 23:00,off`.

    Raises `UsageError`.
    """
    if "," not in text:
        return Timetable.always(_parse_rate(text))
    entries: dict[time, int | None] = {}
    for entry in text.split():
        match = re.fullmatch(r"(\d\d?):(\d\d),(.+)", entry, flags=re.ASCII)
        if match is None or int(match[1]) > 23 or int(match[2]) > 59:
            raise UsageError(f"invalid entry for --bwlimit: “{entry}”", hint=RATE_HINT)
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
        raise UsageError(f"invalid rate for --bwlimit: “{text}”", hint=RATE_HINT) from None
    if rate < LEAST_RATE:
        raise UsageError(f"--bwlimit {text} is too slow", hint="Give 1K or more, or off.")
    return rate


def parse_duration(text: str, *, flag: str) -> float:
    """Return the seconds of a text such as `90`, `15m` or `2h`. Raises `UsageError`."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d+)?)\s*([smhd]?)\s*", text.lower())
    if match is None:
        raise UsageError(
            f"invalid time for {flag}: “{text}”", hint="Give seconds, or a time like 15m or 2h."
        )
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def require(value: str | None, *, flag: str, variable: str, what: str) -> str:
    """Return a required value. Raises `UsageError` if it is missing."""
    if not value:
        raise UsageError(f"{what} is missing", hint=f"Give {flag}, or set {variable}.")
    return value


def default_ledger() -> Path:
    """Return the default ledger file, in the platform's state folder."""
    from platformdirs import user_state_path  # noqa: PLC0415 (only where it is needed)

    return user_state_path("bulkup", appauthor=False) / "ledger.sqlite"
