from dataclasses import replace
from pathlib import Path

import pytest
from anyio import CancelScope, fail_after, sleep_forever, to_thread

from bulkup.errors import UsageError
from bulkup.events import (
    Event,
    FileFound,
    Interrupted,
    Noticed,
    PhotoChecked,
    PhotoFailed,
    PhotoNew,
    PhotoPresent,
    PhotoUnfinished,
    PhotoUploaded,
    RunFailed,
    RunFinished,
    RunStarted,
    ScanFinished,
)
from bulkup.kinds import Verdict
from bulkup.notify import Notifier, Service, body, headline, services
from bulkup.report import RunState
from tests.receiver import receiver

SECRET = "s3cret-path"
RUN = RunStarted(
    url="https://photos.example.org",
    version="14.5.0",
    user="me",
    album=9,
    album_name="Holidays",
    method="uploadAsync",
    concurrency=8,
    chunk_size=1_000_000,
)
FAILURE = RunFailed(reason="the log-in is refused", hint="Check user and password.")
END = RunFinished(seconds=1)


def found(name: str) -> FileFound:
    return FileFound(path=Path(name), size=1)


def uploaded(name: str) -> list[Event]:
    event = PhotoUploaded(path=Path(name), size=1, md5="0" * 32, image_id=1, attempts=1, seconds=1)
    return [found(name), event]


def failed(name: str) -> list[Event]:
    return [found(name), PhotoFailed(path=Path(name), size=1, reason="empty", hint="")]


def unfinished(name: str) -> list[Event]:
    return [found(name), PhotoUnfinished(path=Path(name), size=1)]


def present(name: str) -> list[Event]:
    return [found(name), PhotoPresent(path=Path(name), size=1, image_id=1, linked=False)]


def checked(name: str, verdict: Verdict) -> list[Event]:
    event = PhotoChecked(
        path=Path(name), size=1, verdict=verdict, image_id=1, reason="r", hint="h"
    )
    return [found(name), event]


def new(name: str) -> list[Event]:
    return [found(name), PhotoNew(path=Path(name), size=1)]


def after(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event, 0.0)
    return state


@pytest.mark.parametrize(
    ("events", "failure", "words"),
    [
        ([RUN, *uploaded("a"), END], None, "1 photo uploaded"),
        (
            [RUN, *uploaded("a"), *uploaded("b"), *failed("c"), END],
            None,
            "2 photos uploaded, 1 failed",
        ),
        ([RUN, *present("a"), END], None, "0 photos uploaded, 1 already there"),
        (
            [RUN, *uploaded("a"), Interrupted(), *unfinished("b"), END],
            None,
            "interrupted: 1 photo uploaded, 1 unfinished",
        ),
        (
            [RUN, *uploaded("a"), *unfinished("b")],
            FAILURE,
            "broken off: 1 photo uploaded, 1 unfinished",
        ),
        ([], FAILURE, "the run was impossible"),
        ([], None, "ended before it began"),
        (
            [
                replace(RUN, task="verify"),
                *checked("a", Verdict.PRESENT),
                *checked("b", Verdict.MISSING),
            ],
            None,
            "2 photos checked, 1 present, 1 missing",
        ),
        ([replace(RUN, task="dry-run"), *new("a"), END], None, "1 photo would be uploaded"),
    ],
)
def test_the_title_says_how_the_run_ended(
    events: list[Event], failure: RunFailed | None, words: str
) -> None:
    assert headline(after(*events), failure) == words


def test_the_body_is_the_summary_and_why_the_run_could_not_go_on() -> None:
    text = body(after(RUN, *uploaded("a"), *failed("\x1b[1mb\n<b>"), END), FAILURE)
    assert text.startswith("the log-in is refused\nCheck user and password.\nDone after")
    assert "failed: \\x1b[1mb\\n<b>" in text
    assert body(after()) == "Nothing was sent."


class Job:
    """A run that somebody is notified of."""

    def __init__(self, *there: Service, limit_s: float = 20.0) -> None:
        self.said: list[Event] = []
        self.view = Notifier(there, notice=self.said.append, clock=lambda: 0.0, limit_s=limit_s)

    @classmethod
    async def for_(cls, *addresses: str, limit_s: float = 20.0) -> "Job":
        return cls(*await to_thread.run_sync(services, addresses), limit_s=limit_s)

    async def ends(self, *events: Event) -> None:
        with fail_after(30):
            async with self.view as view:
                for event in events:
                    view.emit(event)

    @property
    def words(self) -> list[str]:
        return [event.message for event in self.said if isinstance(event, Noticed)]


async def test_it_tells_each_service_once_when_the_run_ends() -> None:
    async with receiver() as one, receiver() as two:
        job = await Job.for_(one.address, two.address)
        await job.ends(RUN, *uploaded("a"), *failed("<b>x&y</b>.jpg"), ScanFinished(), END)
        assert not job.said
        for there in (one, two):
            (message,) = there.got
            assert message["title"] == "bulkup: 1 photo uploaded, 1 failed"
            assert message["message"].startswith("Done after")
            assert "failed: <b>x&y</b>.jpg" in message["message"]
            assert there.paths == ["/s3cret-path"]


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([RUN, *uploaded("a"), ScanFinished(), END], "success"),
        ([RUN, *failed("a"), ScanFinished(), END], "warning"),
        ([RUN, *uploaded("a"), Interrupted(), END], "warning"),
        ([FAILURE], "failure"),
    ],
)
async def test_it_says_how_bad_it_is(events: list[Event], kind: str) -> None:
    async with receiver() as there:
        await (await Job.for_(there.address)).ends(*events)
        (message,) = there.got
    assert message["type"] == kind


async def test_a_service_that_refuses_is_told_without_its_secrets() -> None:
    async with receiver(status=500) as one, receiver() as two:
        job = await Job.for_(one.address, two.address)
        await job.ends(RUN, END)
        assert job.words == ["the notification by json was not taken"]
        assert len(two.got) == 1
    assert SECRET not in str(job.said)


async def test_a_service_that_is_not_there_is_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with receiver() as gone:
        address = gone.address
    job = await Job.for_(address)
    await job.ends(FAILURE)
    assert job.words == ["the notification by json was not taken"]
    assert capfd.readouterr() == ("", "")


async def test_a_service_that_says_nothing_is_given_up() -> None:
    async with receiver(silent=True) as mute, receiver() as other:
        job = await Job.for_(f"{mute.address}?rto=600", other.address, limit_s=5.0)
        await job.ends(RUN, END)
        assert job.words == ["the notification by json took longer than 5 s"]
        assert len(other.got) == 1
        with fail_after(10):
            await mute.dropped.wait()  # nothing of it goes on


async def test_whoever_aborts_a_run_is_told_too() -> None:
    async with receiver() as there:
        job = await Job.for_(there.address)
        with CancelScope() as scope:
            async with job.view as view:
                view.emit(RUN)
                view.emit(Interrupted())
                scope.cancel()
                await sleep_forever()
        (message,) = there.got
        assert message["title"].startswith("bulkup: interrupted")


@pytest.mark.parametrize(
    "address", ["nonsense", "nosuch://token@s3cret-path", "tgram://s3cret-path", "", "discord://"]
)
def test_an_address_that_is_none_is_told_without_its_secrets(address: str) -> None:
    with pytest.raises(UsageError, match=r"--notify: .* \(number 2\)") as caught:
        services(["json://127.0.0.1", address])
    assert SECRET not in caught.value.message + caught.value.hint
    assert "apprise" in caught.value.hint


async def test_what_is_as_impossible_as_before_is_told_once() -> None:
    async with receiver() as there:
        (service,) = await to_thread.run_sync(services, [there.address])
        for failure in (FAILURE, FAILURE, replace(FAILURE, reason="no such album")):
            await Job(service).ends(failure)
        assert [message["message"].partition("\n")[0] for message in there.got] == [
            "the log-in is refused",
            "no such album",
        ]
