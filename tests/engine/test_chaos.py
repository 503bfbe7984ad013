"""The crown property: whatever fails on the way, each photo arrives once or is named."""

import os
from collections import Counter
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bulkup.errors import RunError
from bulkup.events import PhotoFailed, PhotoPresent, PhotoUploaded
from bulkup.piwigo.session import Timeouts
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from tests.support.runs import Outcome, make_archive, run

PLANS = int(os.environ.get("BULKUP_CHAOS_PLANS", "10"))
KINDS: tuple[Kind, ...] = (
    *("request-lost", "cut", "answer-lost", "truncated"),
    *("502", "503", "504", "408", "413", "429", "403-html", "html"),
    *("504-after", "empty-500-before", "empty-500-after", "php-noise"),
    *("expired-session", "damaged"),
)
METHODS = {
    "async": ("pwg.images.uploadAsync", "pwg.images.exist"),
    "upload": ("pwg.images.upload", "pwg.images.setInfo", "pwg.images.exist"),
    "legacy": ("pwg.images.addChunk", "pwg.images.add", "pwg.images.exist"),
}
VERSIONS = ("13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1")
QUICK = Timeouts(connect_s=5, idle_s=5, finish_s=5)


def plans(method: str) -> st.SearchStrategy[list[Fault]]:
    """Draw up to eight faults, most of them on the way of the photos themselves."""
    named = st.sampled_from([*METHODS[method], *METHODS[method][:1] * 3])
    return st.lists(
        st.builds(
            Fault,
            st.sampled_from(KINDS),
            method=st.one_of(named, st.none()),
            nth=st.integers(0, 25),
        ),
        max_size=8,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Make six photos of several chunks, two base names only, and a twin of one of them."""
    folder = tmp_path_factory.mktemp("chaos")
    sums = make_archive(folder, count=6, names=2, size=(3000, 20_000))
    original = next(iter(sums))
    twin = folder / "twin.jpg"
    twin.write_bytes(original.read_bytes())
    return sums | {twin: sums[original]}


@pytest.mark.plans
@pytest.mark.parametrize("method", METHODS)
def test_each_photo_arrives_once_or_is_named(archive: dict[Path, str], method: str) -> None:
    @settings(
        max_examples=PLANS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=PLANS == 10,  # the same plans on every machine
    )
    @given(
        plan=plans(method),
        version=st.sampled_from(VERSIONS),
        detect=st.booleans(),
    )
    def holds(plan: list[Fault], version: str, detect: bool) -> None:
        faults = Faults(plan)
        box = Sandbox(version=version, detect_duplicates=detect, faults=faults)
        anyio.run(check, box, archive, method)

    holds()


async def check(box: Sandbox, archive: dict[Path, str], method: str) -> None:
    """Run once with the faults, and hold the server against the events."""
    root = next(iter(archive)).parents[1]
    outcome = Outcome()
    async with box:
        try:
            await run(
                box,
                root,
                method=method,
                chunk_size=4096,
                concurrency=3,
                outcome=outcome,
                timeouts=QUICK,
            )
        except RunError:
            return  # the log-in itself met a fault: nothing was begun
        assert outcome.balances()
        note("\n".join(str(event) for event in outcome.events))
        note("\n".join(str(seen) for seen in box.requests))
        photos = list(box.gallery.photos.values())
        count = Counter(photo.md5 for photo in photos)
        failed = {archive[event.path] for event in outcome.of(PhotoFailed)}
        arrived: list[PhotoUploaded | PhotoPresent] = [
            *outcome.of(PhotoUploaded),
            *outcome.of(PhotoPresent),
        ]
        assert len(arrived) + len(outcome.of(PhotoFailed)) == len(archive)
        assert set(count) <= set(archive.values())
        assert all(number == 1 for number in count.values()), count
        for event in arrived:
            photo = box.gallery.photos[event.image_id or 0]
            assert photo.md5 == archive[event.path]
            assert 1 in photo.albums
        names = {
            name for path, md5 in archive.items() if md5 not in failed for name in [path.name]
        }
        assert names >= {photo.file for photo in photos if photo.md5 not in failed}
        if not failed:
            assert not box.gallery.buffers
