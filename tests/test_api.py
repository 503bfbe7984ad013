"""bulkup as a library: photos go up, what happens is heard, and nothing else is touched."""

import signal
from pathlib import Path
from typing import Any, get_args

import pytest

import bulkup
from bulkup import events
from bulkup.events import Event, PhotoStarted, PhotoUploaded, RunFinished, RunStarted, ScanFinished
from bulkup.sandbox import Sandbox
from tests.support.runs import make_archive


def account(box: Sandbox) -> bulkup.Account:
    return bulkup.Account(url=box.url, user="admin", password="secret")


async def test_photos_go_up_in_silence_and_the_report_counts_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_archive(tmp_path / "photos", count=12, names=4)
    (tmp_path / "photos" / "empty.jpg").write_bytes(b"")
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    told: list[Event] = []
    async with Sandbox() as box:
        report = await bulkup.upload(
            [tmp_path / "photos"],
            server=account(box),
            album="1",
            ledger=tmp_path / "ledger.sqlite",
            on_event=told.append,
        )
        again = await bulkup.upload(
            [str(tmp_path / "photos")],
            server=account(box),
            album="Trips/2019",
            create_albums=True,
            remember=False,
        )
        assert len(box.gallery.photos) == 12
    assert (report.uploaded, report.failed, report.ok) == (12, 1, False)
    assert (again.uploaded, again.present, again.linked) == (0, 12, 12)
    (failure,) = report.failures
    assert failure.path.name == "empty.jpg"
    assert failure.reason
    assert failure.hint
    assert report.sent_size == sum(e.size for e in told if isinstance(e, PhotoUploaded))
    assert isinstance(told[0], RunStarted)
    assert isinstance(told[-1], RunFinished)
    assert capfd.readouterr() == ("", "")
    assert signals == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


async def test_a_wish_to_stop_leaves_the_rest_unfinished(tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=30, names=30)
    stop = bulkup.Stop()

    def hear(event: Event) -> None:
        if isinstance(event, PhotoStarted):
            stop.set()

    async with Sandbox() as box:
        report = await bulkup.upload(
            [tmp_path / "photos"],
            server=account(box),
            album=1,
            concurrency=2,
            remember=False,
            on_event=hear,
            stop=stop,
        )
    assert report.unfinished
    assert report.uploaded + report.unfinished == 30
    assert not report.ok


async def test_what_is_impossible_is_raised_and_tells_what_to_do(tmp_path: Path) -> None:
    make_archive(tmp_path, count=1, names=1)
    async with Sandbox() as box:
        with pytest.raises(bulkup.RunError) as caught:
            await bulkup.upload([tmp_path], server=account(box), album=99, remember=False)
        assert caught.value.hint
        with pytest.raises(bulkup.UsageError):
            await bulkup.upload([tmp_path / "none"], server=account(box), album=1)
        with pytest.raises(bulkup.UsageError):
            await bulkup.upload([tmp_path], server=account(box))
        with pytest.raises(bulkup.UsageError, match="one path"):
            await bulkup.upload(str(tmp_path), server=account(box), album=1)


async def test_what_a_listener_raises_ends_the_run(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)

    def hear(event: Event) -> None:
        if event == ScanFinished():
            raise LookupError("mine")

    async with Sandbox() as box:
        with pytest.raises(LookupError, match="mine"):
            await bulkup.upload(
                [tmp_path], server=account(box), album=1, remember=False, on_event=hear
            )


def test_only_what_is_promised_can_be_asked_for() -> None:
    for name in bulkup.__all__:
        assert getattr(bulkup, name).__name__ == name
    with pytest.raises(AttributeError):
        bulkup.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"server": bulkup.Account(url="http://127.0.0.1:1/")}, "user is missing"),
        ({"method": "ftp"}, "invalid value for --method: ftp"),
        ({"album": "Trips//2019"}, "an empty name"),
    ],
)
async def test_wrong_values_are_told_before_anybody_is_asked(
    values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    server = bulkup.Account(url="http://127.0.0.1:1/", user="admin", password="secret")
    given = {"server": server, "album": 1, "remember": False, **values}
    with pytest.raises(bulkup.UsageError, match=said):
        await bulkup.upload([tmp_path], **given)


async def test_a_photo_that_its_album_does_not_show_is_not_ok(tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=3, names=3)

    def delete_album(event: Event) -> None:
        if isinstance(event, PhotoUploaded):
            box.gallery.albums.pop(2, None)

    async with Sandbox() as box:
        box.gallery.add_album("Trips")
        report = await bulkup.upload(
            [tmp_path / "photos"],
            server=account(box),
            album=2,
            remember=False,
            on_event=delete_album,
        )
    assert (report.uploaded, report.failed, report.unfinished) == (3, 0, 0)
    assert report.astray
    assert not report.ok


def test_every_event_can_be_imported_from_where_it_is_documented() -> None:
    kinds = get_args(Event)
    assert len(kinds) > 30
    assert all(getattr(events, kind.__name__) is kind for kind in kinds)
