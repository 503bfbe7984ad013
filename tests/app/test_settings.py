"""Settings: sizes, times, ages and ranges as people write them, and secrets that never show."""

import re
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path
from time import tzset
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulkup.app import settings
from bulkup.app.credentials import read_api_key, read_password
from bulkup.app.options import SECOND_NS, parse_moment
from bulkup.app.settings import Account, AlbumTarget, Timetable, parse_duration, parse_size
from bulkup.errors import UsageError

SECRET = "hunter2-secret"
LONG_KEY = f"pkid-20260714-AbCdEf0123456789abcd:{'s' * 40}"


def reported(error: UsageError) -> str:
    return f"{error} {error!r} {error.message} {error.hint} {error.args}"


# sizes and times


Parse = Callable[[str], float | None]
NOW_NS = 1_700_000_000 * SECOND_NS
M, DAY_S = 1024**2, 86_400
size, duration = partial(parse_size, flag="--chunk-size"), partial(parse_duration, flag="--every")
moment = partial(parse_moment, now_ns=NOW_NS, flag="--newer-than")


def ago_s(text: str) -> float:
    """Return how many seconds before now a moment is."""
    at_ns = moment(text)
    assert at_ns is not None
    return (NOW_NS - at_ns) / SECOND_NS


@pytest.mark.parametrize(
    ("parse", "values"),
    [
        (
            size,
            {"0": 0, "4096": 4096, "2M": 2 * M, " 2M ": 2 * M, "1.5 MB": 1.5 * M, "1g": 1024 * M},
        ),
        (size, dict.fromkeys(["500K", "500k", "500 kB", "500KiB"], 512_000)),
        (
            duration,
            {"0": 0, "90": 90, "90s": 90, "15m": 900, "2h": 7200, "1.5H": 5400, "1d": DAY_S},
        ),
        (ago_s, {"0s": 0, "90s": 90, "15m": 900, "12h": DAY_S / 2, " 1.5D ": 1.5 * DAY_S}),
        (ago_s, {"30d": 30 * DAY_S, "2w": 14 * DAY_S, "1y": 365 * DAY_S}),
        (ago_s, {"2023-11-14T22:13:20Z": 0, "2023-11-14T22:13:20+00:00": 0}),
        (ago_s, {"2023-11-14T23:13:19.5+01:00": 0.5}),
    ],
)
def test_sizes_and_times_may_be_like_this(parse: Parse, values: dict[str, float]) -> None:
    assert {text: parse(text) for text in values} == values


@pytest.mark.parametrize(
    ("parse", "flag", "example", "texts"),
    [
        (size, "--chunk-size", "500K", ["K", "1e6", "1,5M", "2T", "M2", "1..5M", "0x10"]),
        (duration, "--every", "15m", ["m", "1w", "1h30m", "soon"]),
        (
            moment,
            "--newer-than",
            "2024-05-01",
            ["30", "2024", "2024-05", "2024-13-01", "-3d", "d"],
        ),
        (moment, "--newer-than", "2024-05-01", ["01.05.2024", "yesterday"]),
    ],
)
def test_sizes_and_times_may_not_be_these(
    parse: Parse, flag: str, example: str, texts: list[str]
) -> None:
    for text in ("", "-1", "nan", "inf", "9" * 400, *texts):
        with pytest.raises(UsageError, match=flag) as caught:
            parse(text)
        assert example in caught.value.hint


@given(
    text=st.text(max_size=25)
    | st.from_regex(r"\s*[0-9.]{0,12}\s*\w{0,3}", fullmatch=True)
    | st.dates().map(str)
    | st.datetimes().map(str)
)
def test_any_text_is_a_size_and_a_time_or_a_mistake_of_the_user(text: str) -> None:
    for parse in (size, duration):
        with suppress(UsageError):
            assert 0 <= parse(text) < float("inf")
    with suppress(UsageError):
        moment(text)
    with suppress(UsageError):
        assert settings.parse_bwlimit(text).entries


@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna", "America/St_Johns"])
@pytest.mark.parametrize(
    "text", ["2024-05-01", "2024-05-01T12:00", "2024-12-24 18:30:05", "1960-01-01T00:00:00.25"]
)
def test_dates_and_times_are_local(zone: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        tzset()
        assert moment(text) == int(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000
    tzset()


# limits by the time of day


@pytest.mark.parametrize(
    ("texts", "entries"),
    [
        (["2M"], [(time(), 2 * 1024**2)]),
        ([" 1.5 MB "], [(time(), 3 * 512 * 1024)]),
        (["off", "OFF"], [(time(), None)]),
        (["1K"], [(time(), 1024)]),
        (["08:00,1M 23:00,off", "23:00,off  8:00,1M"], [(time(8), 1024**2), (time(23), None)]),
        (["0:00,512k"], [(time(), 512 * 1024)]),
        (["23:59,4096"], [(time(23, 59), 4096)]),
    ],
)
def test_limits_may_be_so(texts: list[str], entries: list[tuple[time, int | None]]) -> None:
    for text in texts:
        assert settings.parse_bwlimit(text) == Timetable(tuple(entries))


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["", "-1", "08:00"], "invalid rate"),
        (["fast"], "invalid rate for --bwlimit: “fast”"),
        (["0", "1000"], "too slow"),
        (["08:00,1M 23:00"], "invalid entry for --bwlimit: “23:00”"),
        (["08:00,1M,23:00,off"], "invalid rate for --bwlimit: “1M,23:00,off”"),
        (["08:00,"], "invalid entry for --bwlimit: “08:00,”"),
        (["24:00,1M", "08:60,1M", "8,1M", "Mon-08:00,1M", ","], "invalid entry"),
        (["08:00,2T"], "invalid rate for --bwlimit: “2T”"),
        (["8:00,1M 08:00,off"], "two rates for 08:00"),
    ],
)
def test_a_limit_may_not_be_written_like_this(texts: list[str], words: str) -> None:
    for text in texts:
        with pytest.raises(UsageError, match="--bwlimit") as caught:
            settings.parse_bwlimit(text)
        assert words in caught.value.message
        assert "off" in caught.value.hint


entries = st.dictionaries(st.times(), st.none() | st.integers(1, 10**9), min_size=1, max_size=8)
DAY = {time(8): 1000, time(18, 30): 5000, time(23): None}
NIGHT = {time(1): 1000, time(2, 30): None}


@given(entries=entries, now=st.times())
@example(DAY, time(7, 59, 59, 999_999))  # over midnight
@example(DAY, time(8))
@example(DAY, time(23))
@example(NIGHT, time(3))  # the clock went on from 1:59 to 3:00
@example(NIGHT, time(2))  # after 2:59 it is 2:00 once more
def test_it_is_the_limit_that_began_last(entries: dict[time, int | None], now: time) -> None:
    def ago(begin: time) -> float:
        day = datetime(2026, 1, 2, tzinfo=UTC)
        at, began = (datetime.combine(day, t, tzinfo=UTC) for t in (now, begin))
        return ((at - began) % timedelta(days=1)).total_seconds()

    table = Timetable(tuple(sorted(entries.items())))
    assert table.limit(lambda: now) == entries[min(entries, key=ago)]


def test_without_a_table_nobody_looks_at_the_clock_which_shows_a_time_without_a_zone() -> None:
    def never() -> time:
        raise AssertionError

    assert settings.NO_LIMIT.limit(never) is None
    assert Timetable(((time(), 5),)).limit(never) == 5
    assert settings.local_time().tzinfo is None


# ranges


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("concurrency", [1, 64], [0, 65]),
        ("finishing", [1, 64], [0, 65]),
        ("retries", [0, 1000], [-1, 1001]),
        ("level", [8], [3]),
        ("chunk_size", [4096, 1024**3, None], [4095, 1024**3 + 1]),
    ],
)
def test_values_out_of_range_are_named(field: str, good: list[int | None], bad: list[int]) -> None:
    sending = settings.UploadSettings(into=AlbumTarget(album=9))
    for value in good:
        replace(sending, **{field: value})  # type: ignore[arg-type]
    for value in bad:
        with pytest.raises(UsageError, match=f"--{field.replace('_', '-')}\\b") as caught:
            replace(sending, **{field: value})  # type: ignore[arg-type]
        assert "Give" in caught.value.hint


def test_an_album_is_a_number_or_names_or_the_top_of_a_tree() -> None:
    good: list[dict[str, Any]] = [{"album": 1}, {"names": ("a", "b")}, {"tree": True}]
    bad: list[dict[str, Any]] = [*({"album": n} for n in (0, -5, 2**31)), {"names": ("a", "")}, {}]
    for values in good:
        AlbumTarget(**values)
    for values in bad:
        with pytest.raises(UsageError, match="album"):
            AlbumTarget(**values)


# passwords


def password(
    *, file: Path | None = None, command: str | None = None, variable: str | None = None
) -> str:
    variables = {} if variable is None else {"BULKUP_PASSWORD": variable}
    return read_password(file=file, command=command, variables=variables)


def printing(text: str, *, code: int = 0) -> str:
    program = f"import sys; print({text!r}); sys.exit({code})"
    return shlex.join([sys.executable, "-S", "-c", program])


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        *((SECRET.encode() + rest, SECRET) for rest in (b"", b"\n", b"\r\n", b"\nmore\n")),
        (b"\xef\xbb\xbfhunter2-secret\r\n", SECRET),
        (b" a b \n", " a b "),  # blanks belong to it
    ],
)
def test_a_files_first_line_is_the_password(tmp_path: Path, content: bytes, secret: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert password(file=file) == secret


def test_a_file_goes_before_a_command_and_that_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("of the file\n")
    command = printing("of the command\nmore")
    assert password(file=file, command=command, variable="x") == "of the file"
    assert password(command=command, variable="x") == "of the command"
    assert password(variable="x") == "x"
    assert password(variable="") == password() == ""
    file.write_text("pkid-1:of-the-file\n")
    variables = {"BULKUP_API_KEY": "pkid-1:x"}
    assert read_api_key(file=file, variables=variables) == "pkid-1:of-the-file"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        *(("secret", content, "is empty") for content in (b"", b"\n", b"\nsecret\n")),
        ("gone", b"", "No such file or directory"),
        (".", b"", "Is a directory"),
        ("secret", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_file_without_a_legible_first_line_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(UsageError, match=reason):
        password(file=tmp_path / name)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (printing(SECRET, code=7), "failed with exit code 7"),
        ("true", "--password-command is empty"),
        ("nosuchcommand-bulkup 2>/dev/null", "exit code 127"),
    ],
    ids=["fails", "prints nothing", "is not there"],
)
def test_a_command_without_a_password_is_refused_without_its_words(
    command: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        password(command=command)
    assert SECRET not in reported(caught.value).replace(command, "")


# accounts


def test_no_secret_stands_in_the_text_of_an_account() -> None:
    account = Account(url="http://x/", user="admin", password=SECRET, api_key=f"pkid-1:{SECRET}")
    assert SECRET not in f"{account} {account!r}"
    assert SECRET not in repr(replace(account, user="bob"))


def test_what_is_not_utf8_can_not_be_sent_and_is_refused_without_showing_it() -> None:
    for field in ("url", "user", "password"):
        with pytest.raises(UsageError, match="UTF-8") as caught:
            replace(Account(url="http://x/"), **{field: f"{SECRET}\udcff"})  # type: ignore[arg-type]
        assert SECRET not in reported(caught.value)


# API keys


def api_key(text: str) -> str:
    return read_api_key(file=None, variables={"BULKUP_API_KEY": text})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        *((f" {key}\n", key) for key in (LONG_KEY, "pkid-1:x", "pkid-20260714-AbC_d:a+/=!:b")),
        *((none, "") for none in ("", "  ", "\n")),
    ],
)
def test_an_api_key_has_two_parts_and_an_empty_variable_is_none(text: str, key: str) -> None:
    assert api_key(text) == key


@given(text=st.text())
@example("1:x")
@example("pkid-1:")
@example("pkid-1 : x")
@example("pkid-é:x")
@example("pkid-1:x\r\nX-Evil: 1")
@example("pkid-1:x\x00")
@example("pkid-1:x\udcff")
def test_any_text_is_an_api_key_or_a_mistake_that_does_not_show_it(text: str) -> None:
    with pytest.raises(UsageError, match="the API key does not have the form") as refusal:
        api_key("another")
    try:
        key = api_key(text)
    except UsageError as error:
        shown = reported(error)
        assert shown == reported(refusal.value)  # it does not depend on the text
    else:
        assert not key or re.fullmatch(r"pkid-[\w-]+:[!-~]+", key, re.ASCII)
