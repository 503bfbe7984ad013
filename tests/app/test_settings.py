"""Settings: sizes, times and ranges as people write them, and secrets that never show."""

import re
import shlex
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.app.credentials import read_api_key, read_password
from bulkup.app.settings import (
    Account,
    AlbumTarget,
    Timetable,
    UploadSettings,
    need,
    parse_bwlimit,
    parse_duration,
    parse_size,
)
from bulkup.errors import UsageError

SECRET = "hunter2-secret"


def told(error: UsageError) -> str:
    return f"{error} {error!r} {error.message} {error.hint} {error.args}"


# sizes and times


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("500K", 512_000),
        ("500k", 512_000),
        ("500 kB", 512_000),
        ("500KiB", 512_000),
        ("2M", 2 * 1024**2),
        ("1.5 MB", 3 * 512 * 1024),
        ("1g", 1024**3),
        (" 1M ", 1024**2),
        ("0", 0),
    ],
)
def test_a_size_may_be_written_like_this(text: str, size: int) -> None:
    assert parse_size(text, flag="--chunk-size") == size


@pytest.mark.parametrize(
    "text", ["", "K", "-1", "1e6", "1,5M", "2T", "M2", "1..5M", "0x10", "nan", "inf", "9" * 400]
)
def test_a_size_may_not_be_written_like_this(text: str) -> None:
    with pytest.raises(UsageError, match="--chunk-size") as caught:
        parse_size(text, flag="--chunk-size")
    assert "500K" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1.5H", 5400),
        ("1d", 86_400),
        ("0", 0),
    ],
)
def test_a_time_may_be_written_like_this(text: str, seconds: float) -> None:
    assert parse_duration(text, flag="--patience") == seconds


@pytest.mark.parametrize("text", ["", "m", "-1", "1w", "1h30m", "soon", "nan", "inf", "9" * 400])
def test_a_time_may_not_be_written_like_this(text: str) -> None:
    with pytest.raises(UsageError, match="--patience") as caught:
        parse_duration(text, flag="--patience")
    assert "15m" in caught.value.hint


@given(text=st.text(max_size=20) | st.from_regex(r"\s*\d*\.?\d*\s*\w{0,3}", fullmatch=True))
def test_any_text_is_a_size_and_a_time_or_a_mistake_of_the_user(text: str) -> None:
    for parse in (parse_size, parse_duration):
        with suppress(UsageError):
            assert 0 <= parse(text, flag="--x") < float("inf")
    with suppress(UsageError):
        assert parse_bwlimit(text).entries


# limits by the time of day


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("2M", [(time(), 2 * 1024**2)]),
        (" 1.5 MB ", [(time(), 3 * 512 * 1024)]),
        ("off", [(time(), None)]),
        ("OFF", [(time(), None)]),
        ("1K", [(time(), 1024)]),
        ("08:00,1M 23:00,off", [(time(8), 1024**2), (time(23), None)]),
        ("23:00,off  8:00,1M", [(time(8), 1024**2), (time(23), None)]),
        ("0:00,512k", [(time(), 512 * 1024)]),
        ("23:59,4096", [(time(23, 59), 4096)]),
    ],
)
def test_a_limit_may_be_written_like_this(
    text: str, entries: list[tuple[time, int | None]]
) -> None:
    assert parse_bwlimit(text) == Timetable(tuple(entries))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no rate"),
        ("fast", "“fast” is no rate"),
        ("-1", "no rate"),
        ("0", "too slow"),
        ("1000", "too slow"),
        ("08:00", "no rate"),
        ("08:00,1M 23:00", "“23:00” is no time"),
        ("08:00,1M,23:00,off", "“1M,23:00,off” is no rate"),
        ("08:00,", "“08:00,” is no time"),
        ("24:00,1M", "no time"),
        ("08:60,1M", "no time"),
        ("8,1M", "no time"),
        ("08:00,2T", "“2T” is no rate"),
        ("8:00,1M 08:00,off", "two rates for 08:00"),
        ("Mon-08:00,1M", "no time"),
        (",", "no time"),
    ],
)
def test_a_limit_may_not_be_written_like_this(text: str, word: str) -> None:
    with pytest.raises(UsageError, match="--bwlimit") as caught:
        parse_bwlimit(text)
    assert word in caught.value.message
    assert "off" in caught.value.hint


# ranges


@pytest.mark.parametrize(
    "values",
    [
        {"concurrency": 1},
        {"concurrency": 64},
        {"finishing": 1},
        {"finishing": 64},
        {"retries": 0},
        {"retries": 1000},
        {"level": 8},
        {"chunk_size": 4096},
        {"chunk_size": 1024**3},
        {"chunk_size": None},
    ],
)
def test_values_at_the_ends_of_their_range_are_good(values: dict[str, Any]) -> None:
    UploadSettings(**({"into": AlbumTarget(album=9)} | values))


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"concurrency": 0}, "--concurrency"),
        ({"concurrency": 65}, "--concurrency"),
        ({"finishing": 0}, "--finishing"),
        ({"finishing": 65}, "--finishing"),
        ({"retries": -1}, "--retries"),
        ({"retries": 1001}, "--retries"),
        ({"level": 3}, "--level"),
        ({"chunk_size": 4095}, "--chunk-size"),
        ({"chunk_size": 1024**3 + 1}, "--chunk-size"),
    ],
)
def test_a_value_out_of_range_is_named_by_its_flag(values: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=f"^{flag} ") as caught:
        UploadSettings(**({"into": AlbumTarget(album=9)} | values))
    assert "Give" in caught.value.hint


@pytest.mark.parametrize("values", [{"album": 1}, {"names": ("a", "b")}, {"tree": True}])
def test_an_album_is_a_number_or_names_or_the_top_of_a_tree(values: dict[str, Any]) -> None:
    AlbumTarget(**values)


@pytest.mark.parametrize(
    "values", [{}, {"album": 0}, {"album": -5}, {"album": 2**31}, {"names": ("a", "")}]
)
def test_what_is_no_album_is_told(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="album"):
        AlbumTarget(**values)


def test_a_missing_value_is_named_with_both_ways_to_give_it() -> None:
    with pytest.raises(UsageError, match="the user name is missing") as caught:
        need(None, flag="--user", variable="BULKUP_USER", what="the user name")
    assert caught.value.hint == "Give --user, or set BULKUP_USER."


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
    "content",
    [
        b"hunter2-secret",
        b"hunter2-secret\n",
        b"hunter2-secret\r\n",
        b"hunter2-secret\nmore\n",
        b"\xef\xbb\xbfhunter2-secret\r\n",
    ],
)
def test_the_first_line_of_a_file_is_the_password(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert password(file=file) == SECRET


def test_blanks_belong_to_a_password(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" a b \n")
    assert password(file=file) == " a b "


def test_a_command_prints_the_password() -> None:
    assert password(command=printing(f"{SECRET}\nmore")) == SECRET


def test_the_environment_holds_the_password() -> None:
    assert password(variable=SECRET) == SECRET


def test_a_file_goes_before_a_command_and_that_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("of the file\n")
    command = printing("of the command")
    assert password(file=file, command=command, variable="x") == "of the file"
    assert password(command=command, variable="x") == "of the command"


def test_where_nobody_names_a_password_there_is_none() -> None:
    assert password() == password(variable="") == ""


@pytest.mark.parametrize("content", [b"", b"\n", b"\nsecret\n"])
def test_a_file_without_a_first_line_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="is empty"):
        password(file=file)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "No such file or directory"),
        (".", "Is a directory"),
        ("binary", "not UTF-8"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_with_the_reason(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=reason):
        password(file=tmp_path / name)


def test_a_command_that_fails_is_refused_and_what_it_printed_is_not_told() -> None:
    with pytest.raises(UsageError, match="ended with exit code 7") as caught:
        password(command=printing(SECRET, code=7))
    assert SECRET not in told(caught.value).replace(printing(SECRET, code=7), "")


def test_a_command_that_prints_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="--password-command is empty"):
        password(command="true")


def test_a_command_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="exit code 127"):
        password(command="nosuchcommand-bulkup 2>/dev/null")


# accounts


def test_no_secret_stands_in_the_text_of_an_account() -> None:
    account = Account(url="http://x/", user="admin", password=SECRET, api_key=f"pkid-1:{SECRET}")
    assert SECRET not in f"{account} {account!r}"
    assert SECRET not in repr(replace(account, user="bob"))


@pytest.mark.parametrize("field", ["url", "user", "password"])
def test_what_is_not_utf8_can_not_be_sent_and_is_refused_without_showing_it(field: str) -> None:
    with pytest.raises(UsageError, match="UTF-8") as caught:
        replace(Account(url="http://x/"), **{field: f"{SECRET}\udcff"})  # type: ignore[arg-type]
    assert SECRET not in told(caught.value)


# API keys


def api_key(text: str) -> str:
    return read_api_key(file=None, variables={"BULKUP_API_KEY": text})


@pytest.mark.parametrize(
    "key",
    [
        "pkid-20260714-AbCdEf0123456789abcd:" + "s" * 40,
        "pkid-1:x",
        "pkid-20260714-AbC_d:a+/=!:b",
    ],
)
def test_an_api_key_has_two_parts(key: str) -> None:
    assert api_key(f" {key}\n") == key


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"pkid-20260714-AbCd{SECRET}",
        f"pkid-1 : {SECRET}",
        f"pkid-1:{SECRET} more",
        f"pkid-1:{SECRET}\r\nX-Evil: 1",
        f"pkid-1:{SECRET}\x00",
        f"pkid-1:{SECRET}é",
        f"pkid-1:{SECRET}\udcff",
        f"pkid-é:{SECRET}",
        f"1:{SECRET}",
        "pkid-1:",
    ],
)
def test_another_form_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(UsageError, match="the API key has not the form") as caught:
        api_key(text)
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_variable_is_no_api_key(text: str) -> None:
    assert api_key(text) == ""


def test_an_api_key_comes_from_a_file_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("pkid-1:of-the-file\n")
    variables = {"BULKUP_API_KEY": "pkid-1:x"}
    assert read_api_key(file=file, variables=variables) == "pkid-1:of-the-file"


@given(text=st.text())
def test_any_text_is_an_api_key_or_a_mistake_that_does_not_show_it(text: str) -> None:
    try:
        key = api_key(text)
    except UsageError as error:
        shown = f"{error.message} {error.hint}"
        assert len(text) < 4 or text in "the API key has not the form" or text not in shown
    else:
        assert not key or re.fullmatch(r"pkid-[\w-]+:[!-~]+", key)
