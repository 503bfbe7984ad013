"""Builds the settings, filters and labels of a run from the texts of flags and options."""

import os
import re
import stat
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from bulkup.app.settings import (
    AlbumTarget,
    MethodName,
    RefreshSettings,
    UploadSettings,
    VerifySettings,
    default_ledger,
    parse_after,
    parse_bwlimit,
    parse_chunk_size,
    parse_duration,
    parse_size,
)
from bulkup.engine.arrange_options import Arrangement, Cover, Sort
from bulkup.errors import UsageError
from bulkup.events import SkipReason
from bulkup.source.cells import COLUMNS, TableFile
from bulkup.source.filters import TAKEOUT_KINDS, Filters, Listing, Patterns
from bulkup.source.metadata import Labels, Template, line
from bulkup.source.renames import read_rename

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
SECOND_NS: Final = 10**9
TAKEOUT_SKIP: Final = "trashed,locked"


def build_albums(
    *,
    album: int | str | None = None,
    tree: bool = False,
    unwrap: bool = False,
    underscores_to_spaces: bool = False,
    rename_album: str | Sequence[str] = (),
    album_levels: int | None = None,
    create_albums: bool = False,
    private: bool = False,
    share_with: str | Sequence[str] = (),
    album_for_tag: str | Sequence[str] = (),
) -> AlbumTarget:
    """Return the checked albums; `/2019` is a name, 2019 a number. Raises `UsageError`."""
    if isinstance(album, str) and album.strip().isdecimal():
        album = int(album)
    path = album.strip().strip("/") if isinstance(album, str) else ""
    return AlbumTarget(
        album=album if isinstance(album, int) else None,
        names=tuple(name.strip() for name in path.split("/")) if path else (),
        create=create_albums,
        tree=tree,
        unwrap=unwrap,
        spaces=underscores_to_spaces,
        levels=album_levels,
        renames=tuple(read_rename(rule, flag="--rename-album") for rule in texts_of(rename_album)),
        private=private,
        share_with=texts_of(share_with),
        by_tag=tuple(_tag_album(rule) for rule in texts_of(album_for_tag)),
    )


def _tag_album(rule: str) -> tuple[str, tuple[str, ...]]:
    """Return the tag and the path of the album in `TAG=ALBUM`. Raises `UsageError`."""
    tag, _, album = rule.partition("=")
    path = tuple(line(name) for name in album.strip().strip("/").split("/"))
    if not (line(tag) and all(path)):
        raise UsageError(
            f"invalid value for --album-for-tag: “{rule}”",
            hint="Give a tag and an album, such as share-family=Shared/Family.",
        )
    return line(tag), path


def build_settings(
    *,
    into: AlbumTarget,
    finishing: Literal["auto"] | int,
    chunk_size: int | str,
    bwlimit: int | str,
    after: str,
    sort: Sort,
    cover: Cover,
    caddie: bool,
    link: bool,
    patience: float | str,
    ledger: str | os.PathLike[str] | None,
    no_ledger: bool,
    concurrency: int,
    level: int,
    method: MethodName,
    update: bool,
    confirm_present: bool,
    raw_as_format: bool,
    convert: bool,
    dry_run: bool,
    retries: int,
) -> UploadSettings:
    """Return the checked settings of an upload. Raises `UsageError`."""
    return UploadSettings(
        into=into,
        finishing=None if finishing == "auto" else finishing,
        chunk_size=parse_chunk_size(str(chunk_size)),
        bwlimit=parse_bwlimit(str(bwlimit)),
        after=parse_after(after),
        arrangement=Arrangement(sort=sort, cover=cover, caddie=caddie, link=link),
        patience_s=parse_duration(str(patience), flag="--patience"),
        ledger=None if no_ledger else Path(ledger or default_ledger()),
        concurrency=concurrency,
        level=level,
        method=method,
        update=update,
        confirm_present=confirm_present,
        raw_as_format=raw_as_format,
        convert=convert,
        dry_run=dry_run,
        retries=retries,
    )


def build_refresh(
    *,
    album: int | str | None = None,
    patience: float | str,
    ledger: str | os.PathLike[str] | None,
    no_ledger: bool,
    concurrency: int,
    level: int,
    overwrite: bool,
    convert: bool,
    dry_run: bool,
    retries: int,
) -> RefreshSettings:
    """Return the checked settings of refreshing metadata. Raises `UsageError`."""
    return RefreshSettings(
        into=None if album is None else build_albums(album=album),
        patience_s=parse_duration(str(patience), flag="--patience"),
        ledger=None if no_ledger else Path(ledger or default_ledger()),
        concurrency=concurrency,
        level=level,
        overwrite=overwrite,
        convert=convert,
        dry_run=dry_run,
        retries=retries,
    )


def build_verify(
    *,
    album: int | str | None,
    tree: bool,
    unwrap: bool,
    underscores_to_spaces: bool,
    rename_album: str | Sequence[str],
    album_levels: int | None,
    album_for_tag: str | Sequence[str],
    metadata: str | os.PathLike[str] | None,
    no_sidecars: bool,
    concurrency: int,
    quick: bool,
    private: bool,
    share_with: str | Sequence[str],
    sort: Sort,
    cover: Cover,
    positions: bool,
    convert: bool,
    patience: float | str,
    ledger: str | os.PathLike[str] | None,
    no_ledger: bool,
    retries: int,
) -> VerifySettings:
    """Return the checked settings of a verification. Raises `UsageError`."""
    names = underscores_to_spaces or rename_album or album_for_tag
    into = None
    if album is not None or tree or unwrap or album_levels is not None or names:
        into = build_albums(
            album=album,
            tree=tree,
            unwrap=unwrap,
            underscores_to_spaces=underscores_to_spaces,
            rename_album=rename_album,
            album_levels=album_levels,
            album_for_tag=album_for_tag,
        )
    elif metadata is not None and not positions:
        raise UsageError(
            "--metadata tells in which albums photos are, but no album is to be checked",
            hint="Give --album or --tree as for the upload, or leave out --metadata.",
        )
    return VerifySettings(
        into=into,
        sidecars=not no_sidecars,
        concurrency=concurrency,
        quick=quick,
        private=private,
        share_with=texts_of(share_with),
        arrangement=Arrangement(sort=sort, cover=cover),
        positions=positions,
        convert=convert,
        retries=retries,
        patience_s=parse_duration(str(patience), flag="--patience"),
        ledger=None if no_ledger else Path(ledger or default_ledger()),
    )


def build_filters(
    *,
    patterns: Patterns,
    files_from: str | os.PathLike[str] | None = None,
    from0: bool = False,
    newer_than: datetime | str | None = None,
    older_than: datetime | str | None = None,
    min_size: int | str | None = None,
    max_size: int | str | None = None,
    follow_symlinks: bool = False,
    no_default_excludes: bool = False,
    takeout_skip: str | Sequence[str] = TAKEOUT_SKIP,
    now_s: float | None = None,
) -> Filters:
    """Return the checked filters; ages such as `30d` count back from `now_s` (default: now).

    Raises `UsageError`.
    """
    now_ns = int((time.time() if now_s is None else now_s) * SECOND_NS)
    newer, older = (
        None if text is None else parse_moment(text, now_ns=now_ns, flag=flag)
        for text, flag in ((newer_than, "--newer-than"), (older_than, "--older-than"))
    )
    smallest, largest = (
        None if text is None else parse_size(str(text), flag=flag)
        for text, flag in ((min_size, "--min-size"), (max_size, "--max-size"))
    )
    last = None if older is None else older - 1  # the newest time that is included
    for low, high, names in (
        (newer, last, f"--newer-than {newer_than} and --older-than {older_than}"),
        (smallest, largest, f"--min-size {min_size} and --max-size {max_size}"),
    ):
        if low is not None and high is not None and low > high:
            raise UsageError(f"no file can match both {names}", hint="Swap the two values.")
    if from0 and files_from is None:
        raise UsageError("--from0 requires --files-from", hint="Give both.")
    listing = None if files_from is None else Listing(os.fspath(files_from), from0=from0)
    if listing is not None and listing.file != "-":
        _check_file(listing.file, flag="--files-from")
    return Filters(
        patterns=patterns,
        default_excludes=not no_default_excludes,
        follow_symlinks=follow_symlinks,
        newer_than_ns=newer,
        older_than_ns=older,
        min_size=smallest or 0,
        max_size=largest,
        listing=listing,
        takeout_skip=parse_takeout_skip(takeout_skip),
    )


def build_labels(
    *,
    title: str | None = None,
    tag: str | Sequence[str] = (),
    author: str | None = None,
    comment: str | None = None,
    no_sidecars: bool = False,
    no_embedded: bool = False,
    date_from_name: bool = False,
    folder_as_tag: bool = False,
    rating_as_tag: bool = False,
    people_as_tags: bool = False,
    keyword_paths: bool = False,
) -> Labels:
    """Return the checked labels. Raises `UsageError`."""
    tags = texts_of(tag)
    if not all(text.strip() for text in tags):
        raise UsageError("--tag is empty", hint="Give a name, such as --tag holidays.")
    return Labels(
        title=None if title is None else Template(title, flag="--title"),
        tags=tags,
        author=author or "",
        comment=comment or "",
        sidecars=not no_sidecars,
        embedded=not no_embedded,
        date_from_name=date_from_name,
        folder_as_tag=folder_as_tag,
        rating_as_tag=rating_as_tag,
        people_as_tags=people_as_tags,
        keyword_paths=keyword_paths,
    )


def build_table(
    *, metadata: str | os.PathLike[str] | None = None, metadata_map: str | Sequence[str] = ()
) -> TableFile | None:
    """Return the checked table of metadata, None if there is none. Raises `UsageError`."""
    texts = texts_of(metadata_map)
    if metadata is None:
        if texts:
            raise UsageError("--metadata-map requires --metadata", hint="Give both, or neither.")
        return None
    _check_file(os.fspath(metadata), flag="--metadata", hint="Name a CSV or Excel file.")
    columns: dict[str, str] = {}
    for text in texts:
        name, sign, heading = (part.strip() for part in text.partition("="))
        if not (sign and heading) or name not in COLUMNS or name in columns:
            raise UsageError(
                f"invalid value for --metadata-map: “{text}”",
                hint=f"Give one of {', '.join(COLUMNS)}, each at most once, and the name of your "
                "column, such as title=Caption.",
            )
        columns[name] = heading
    return TableFile(Path(metadata), columns)


def parse_takeout_skip(kinds: str | Sequence[str]) -> frozenset[SkipReason]:
    """Return the kinds of photos in a Google Takeout to leave out. Raises `UsageError`."""
    words = kinds.split(",") if isinstance(kinds, str) else kinds
    names = [word.strip().lower() for word in words]
    known = {kind.value: kind for kind in TAKEOUT_KINDS}
    hint = f"Give any of {', '.join(known)}, separated by commas, or none alone."
    if names == ["none"]:
        return frozenset()
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--takeout-skip knows no photos “{unknown[0]}”", hint=hint)
    if {"edited", "originals"} <= set(names):
        raise UsageError(
            "--takeout-skip would leave out both edited versions and their originals",
            hint="Give edited or originals, not both.",
        )
    return frozenset(known[name] for name in names)


def texts_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return the values of an option that is a text or several."""
    return (value,) if isinstance(value, str) else tuple(value)


def parse_moment(when: datetime | str, *, now_ns: int, flag: str) -> int:
    """Return the nanoseconds since 1970 of a time such as `2024-05-01T12:00`, or `30d` (ago).

    Dates and times without an offset are local. Raises `UsageError`.
    """
    text = when if isinstance(when, str) else when.isoformat()
    if match := re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([smhdwy])\s*", text.lower()):
        return now_ns - int(float(match[1]) * UNITS_S[match[2]] * SECOND_NS)
    try:
        moment = datetime.fromisoformat(text.strip()).astimezone()
        return (
            int(moment.replace(microsecond=0).timestamp()) * SECOND_NS + moment.microsecond * 1000
        )
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"invalid date for {flag}: “{text}”",
            hint="Give a date such as 2024-05-01, or an age such as 30d.",
        ) from None


def _check_file(
    name: str, *, flag: str, hint: str = "Name a readable file that lists paths."
) -> None:
    """Raise `UsageError` unless there is a readable file of that name."""
    reason = None
    try:
        mode = Path(name).stat().st_mode
        if stat.S_ISDIR(mode):
            reason = "it is a folder"
        elif stat.S_ISREG(mode):
            Path(name).open("rb").close()  # opening a pipe would consume its data
    except OSError as error:
        reason = error.strerror
    if reason:
        raise UsageError(f"{flag} {name}: {reason}", hint=hint)
