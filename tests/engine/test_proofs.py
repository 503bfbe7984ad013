"""What could end a run: one such answer never does, and what lasts does so with proof."""

from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bulkup import events
from bulkup.errors import RunError, ServerUnavailable
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.faults import Kind
from tests.support.events import acting_on
from tests.support.galleries import calls
from tests.support.runs import Clock, Outcome, failures, make_archive, run, stored_sums

PROOF_S = 120.0
EXIST, RELEASE, LIST = "pwg.images.exist", "pwg.images.uploadCompleted", "pwg.categories.getImages"
STATUS, UPLOAD, ASYNC = "pwg.session.getStatus", "pwg.images.upload", "pwg.images.uploadAsync"
CODES: dict[Kind, str] = {
    "no-output": "upload-buffer",
    "302": "redirect",
    "401-html": "web-password",
    "411": "no-streams",
    "401-key": "api-key-refused",
    "501-method": "method-failed",
}


def patient(clock: Clock, *, concurrency: int = 2, patience_s: float = 3600.0) -> dict[str, Any]:
    """Return the options of a run on a virtual clock."""
    return {
        "chunk_size": 10_000,
        "concurrency": concurrency,
        "patience_s": patience_s,
        "proof_s": PROOF_S,
        "sleep": clock.sleep,
        "clock": clock,
    }


@pytest.mark.parametrize("kind", [*CODES, "404"])
async def test_one_answer_that_would_end_a_run_costs_no_photo(tmp_path: Path, kind: Kind) -> None:
    archive = make_archive(tmp_path, count=4, names=2, size=(25_000, 50_000))
    plan = [Fault(kind, UPLOAD, nth) for nth in (1, 6)]
    plan += [Fault(kind, EXIST, 0), Fault(kind, STATUS, 3), Fault(kind, LIST, 0)]
    async with Sandbox(faults=Faults(plan)) as box:
        outcome = await run(box, tmp_path, method="upload", **patient(Clock()))
        assert stored_sums(box) == Counter(archive.values())
    assert failures(outcome) == {}
    assert outcome.balances()


@pytest.mark.parametrize("kind", CODES)
async def test_what_blocks_every_photo_ends_the_run_after_several_and_not_before(
    tmp_path: Path, kind: Kind
) -> None:
    make_archive(tmp_path, count=40, names=20)
    clock, outcome = Clock(), Outcome()
    async with Sandbox(faults=Faults([Fault(kind, ASYNC)])) as box:
        with pytest.raises(RunError) as caught:
            await run(box, tmp_path, method="async", outcome=outcome, **patient(clock))
        assert not box.gallery.photos
    assert caught.value.code == CODES[kind]
    failed = outcome.of(events.PhotoFailed)
    assert {event.code for event in failed} == {CODES[kind]}
    assert 4 <= len(failed) < 20
    assert clock.now >= PROOF_S
    assert outcome.balances()
    assert outcome.of(events.PhotoUnfinished)


async def test_photos_that_pass_in_between_keep_the_run_going(tmp_path: Path) -> None:
    make_archive(tmp_path, count=24, names=24)
    turns = count()

    def strike() -> Fault | None:  # three photos of twelve tries each, then one that passes
        return None if next(turns) % 37 == 36 else Fault("no-output")

    clock = Clock()
    async with Sandbox(faults=Chosen({ASYNC: strike})) as box:
        outcome = await run(box, tmp_path, method="async", **patient(clock, concurrency=1))
    assert (len(outcome.of(events.PhotoFailed)), len(outcome.of(events.PhotoUploaded))) == (18, 6)
    assert clock.now > PROOF_S


async def test_a_server_that_compares_no_photo_ends_the_run(tmp_path: Path) -> None:
    make_archive(tmp_path, count=40, names=40)
    options = patient(Clock())
    async with Sandbox() as box:
        await run(box, tmp_path, **options)
        box.faults.add(Fault("401-html", "pwg.images.checkFiles"))
        with pytest.raises(RunError) as caught:
            await run(box, tmp_path, confirm_present=True, **options)
        assert caught.value.code == "web-password"
        assert calls(box)["pwg.images.checkFiles"] < 200


async def test_a_clean_up_does_not_wait_for_the_server_once_more(tmp_path: Path) -> None:
    count = 2
    make_archive(tmp_path, count=count, names=count, size=(25_000, 50_000))
    clock, outcome, begun = Clock(), Outcome(), list[int]()

    def send() -> Fault | None:
        begun.append(1)
        kind: Kind = "cut" if len(begun) <= 2 * count else "503"
        return Fault(kind) if len(begun) > count else None

    def rest() -> Fault | None:
        return Fault("503") if len(begun) > count else None

    options = patient(clock, concurrency=count, patience_s=1000.0)
    async with Sandbox(faults=Chosen({UPLOAD: send, "": rest})) as box:
        with pytest.raises(ServerUnavailable):
            await run(box, tmp_path, method="upload", outcome=outcome, **options)
    assert clock.now < 2000.0
    assert len(outcome.of(events.PhotoUnfinished)) == count


class Chosen(Faults):
    """Asks a function for the fault of each request, by method; "" is every method."""

    def __init__(self, choose: dict[str, Callable[[], Fault | None]]) -> None:
        super().__init__()
        self._choose = choose

    def strike(self, method: str) -> Fault | None:
        choose = self._choose.get(method) or self._choose.get("")
        return choose() if choose else None


@pytest.mark.parametrize(
    ("kind", "code", "method"),
    [
        ("302", "redirect", ""),
        ("401-html", "web-password", ""),
        ("401-key", "api-key-refused", ""),
        ("999-login", "login-refused", "pwg.session.login"),
    ],
)
@pytest.mark.parametrize("lasts_s", [PROOF_S / 2, float("inf")])
async def test_a_blocked_server_is_waited_for_and_ends_the_run_if_it_stays_so(
    tmp_path: Path, kind: Kind, code: str, method: str, lasts_s: float
) -> None:
    archive = make_archive(tmp_path, count=12, names=12)
    clock, until = Clock(), list[float]()

    def begin() -> None:
        if not until:
            until.append(clock.now + lasts_s)
            box.expire_sessions()

    def strike() -> Fault | None:
        return Fault(kind) if until and clock.now < until[0] else None

    outcome = acting_on(events.PhotoUploaded, begin)
    async with Sandbox(faults=Chosen({method: strike})) as box:
        if lasts_s < PROOF_S:
            await run(box, tmp_path, outcome=outcome, **patient(clock))
            assert stored_sums(box) == Counter(archive.values())
            assert outcome.of(events.OutageEnded)
        else:
            with pytest.raises(RunError) as caught:
                await run(box, tmp_path, outcome=outcome, **patient(clock))
            assert caught.value.code == code
            assert clock.now >= PROOF_S
            assert outcome.of(events.PhotoUnfinished)
        assert calls(box)["pwg.session.login"] < 30
    assert not outcome.of(events.PhotoFailed)
    assert outcome.balances()


@pytest.mark.parametrize("kind", ["302", "html", "503"])
async def test_calls_that_only_tidy_up_end_no_run_and_are_reported_once(
    tmp_path: Path, kind: Kind
) -> None:
    archive = make_archive(tmp_path, count=8, names=1)
    faults = Faults([Fault(kind, method) for method in (RELEASE, LIST, "pwg.session.logout")])
    async with Sandbox(faults=faults) as box:
        outcome = await run(box, tmp_path, tree=True, **patient(Clock(), patience_s=60.0))
        assert stored_sums(box) == Counter(archive.values())
    assert len(outcome.of(events.PhotoUploaded)) == len(archive)
    assert isinstance(outcome.events[-1], events.RunFinished)
    notices = [event.message for event in outcome.of(events.Noticed)]
    assert len(notices) == 2
    assert notices[0].startswith("the photos may not be visible in their albums yet")
    assert notices[1].startswith("could not check whether 8 albums are complete")


async def test_a_damaged_photo_is_deleted_also_where_its_name_can_not_be_set(
    tmp_path: Path,
) -> None:
    """Without its name, no later step looks for its MD5."""
    make_archive(tmp_path, count=1, names=1)
    plan = [Fault("damaged", UPLOAD, 0), Fault("501-method", "pwg.images.setInfo", 0)]
    async with Sandbox(faults=Faults(plan)) as box:
        outcome = await run(box, tmp_path, method="upload", **patient(Clock()))
        assert not box.gallery.photos
    assert [event.code for event in outcome.of(events.PhotoFailed)] == ["arrived-different"]


async def test_a_damaged_photo_is_deleted_also_where_that_is_refused_once(tmp_path: Path) -> None:
    """The server lists the method, so an answer that it does not exist will pass."""
    archive = make_archive(tmp_path, count=1, names=1)
    plan = [Fault("damaged", UPLOAD, 0), Fault("501-method", "pwg.images.delete", 0)]
    async with Sandbox(faults=Faults(plan)) as box:
        outcome = await run(box, tmp_path, method="upload", **patient(Clock()))
        assert stored_sums(box) == Counter(archive.values())
    assert not outcome.of(events.PhotoFailed)


async def test_the_list_of_methods_is_asked_for_again_where_it_is_refused_once(
    tmp_path: Path,
) -> None:
    make_archive(tmp_path, count=2, names=1)
    faults = Faults([Fault("501-method", "reflection.getMethodList", 0)])
    async with Sandbox(version="13.8.0", faults=faults) as box:
        outcome = await run(box, tmp_path, method="upload", **patient(Clock()))
        assert all(photo.albums == {1} for photo in box.gallery.photos.values())
    assert not outcome.of(events.Noticed)


async def test_a_half_photo_is_swept_also_where_that_is_refused_once(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, count=1, names=1, size=(9000, 9001))
    plan = [Fault("504-after", UPLOAD, 0), Fault("501-method", UPLOAD, 1)]
    async with Sandbox(faults=Faults(plan)) as box:
        how = patient(Clock()) | {"chunk_size": 4096, "concurrency": 1}
        await run(box, tmp_path, method="upload", **how)
        assert stored_sums(box) == Counter(archive.values())
        assert not box.gallery.buffers
