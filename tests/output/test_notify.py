"""Notifications: what they say of a run, who gets them, and services that fail."""

from dataclasses import replace

import pytest
from anyio import CancelScope, create_task_group, sleep_forever, to_thread
from anyio.lowlevel import checkpoint

from bulkup import events
from bulkup.errors import UsageError
from bulkup.events import Event, Interrupted, RunFailed, RunFinished, ScanFinished, Verdict
from bulkup.output.notify import Notifier, Service, _grade, body, headline, services
from tests.support import sample_run
from tests.support.loop_time import skip
from tests.support.receiver import receiver
from tests.support.sample_run import DRY_RUN, RUN, checked, failing, found, state_after, uploading

SECRET = "s3cret-path"
FAILURE = RunFailed(reason="the log-in is refused", hint="Check user and password.")
END, STOP = RunFinished(seconds=1), Interrupted()
OPEN = [*found("b"), sample_run.unfinished("b")]
CHECKED = [*found("a", "b"), checked("a", Verdict.PRESENT), checked("b", Verdict.MISSING)]


SENT = [RUN, *uploading("a")]
MORE = [*uploading("b"), *failing("c")]


@pytest.mark.parametrize(
    ("history", "grade", "words"),
    [
        ([*SENT, END], "success", "1 photo uploaded"),
        ([*SENT, *MORE, END], "warning", "2 photos uploaded, 1 failed"),
        ([RUN, sample_run.present("a"), END], "success", "0 photos uploaded, 1 already there"),
        ([*SENT, STOP, END], "warning", "interrupted: 1 photo uploaded"),
        ([*SENT, *OPEN, STOP], "warning", "interrupted: 1 photo uploaded, 1 unfinished"),
        ([*SENT, *OPEN, FAILURE], "failure", "aborted: 1 photo uploaded, 1 unfinished"),
        ([FAILURE], "failure", "the run could not start"),
        ([], "failure", "ended before it started"),
        ([sample_run.CHECK, *CHECKED], "warning", "2 photos checked, 1 present, 1 missing"),
        ([DRY_RUN, sample_run.new("a"), END], "success", "1 photo would be uploaded"),
    ],
)
def test_the_title_says_how_the_run_ended_and_the_grade_how_bad_it_is(
    history: list[Event], grade: str, words: str
) -> None:
    state = state_after(*history)
    assert (headline(state), _grade(state)) == (words, grade)


def test_the_body_is_the_summary_and_why_the_run_could_not_go_on() -> None:
    text = body(
        state_after(RUN, *uploading("a"), *failing("\x1b[1mb\n<b>"), ScanFinished(), END, FAILURE)
    )
    assert text.startswith("the log-in is refused\nCheck user and password.\nDone after")
    assert "failed: /photos/2019/\\x1b[1mb\\n<b>" in text
    assert body(state_after()) == "Nothing was sent."


class Job:
    """A run that somebody is notified of."""

    def __init__(self, *there: Service) -> None:
        self.said: list[Event] = []
        self.view = Notifier(there, notice=self.said.append, clock=lambda: 0.0, limit_s=100.0)

    @classmethod
    async def for_(cls, *addresses: str) -> "Job":
        return cls(*await to_thread.run_sync(services, addresses))

    async def ends(self, *history: Event) -> None:
        async with self.view as view:
            for event in history:
                view.emit(event)

    @property
    def words(self) -> list[str]:
        return [event.message for event in self.said if isinstance(event, events.Noticed)]


async def test_each_service_is_notified_once_and_of_those_that_refuse_no_secret_is_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with receiver() as gone:
        pass
    async with receiver() as one, receiver(status=500) as refusing, receiver() as two:
        job = await Job.for_(*(there.address for there in (one, refusing, gone, two)))
        await job.ends(RUN, *uploading("a"), *failing("<b>x&y</b>.jpg"), ScanFinished(), END)
        for there in (one, refusing, two):
            (message,) = there.got
            assert message["title"] == "bulkup: 1 photo uploaded, 1 failed"
            assert message["message"].startswith("Done after")
            assert "failed: /photos/2019/<b>x&y</b>.jpg" in message["message"]
            assert message["type"] == "warning"
            assert there.paths == ["/s3cret-path"]
    assert job.words == ["the notification to json was rejected"] * 2
    assert SECRET not in str(job.said)
    assert capfd.readouterr() == ("", "")


async def test_a_service_that_says_nothing_is_given_up() -> None:
    async with receiver(silent=True) as mute, create_task_group() as tasks:
        job = await Job.for_(f"{mute.address}?rto=600")
        tasks.start_soon(job.ends, RUN, END)
        while not mute.got:
            await checkpoint()
        skip(100.0)
        await mute.dropped.wait()  # nothing of it goes on
    assert job.words == ["the notification to json took longer than 100 s"]


async def test_whoever_aborts_a_run_is_notified_too() -> None:
    async with receiver() as there:
        job = await Job.for_(there.address)
        with CancelScope() as scope:
            async with job.view as view:
                view.emit(RUN)
                view.emit(STOP)
                scope.cancel()
                await sleep_forever()
        assert there.got[0]["title"].startswith("bulkup: interrupted")


@pytest.mark.parametrize(
    "address", ["nonsense", "nosuch://token@s3cret-path", "tgram://s3cret-path", "", "discord://"]
)
def test_an_address_that_is_none_is_reported_without_its_secrets(address: str) -> None:
    with pytest.raises(UsageError, match=r"--notify: .* \(number 2\)") as caught:
        services(["json://127.0.0.1", address])
    assert SECRET not in caught.value.message + caught.value.hint
    assert "apprise" in caught.value.hint


async def test_what_is_as_impossible_as_before_is_notified_once() -> None:
    async with receiver() as there:
        (service,) = await to_thread.run_sync(services, [there.address])
        for failure in (FAILURE, FAILURE, replace(FAILURE, reason="no such album")):
            await Job(service).ends(failure)
        assert [message["message"].partition("\n")[0] for message in there.got] == [
            "the log-in is refused",
            "no such album",
        ]
