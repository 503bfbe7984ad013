"""Several machines, one of which is lost: each photo arrives once or is named."""

import logging
import os
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bulkup.events import PhotoFailed, PhotoUploaded
from bulkup.sandbox import Fault, Sandbox
from tests.engine.test_chaos import METHODS, plans
from tests.support.faults import HookedFaults
from tests.support.runs import make_archive, stored_sums
from tests.support.team import team

PLANS = max(10, int(os.environ.get("BULKUP_CHAOS_PLANS", "10")) // 8)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_with_a_worker_lost_each_photo_arrives_once_or_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "distributed")
    archive = make_archive(tmp_path, count=16, names=8, size=(3000, 16_000))
    (sent := next(iter(archive))).with_name("twin.jpg").write_bytes(sent.read_bytes())

    @settings(max_examples=PLANS, suppress_health_check=list(HealthCheck), database=None)
    @given(data=st.data(), silent=st.booleans(), finishing=st.integers(1, 4))
    def holds(data: st.DataObject, silent: bool, finishing: int) -> None:
        method = data.draw(st.sampled_from([*METHODS]))
        plan = data.draw(plans(method))
        nth = data.draw(st.integers(0, 60), "the request at which a worker is lost")
        anyio.run(check, archive, method, plan, (nth, silent), finishing)

    holds()


async def check(
    archive: dict[Path, str],
    method: str,
    plan: list[Fault],
    loss: tuple[int, bool],
    finishing: int,
) -> None:
    """Upload with the faults; lose a worker, perhaps silently, at the nth request that sends."""
    nth, silent = loss
    came = anyio.Event()
    faults = HookedFaults(*plan, act=came.set, method=METHODS[method][0], nth=nth, on=False)
    box = Sandbox(faults=faults, finish_s=0.01)
    async with team(3, box, method=method) as executor:
        faults.on = True  # when all have logged in
        executor.lose_when(came, silent=silent)
        outcome = await executor.upload(next(iter(archive)).parents[1], finishing)
        faults.on = False
        note("\n".join(map(str, [*outcome.events, *box.requests])))
        failed = {archive[event.path] for event in outcome.of(PhotoFailed)}
        arrived = {event.md5 for event in outcome.of(PhotoUploaded)}
        assert arrived | failed == set(archive.values())
        assert set(stored_sums(box).values()) <= {1}
        assert arrived <= stored_sums(box).keys()
