"""bulkup as a library: uploads, events, and nothing else touched."""

import inspect
import os
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest

import bulkup
from bulkup import events
from bulkup.api import COPIED
from bulkup.events import (
    Event,
    PhotoArrived,
    PhotoStarted,
    PhotoUploaded,
    RunFinished,
    RunStarted,
    ScanFinished,
    Verdict,
)
from bulkup.sandbox import Sandbox
from docs.generate import arguments
from tests.support.galleries import only_photo, spoil, tags_of
from tests.support.runs import make_archive


async def upload(
    box: Sandbox,
    path: Path,
    *,
    on_event: Callable[[Event], None] | None = None,
    stop: bulkup.Stop | None = None,
    **options: Any,  # noqa: ANN401 (of any option)
) -> bulkup.Report:
    """Upload a folder to album 1, without a ledger unless the options say otherwise."""
    chosen = bulkup.UploadOptions(**{"album": 1, "no_ledger": "ledger" not in options} | options)
    account = bulkup.Account(url=box.url, user="admin", password="secret")
    return await bulkup.upload(
        [path], account=account, options=chosen, on_event=on_event, stop=stop
    )


async def test_photos_are_uploaded_silently_and_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    make_archive(photos, count=12, names=4)
    (photos / "empty.jpg").write_bytes(b"")
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    received: list[Event] = []
    async with Sandbox() as box:
        report = await upload(
            box, photos, album="1", ledger=tmp_path / "ledger.sqlite", on_event=received.append
        )
        again = await upload(
            box, photos, album="Trips/2019", create_albums=True, patterns="folder 00/"
        )
        assert len(box.gallery.photos) == 12
    assert (report.uploaded, report.failed, report.ok) == (12, 1, False)
    assert (again.uploaded, again.present, again.linked) == (0, 8, 8)
    (failure,) = report.failures
    assert failure.path.name == "empty.jpg"
    assert all((failure.reason, failure.hint, failure.code))
    sizes = [event.size for event in received if isinstance(event, PhotoUploaded)]
    assert report.uploaded_size == sum(sizes)
    assert isinstance(received[0], RunStarted)
    assert isinstance(received[-1], RunFinished)
    assert (tmp_path / "ledger.sqlite").exists()
    assert capfd.readouterr() == ("", "")
    assert signals == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_every_flag_of_an_upload_has_an_option_of_its_name() -> None:
    """… but those of the account, of the config file and of the command line's outputs."""
    flags = {each.field_info.name: each.field_info.default for each in arguments("upload")}
    account = {field.name for field in fields(bulkup.Account)}
    account |= {"password_file", "password_command", "api_key_file"}
    account |= {"http_password_file", "header", "header_file"}
    files = {"profile", "config"}
    outputs = {"verbose", "quiet", "json", "log_file", "report", "monitor", "monitor_token_file"}
    outputs |= {"notify", "notify_file"}
    options = {field.name for field in fields(bulkup.UploadOptions)}
    assert options == flags.keys() - account - files - outputs - {"flat"}
    defaults = {name: flags[name] for name in options}
    assert bulkup.UploadOptions() == bulkup.UploadOptions(**defaults)


def test_every_flag_of_verify_has_an_option_of_its_name() -> None:
    flags = {each.field_info.name: each.field_info.default for each in arguments("verify")}
    options = {field.name for field in fields(bulkup.VerifyOptions)}
    shared = {each.field_info.name for each in arguments("upload")}
    of_uploads = {field.name for field in fields(bulkup.UploadOptions)}
    assert options == (flags.keys() - shared - {"flat"}) | (flags.keys() & of_uploads)
    defaults = {name: flags[name] for name in options}
    assert bulkup.VerifyOptions() == bulkup.VerifyOptions(**defaults)


async def test_verify_finds_what_is_missing_damaged_or_not_in_its_album(tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=4, names=4)
    account = bulkup.Account(url="", user="admin", password="secret")
    received: list[Event] = []
    async with Sandbox() as box:
        account = replace(account, url=box.url)
        await upload(box, tmp_path / "photos", on_event=received.append)
        sent = [event for event in received if isinstance(event, PhotoUploaded)]
        fine, damaged, moved, gone = [event.path for event in sent]
        await spoil(box, sent[1].image_id)
        box.gallery.unlink(sent[2].image_id, 1)
        await box.gallery.delete(sent[3].image_id)
        options = bulkup.VerifyOptions(album=1, no_ledger=True)
        report = await bulkup.verify(
            [tmp_path / "photos"], account=account, options=options, on_event=received.append
        )
        anywhere = await bulkup.verify([tmp_path / "photos"], account=account)
    assert report.verdicts.total() == 4
    assert not report.ok
    assert fine not in {failure.path for failure in report.failures}
    assert {failure.path: failure.verdict for failure in report.failures} == {
        damaged: Verdict.DIFFERING,
        moved: Verdict.NOT_IN_ALBUM,
        gone: Verdict.MISSING,
    }
    assert all(each.reason and each.hint and each.code for each in report.failures)
    assert anywhere.verdicts[Verdict.PRESENT] == 2
    assert isinstance(received[-1], RunFinished)
    with pytest.raises(bulkup.UsageError, match="no album is to be checked"):
        await bulkup.verify(
            [], account=account, options=bulkup.VerifyOptions(metadata=tmp_path / "x.csv")
        )


def test_from_piwigo_has_an_option_for_each_of_its_flags() -> None:
    flags = {each.field_info.name for each in arguments("from-piwigo")}
    options = {field.name for field in fields(bulkup.UploadOptions)}
    without = {"update", "raw_as_format", "convert", "ledger", "no_ledger"}
    assert (flags & options) - without == COPIED & options
    named = {name for name in flags if name.startswith("from_")} | {"no_arrange", "ignore_md5"}
    accounts = {"from_user", "from_password_file", "from_password_command", "from_api_key_file"}
    assert named - accounts <= inspect.signature(bulkup.from_piwigo).parameters.keys()


async def test_photos_are_copied_from_another_piwigo(tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=3, names=3)
    async with Sandbox() as old, Sandbox(admin=("chief", "other")) as new:
        await upload(old, tmp_path / "photos")
        source = bulkup.Account(url=old.url, user="admin", password="secret")
        account = bulkup.Account(url=new.url, user="chief", password="other")
        options = bulkup.UploadOptions(tree=True, finishing=1)
        report = await bulkup.from_piwigo(source, account=account, options=options)
        assert report.ok
        assert (report.uploaded, len(new.gallery.photos)) == (3, 3)
        for wrong, words in (
            (bulkup.UploadOptions(tree=True, convert=True), "convert does not work"),
            (bulkup.UploadOptions(album=1), "with from_album N, or tree"),
        ):
            with pytest.raises(bulkup.UsageError) as raised:
                await bulkup.from_piwigo(source, account=account, options=wrong)
            assert words in f"{raised.value.message} {raised.value.hint}"


async def test_options_choose_files_and_describe_and_move_them(tmp_path: Path) -> None:
    photos, done = tmp_path / "photos", tmp_path / "done"
    make_archive(photos, count=4, names=4)
    done.mkdir()
    kept, old, other, _ = sorted(path.name for path in photos.rglob("*.jpg"))
    for path in photos.rglob("*.jpg"):
        os.utime(path, (0, 0) if path.name == old else None)
    async with Sandbox() as box:
        report = await upload(
            box,
            photos,
            patterns=[f"!{kept}", f"!{old}", f"!{other}", other],
            newer_than=datetime(2000, 1, 1, tzinfo=UTC),
            min_size=1,
            max_size="1G",
            title="{stem}!",
            tag="scan",
            chunk_size=8192,
            bwlimit="1G",
            patience=1.5,
            after=f"move:{done}",
        )
        assert report.ok
        photo = only_photo(box)
        assert photo.file == kept
        assert photo.name == f"{Path(kept).stem}!"
        assert tags_of(box, photo) == {"scan"}
    assert report.skipped == 3
    assert [path.name for path in done.rglob("*.jpg")] == [kept]


async def test_a_stop_leaves_the_rest_unfinished(tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=30, names=30)
    stop = bulkup.Stop()

    def request_stop(event: Event) -> None:
        if isinstance(event, PhotoStarted):
            stop.set()

    async with Sandbox() as box:
        report = await upload(
            box, tmp_path / "photos", concurrency=2, on_event=request_stop, stop=stop
        )
    assert report.unfinished
    assert report.uploaded + report.unfinished == 30
    assert not report.ok


async def test_a_paused_run_begins_no_photo_until_it_is_resumed_or_stopped(tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=9, names=9)
    stop, received = bulkup.Stop(), list[Event]()
    idle = anyio.Event()

    def pause(event: Event) -> None:
        received.append(event)
        if isinstance(event, PhotoStarted) and count(PhotoStarted) in {2, 5}:
            stop.pause()
        if stop.paused and count(PhotoStarted) == count(PhotoArrived):
            idle.set()

    def count(kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in received)

    async with Sandbox() as box, anyio.create_task_group() as tasks:
        reports = []

        async def run() -> None:
            reports.append(
                await upload(box, tmp_path / "photos", concurrency=2, on_event=pause, stop=stop)
            )

        tasks.start_soon(run)
        with anyio.fail_after(60):
            await idle.wait()
            await anyio.wait_all_tasks_blocked()
            assert count(PhotoStarted) in {2, 3}  # another one may have begun at the same time
            idle = anyio.Event()
            stop.resume()
            await idle.wait()
            await anyio.wait_all_tasks_blocked()
            assert count(PhotoStarted) in {5, 6}
            stop.set()
            assert not stop.paused
    (report,) = reports
    assert 0 < report.unfinished == 9 - report.uploaded
    assert report.uploaded == count(PhotoStarted)


async def test_only_some_of_the_files_are_uploaded(tmp_path: Path) -> None:
    photos = make_archive(tmp_path / "photos", count=6, names=3)
    chosen = sorted(photos)[2:4]
    async with Sandbox() as box:
        options = bulkup.UploadOptions(tree=True, no_ledger=True)
        account = bulkup.Account(url=box.url, user="admin", password="secret")
        report = await bulkup.upload(
            [tmp_path / "photos"], account=account, options=options, only=chosen
        )
        names = {
            box.gallery.albums[n].name for it in box.gallery.photos.values() for n in it.albums
        }
    assert (report.found, report.uploaded) == (2, 2)
    assert names == {path.parent.name for path in chosen}


async def test_too_many_failures_stop_the_run(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
    async with Sandbox() as box:
        report = await upload(box, tmp_path, max_errors=1, concurrency=1)
    assert 1 <= report.failed < 9


async def test_an_impossible_run_and_an_exception_of_on_event_raise(tmp_path: Path) -> None:
    def fail(event: Event) -> None:
        if event == ScanFinished():
            raise LookupError("mine")

    make_archive(tmp_path, count=3, names=3)
    async with Sandbox() as box:
        with pytest.raises(bulkup.RunError) as caught:
            await upload(box, tmp_path, album=99)
        with pytest.raises(LookupError, match="mine"):
            await upload(box, tmp_path, on_event=fail)
    assert caught.value.hint


def test_public_names_and_every_event_can_be_imported_and_no_others() -> None:
    for name in bulkup.__all__:
        assert getattr(bulkup, name).__name__ == name
    kinds = get_args(Event)
    assert len(kinds) > 30
    assert all(getattr(events, kind.__name__) is kind for kind in kinds)
    with pytest.raises(AttributeError):
        bulkup.nothing  # type: ignore[attr-defined]  # noqa: B018


NOWHERE = bulkup.Account(url="http://127.0.0.1:1/", user="admin", password="secret")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"album": None}, "the album is missing", "album N"),
        ({"album": "Trips//2019"}, "album contains an empty name", "Trips/2019"),
        ({"private": True}, "private only affects new albums", "Give tree or create_albums too."),
        ({"method": "ftp"}, "invalid value for method: ftp", "async"),
        ({"chunk_size": 1}, "chunk_size is out of range", "4K"),
        ({"bwlimit": 1}, "bwlimit 1 is too slow", "off"),
        ({"patience": -1.0}, "invalid time for patience", "15m"),
        ({"no_ledger": True, "update": True}, "update needs the ledger", "no_ledger"),
        ({"patterns": ["a", "./b"]}, "patterns, line 2, “./b” matches nothing", "raw/"),
        ({"newer_than": "soon"}, "invalid date for newer_than", "30d"),
        ({"tag": ["a", ""]}, "tag is empty", "tag holidays"),
        ({"after": "move:"}, "invalid value for after", "trash"),
        ({"map": "a=b"}, "map and dask_tls", "Give dask"),
        ({"dask": "elsewhere"}, "is not a scheduler's address", "tls://"),
        ({"from0": True}, "from0 requires files_from", "Give both"),
        ({"max_errors": 0}, "max_errors 0 is out of range", "1"),
    ],
)
async def test_a_wrong_option_is_named_before_any_request(
    options: dict[str, Any], message: str, hint: str, tmp_path: Path
) -> None:
    chosen = bulkup.UploadOptions(**{"album": 1, "no_ledger": True} | options)
    with pytest.raises(bulkup.UsageError) as caught:
        await bulkup.upload([tmp_path], account=NOWHERE, options=chosen)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "--" not in caught.value.message + caught.value.hint


async def test_wrong_paths_and_accounts_are_named(tmp_path: Path) -> None:
    options = bulkup.UploadOptions(album=1, no_ledger=True)
    for paths, account, message in (
        (str(tmp_path), NOWHERE, "a single path"),
        ([tmp_path / "none"], NOWHERE, "none: No such file"),
        ([tmp_path], bulkup.Account(url=NOWHERE.url), "user of the account is missing"),
    ):
        with pytest.raises(bulkup.UsageError, match=message):
            await bulkup.upload(paths, account=account, options=options)


async def test_a_photo_that_its_album_does_not_show_is_not_ok(tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=3, names=3)

    def delete_album(event: Event) -> None:
        if isinstance(event, PhotoUploaded):
            box.gallery.albums.pop(2, None)

    async with Sandbox() as box:
        box.gallery.add_album("Trips")
        report = await upload(box, tmp_path / "photos", album=2, on_event=delete_album)
    assert (report.uploaded, report.failed, report.unfinished) == (3, 0, 0)
    assert report.not_in_album
    assert not report.ok
