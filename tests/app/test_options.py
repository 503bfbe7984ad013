"""Dates and ages of filters, as users write them."""

import time
from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.app.options import SECOND_NS, parse_moment
from bulkup.errors import UsageError

NOW_NS = 1_700_000_000 * SECOND_NS


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [
        *(("0s", 0), ("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 30 * 86_400)),
        *((" 1.5D ", 129_600), ("2w", 14 * 86_400), ("1y", 365 * 86_400)),
        ("2023-11-14T22:13:20Z", 0),
        ("2023-11-14T22:13:20+00:00", 0),
        ("2023-11-14T23:13:19.5+01:00", 0.5),
    ],
)
def test_a_moment_may_be_written_like_this(text: str, ago_s: float) -> None:
    moment = parse_moment(text, now_ns=NOW_NS, flag="--newer-than")
    assert moment == NOW_NS - int(ago_s * SECOND_NS)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna", "America/St_Johns"])
@pytest.mark.parametrize(
    "text", ["2024-05-01", "2024-05-01T12:00", "2024-12-24 18:30:05", "1960-01-01T00:00:00.25"]
)
def test_dates_and_times_are_local(zone: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        moment = parse_moment(text, now_ns=NOW_NS, flag="--newer-than")
        assert moment == int(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000
    time.tzset()


def test_a_moment_may_not_be_written_like_this() -> None:
    for text in (
        *("", "30", "2024", "2024-05", "2024-13-01", "01.05.2024", "yesterday", "-3d", "d", "nan"),
    ):
        with pytest.raises(UsageError, match="--newer-than") as caught:
            parse_moment(text, now_ns=NOW_NS, flag="--newer-than")
        assert "2024-05-01" in caught.value.hint


@given(
    text=st.text(max_size=25)
    | st.from_regex(r"[0-9.]{0,12}\s*\w?", fullmatch=True)
    | st.dates().map(str)
    | st.datetimes().map(str)
)
def test_any_text_is_a_moment_or_a_mistake_of_the_user(text: str) -> None:
    with suppress(UsageError):
        parse_moment(text, now_ns=NOW_NS, flag="--newer-than")
