"""Dates in file names."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.source.name_dates import date_in_name

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("IMG-20190704-WA0001.jpg", "2019-07-04 00:00:00"),
        ("IMG_20190704_120000.jpg", "2019-07-04 12:00:00"),
        ("IMG_20190704_120000_HDR(1).jpg", "2019-07-04 12:00:00"),
        ("VID_20190704_120000123.mp4", "2019-07-04 12:00:00"),
        ("PXL_20210102_030405123.NIGHT.jpg", "2021-01-02 03:04:05"),
        ("20190704_120000.jpg", "2019-07-04 12:00:00"),
        ("00015IMG_00015_BURST20171111030039_COVER.jpg", "2017-11-11 03:00:39"),
        ("Bebop2_20180719194940+0200.mp4", "2018-07-19 19:49:40"),
        ("Screenshot_2020-01-02-03-04-05.png", "2020-01-02 03:04:05"),
        ("Screenshot from 2022-12-17 19-45-43.png", "2022-12-17 19:45:43"),
        ("Screen Shot 2020-01-02 at 3.04.05 PM.png", "2020-01-02 15:04:05"),
        ("Screen Shot 2020-01-02 at 12.04.05\u202fAM.png", "2020-01-02 00:04:05"),
        ("Bildschirmfoto 2020-01-02 um 03.04.05.png", "2020-01-02 03:04:05"),
        ("signal-2020-01-02-030405.jpg", "2020-01-02 03:04:05"),
        ("signal-2020-01-02-03-04-05-678.jpg", "2020-01-02 03:04:05"),
        ("WhatsApp Image 2019-07-04 at 12.00.00 (1).jpeg", "2019-07-04 12:00:00"),
        ("2019-07-04 12.00.00.jpg", "2019-07-04 12:00:00"),
        ("2023_07_20_10_09_20.mp4", "2023-07-20 10:09:20"),
        ("FB_IMG_1562241600000.jpg", "2019-07-04 12:00:00"),
        ("mmexport1562241600000.jpg", "2019-07-04 12:00:00"),
        ("Photo 04.07.2019.jpg", "2019-07-04 00:00:00"),
        ("1950-06-07 Wedding.jpg", "1950-06-07 00:00:00"),
        ("99999999_20190704.jpg", "2019-07-04 00:00:00"),  # the first one is impossible
        ("20190704_250000.jpg", "2019-07-04 00:00:00"),
        ("20240616.jpg", "2024-06-16 00:00:00"),  # tomorrow, in another time zone
    ],
)
def test_the_date_is_read(name: str, date: str) -> None:
    found = date_in_name(name, now=NOW, zone=UTC)
    assert found is not None
    assert found.text == date
    assert found.agrees_with("1999-01-01 00:00:00")  # any other date is better


@pytest.mark.parametrize(
    "name",
    [
        *("DSC01234.jpg", "DSC_0001.NEF", "IMG_1234.HEIC", "DSCN20190.jpg", "_MG_2019.CR2"),
        *("20191301.jpg", "20190230.jpg", "2019-00-10.jpg", "31.02.2019.jpg", "20240720.jpg"),
        *("FB_IMG_9999999999999.jpg", "FB_IMG_156224160000.jpg", "IMG_1562241600000.jpg"),
        *("120190704.jpg", "1.2.3.2019.jpg", "2019-07.jpg", "991231-125200.jpg", "17770101.jpg"),
        "٢٠١٩٠٧٠٤.jpg",
        "",
    ],
)
def test_other_numbers_are_no_date(name: str) -> None:
    assert date_in_name(name, now=NOW, zone=UTC) is None


WRITTEN = (
    "IMG_%Y%m%d_%H%M%S.jpg",
    "Screenshot_%Y-%m-%d-%H-%M-%S.png",
    "WhatsApp Image %Y-%m-%d at %H.%M.%S.jpeg",
    "signal-%Y-%m-%d-%H%M%S.jpg",
    "Photo %Y.%m.%d %I.%M.%S %p.jpg",
    "%Y%m%d%H%M%S.jpg",
)


@given(
    st.datetimes(datetime.fromisoformat("1800-01-01"), datetime.fromisoformat("2024-06-15")),
    st.sampled_from(WRITTEN),
    st.sampled_from(["", "x ", "é-", "🙂_"]),
)
def test_every_date_is_read_as_it_was_written(date: datetime, form: str, prefix: str) -> None:
    found = date_in_name(prefix + date.strftime(form), now=NOW, zone=UTC)
    assert found is not None
    assert found.text == f"{date:%Y-%m-%d %H:%M:%S}"


pieces = st.sampled_from(
    [
        "2019",
        "07",
        "04",
        "12",
        "99",
        "00",
        "-",
        "_",
        ".",
        " ",
        " at ",
        "PXL_",
        "FB_IMG_",
        "T",
        "am",
    ]
)


@given(st.text(max_size=300) | st.lists(pieces, max_size=40).map("".join), st.datetimes())
def test_any_name_gives_a_possible_date_or_none(name: str, now: datetime) -> None:
    now = now.replace(tzinfo=UTC)
    if now.year < 9999 and (found := date_in_name(name, now=now, zone=UTC)) is not None:
        date = datetime.fromisoformat(found.text).replace(tzinfo=UTC)
        assert date <= now + timedelta(days=2)
        assert date.year >= 1800
