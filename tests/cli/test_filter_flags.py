"""Filter flags: the order of patterns, contradictions, files that list paths."""

import os
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from bulkup.app.options import SECOND_NS
from bulkup.cli import app
from bulkup.cli.filter_flags import FilterFlags
from bulkup.errors import UsageError
from bulkup.source.filters import EVERYTHING, Filters, Listing

NOW_NS = 1_700_000_000 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS


def read(*arguments: str | Path) -> tuple[tuple[Path, ...], FilterFlags]:
    """Return the paths and the flags of a command line."""
    words = ["upload", *map(str, arguments)]
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    return bound.args, bound.arguments.get("selection", FilterFlags())


def filters(*arguments: str | Path) -> Filters:
    return read(*arguments)[1].filters(now_s=NOW_NS / SECOND_NS)


def taken(chosen: Filters, *paths: str) -> list[str]:
    return [path for path in paths if not chosen.excludes(path)]


def test_flags_become_filters_and_the_default_excludes_system_files() -> None:
    chosen = filters(
        *("--min-size", "1K", "--max-size", "2M", "--newer-than", "2d", "--older-than", "1d"),
        *("--follow-symlinks", "--no-default-excludes"),
    )
    assert chosen == Filters(
        default_excludes=False,
        follow_symlinks=True,
        newer_than_ns=NOW_NS - 2 * DAY_NS,
        older_than_ns=NOW_NS - DAY_NS,
        min_size=1024,
        max_size=2 * 1024**2,
    )
    assert filters("--max-size", "0").max_size == 0
    assert filters() == EVERYTHING


# patterns


def test_patterns_keep_their_order_among_paths_and_other_flags(tmp_path: Path) -> None:
    file = tmp_path / "a=b"
    file.write_text("*.tif\n!c.tif\n")
    paths, flags = read(
        *("one", "--exclude", "raw/", "two", "--include", "a=b.jpg", "--min-size", "1"),
        *("--exclude-from", file, "--exclude=-x", "--include", "d.tif", "three"),
    )
    assert paths == (Path("one"), Path("two"), Path("three"))
    assert flags.patterns == (
        *("--exclude=raw/", "--include=a=b.jpg", f"--exclude-from={file}", "--exclude=-x"),
        "--include=d.tif",
    )


def test_the_order_of_patterns_matters() -> None:
    paths, raw, jpg = (
        ["raw/a.jpg", "raw/a.png", "a.png"],
        ("--exclude", "raw/"),
        ("--include", "*.jpg"),
    )
    assert taken(filters(*raw, *jpg), *paths) == ["raw/a.jpg", "a.png"]
    assert taken(filters(*jpg, *raw), *paths) == []
    assert taken(filters(*jpg), *paths) == ["raw/a.jpg"]


def test_patterns_of_a_file_apply_at_its_position(tmp_path: Path) -> None:
    file, empty = tmp_path / "ignore", ("--exclude-from", os.devnull)
    file.write_bytes(b"\xef\xbb\xbf*.tif\r\n!c.tif\r\n\xff*\r\n")
    paths = ["a.tif", "c.tif", "d.jpg", os.fsdecode(b"\xff.jpg")]
    assert taken(filters("--exclude-from", file), *paths) == ["c.tif", "d.jpg"]
    assert taken(filters("--exclude-from", file, "--include", "a.*"), *paths) == paths[:3]
    assert taken(filters("--include", "a.*", "--exclude-from", file), *paths) == ["c.tif"]
    assert taken(filters(*empty), "a") == taken(filters(*empty, "--include", "b"), "a") == ["a"]


def test_errors_in_a_file_of_patterns_name_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "ignore").write_text("a\n[z-a]\n")
    for name, words in (
        ("gone", "--exclude-from {}: "),
        (".", "--exclude-from {}: "),
        ("ignore", "{}, line 2"),
    ):
        with pytest.raises(UsageError, match=words.format(tmp_path / name)):
            filters("--exclude-from", tmp_path / name)


def test_a_pattern_is_required() -> None:
    for flag in ("--include", "--exclude", "--exclude-from"):
        with pytest.raises(CycloptsError, match=flag):
            read("one", flag)


# what contradicts itself


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--newer-than", "1d", "--older-than", "2d"], "both --newer-than 1d and --older-than 2d"),
        (["--newer-than", "2024-01-01", "--older-than", "2024-01-01"], "no file can match both"),
        (["--min-size", "2M", "--max-size", "1M"], "both --min-size 2M and --max-size 1M"),
        (["--max-size", ""], "invalid size for --max-size: “”"),
        (["--include", "!a"], "--include “!a”"),
    ],
)
def test_contradictions_and_wrong_values_are_refused(arguments: list[str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        filters(*arguments)


# lists


def test_a_list_is_not_read_in_advance(tmp_path: Path) -> None:
    file, pipe = tmp_path / "list", tmp_path / "pipe"
    file.write_text("a\n")
    os.mkfifo(pipe)
    assert filters("--files-from", file).listing == Listing(str(file))
    assert filters("--files-from", file, "--from0").listing == Listing(str(file), from0=True)
    assert filters("--files-from", pipe).listing == Listing(str(pipe))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_list_without_permission_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.touch(mode=0)
    with pytest.raises(UsageError, match="Permission denied"):
        filters("--files-from", file)
