"""The time zone of one machine on others that have another."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.source.zone import LAST, Zone, local_zone
from tests.support.team import in_time_zone


@pytest.fixture(params=["CET-1CEST,M3.5.0,M10.5.0/3", "NST3:30NDT,M3.2.0,M11.1.0", "UTC0"])
def local(request: pytest.FixtureRequest) -> Iterator[None]:
    """Move this machine."""
    with in_time_zone(request.param):
        yield


@pytest.mark.usefixtures("local")
@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system's zone can't be set")
def test_a_table_tells_the_same_times_as_the_zone() -> None:
    zone = Zone(json.loads(json.dumps(local_zone())))

    def same(second: int) -> None:
        moment = datetime.fromtimestamp(second, UTC)
        assert f"{moment.astimezone(zone):%c}" == f"{moment.astimezone():%c}"

    given(st.integers(min_value=-(2**31), max_value=LAST))(same)()
    for second, _ in local_zone()[1:]:
        same(second - 1)
        same(second)
