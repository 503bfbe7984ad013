"""The crown property: whatever fails, each photo arrives once with its texts, or is named."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from bulkup.errors import RunError
from bulkup.events import FileFound, PhotoFailed, PhotoPresent, PhotoUploaded
from bulkup.piwigo.session import Timeouts
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import BLOCKING, Kind
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.metadata import Labels
from tests.support.galleries import tags_of
from tests.support.photos import write_photo, write_xmp
from tests.support.runs import Clock, Outcome, make_archive, run

PLANS = int(os.environ.get("BULKUP_CHAOS_PLANS", "10"))
KINDS: tuple[Kind, ...] = (
    *("request-lost", "cut", "answer-lost", "truncated"),
    *("502", "503", "504", "408", "413", "429", "403-html", "html"),
    *("504-after", "empty-500-before", "empty-500-after", "php-noise"),
    *("expired-session", "damaged", "no-input"),
    *(kind for kind in BLOCKING if kind != "999-login"),  # no answer to anything but a log-in
)
SET, TAGS = "pwg.images.setInfo", ("pwg.tags.add", "pwg.tags.getAdminList")
METHODS = {
    "async": ("pwg.images.uploadAsync", "pwg.images.exist", SET, "pwg.images.getInfo", *TAGS),
    "upload": ("pwg.images.upload", "pwg.images.exist", SET, "pwg.images.getInfo", *TAGS),
    "legacy": ("pwg.images.addChunk", "pwg.images.add", "pwg.images.exist", SET, *TAGS),
}
TIDYING = ("pwg.images.uploadCompleted", "pwg.categories.getImages", "pwg.session.logout")
DATES = {"0.jpg": "2021", "1 & co.jpg": "2021-08-14T18:03:27"}
PATIENT = Timeouts(connect_s=60, idle_s=60, finish_s=60)  # however slow this machine is


def plans(method: str) -> st.SearchStrategy[list[Fault]]:
    """Draw up to eight faults, most of them on the way of the photos themselves."""
    named = st.sampled_from([*METHODS[method], *METHODS[method][:1] * 3, *TIDYING])
    return st.lists(
        st.builds(
            Fault,
            st.sampled_from(KINDS),
            method=st.one_of(named, st.none()),
            nth=st.integers(0, 4) | st.integers(0, 25),
        ),
        max_size=8,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Make photos of several chunks and few base names, a twin, and two that have sidecars."""
    folder = tmp_path_factory.mktemp("chaos")
    sums = make_archive(folder, count=4, names=2, size=(3000, 20_000))
    original = next(iter(sums))
    twin = folder / "twin.jpg"
    twin.write_bytes(original.read_bytes())
    sums[twin] = sums[original]
    for name, date in DATES.items():
        sums[folder / name] = write_photo(folder / name, name, size=9000)
        tags = ("sea", f"only {name[0]}")
        write_xmp(folder / name, *tags, title=f"Title {name[0]}", author="A", date=date)
    return sums


@pytest.mark.plans
@pytest.mark.parametrize("method", METHODS)
def test_each_photo_arrives_once_or_is_named(archive: dict[Path, str], method: str) -> None:
    @settings(  # the same plans on every machine
        max_examples=PLANS, suppress_health_check=list(HealthCheck), derandomize=PLANS == 10
    )
    @given(plan=plans(method), version=st.sampled_from(VERSIONS), detect=st.booleans())
    def holds(plan: list[Fault], version: str, detect: bool) -> None:
        faults = Faults(plan)
        box = Sandbox(version=version, detect_duplicates=detect, faults=faults)
        anyio.run(check, box, archive, method)

    holds()


async def check(box: Sandbox, archive: dict[Path, str], method: str) -> None:
    """Run once with the faults, and hold the server against the events."""
    root = next(iter(archive)).parents[1]
    outcome = Outcome()
    options: dict[str, Any] = {"chunk_size": 4096, "concurrency": 3, "timeouts": PATIENT}
    clock = Clock()  # what blocks the run does not last
    options |= {"proof_s": 120.0, "sleep": clock.sleep, "clock": clock}
    async with box:
        try:
            await run(box, root, method=method, outcome=outcome, labels=Labels(), **options)
        except RunError:
            assert not outcome.of(FileFound), "the log-in itself met a fault: nothing was begun"
            return
        assert outcome.balances()
        note("\n".join(str(event) for event in outcome.events))
        note("\n".join(str(seen) for seen in box.requests))
        photos = list(box.gallery.photos.values())
        count = Counter(photo.md5 for photo in photos)
        failed = {archive[event.path] for event in outcome.of(PhotoFailed)}
        arrived = [e for e in outcome.events if isinstance(e, PhotoUploaded | PhotoPresent)]
        assert len(arrived) + len(outcome.of(PhotoFailed)) == len(archive)
        assert set(count) <= set(archive.values())
        assert all(number == 1 for number in count.values()), count
        for event in arrived:
            photo = box.gallery.photos[event.image_id or 0]
            assert photo.md5 == archive[event.path]
            assert 1 in photo.albums
        names = {path.name for path, md5 in archive.items() if md5 not in failed}
        assert names >= {photo.file for photo in photos if photo.md5 not in failed}
        made = {tag.name for tag in box.gallery.tags.values()}
        for event in outcome.of(PhotoUploaded):
            if (name := event.path.name) in DATES:
                there, wanted = box.gallery.photos[event.image_id], {"sea", f"only {name[0]}"}
                assert (there.file, there.name, there.author) == (name, f"Title {name[0]}", "A")
                assert (there.date_creation or "").startswith("2021-")
                assert tags_of(box, there) == wanted & made
        if not failed:
            assert not box.gallery.buffers
