"""The upload in a browser: starting, pausing, stopping, its report, and the history."""

import csv
import io
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from anyio import fail_after, to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from bulkup.api import UploadOptions
from bulkup.app.settings import Account, default_ledger
from bulkup.engine.retry import Policy
from bulkup.events import PhotoFailed, RunStarted
from bulkup.gui.draft import Draft, DraftFile
from bulkup.gui.runs import UploadRun
from bulkup.gui.steps.sources import to_code
from bulkup.sandbox import Fault, Sandbox
from tests.support.commands import PASSWORD, begin, environment
from tests.support.faults import HookedFaults
from tests.support.galleries import spoil
from tests.support.gui import Gui, Opens, Page
from tests.support.photos import write_photo
from tests.support.runs import make_archive

ADMIN = ("admin", PASSWORD)
ODD = [
    "<script>alert(1).jpg",
    "new\nline.jpg",
    "\udcff.jpg",
    "😀 “a”&b.jpg",
    "{{7*7}}.jpg",
]


async def ready(there: Gui, box: Sandbox, folder: Path, **options: object) -> None:
    """Sign in, and choose the folder and album 1."""
    await there.sign_in(box)
    await there.post("/sources", {"add": to_code(folder)})
    await there.session.change(options=UploadOptions(**{"album": 1, **options}))  # type: ignore[arg-type]


async def until(there: Gui, path: str, words: str) -> Page:
    """Return the live part of a page once it has these words."""
    while words not in (page := await there.get(path, Accept="text/x-fragment")).words:
        pass
    return page


def at_upload(nth: int, act: Callable[[], object]) -> HookedFaults:
    """Return faults that do something as the nth upload request arrives."""
    return HookedFaults(act=act, method="pwg.images.uploadAsync", nth=nth)


async def test_an_upload_runs_is_reported_verified_and_remembered(
    gui: Opens, tmp_path: Path
) -> None:
    make_archive(tmp_path / "photos", count=6, names=6)
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        assert (await there.get("/run")).path == "/gallery?for=run"
        await ready(there, box, tmp_path / "photos")
        page = await there.get("/run")
        assert "Start the upload" in page.words
        assert "monitor.js" not in page.text
        assert "Nothing has been uploaded" in (await there.get("/report")).words
        page = await there.post("/run", {"do": "start"})
        assert "data-live" in page.text
        assert "monitor.js" in page.text
        page = await there.settled("/run")
        assert "The upload has ended." in page.words
        assert "Next: Report" in page.words
        assert len(box.gallery.photos) == 6
        page = await there.get("/report")
        assert "It ran to its end. 6 uploaded" in page.words
        assert f"bulkup verify --url {box.url} --user admin --album 1" in page.words
        table = (await there.get("/report/upload.csv")).text
        rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
        assert {row["outcome"] for row in rows} == {"uploaded"}
        report = await there.get("/report/upload.html")
        assert report.headers["Content-Disposition"].startswith("attachment")
        assert "All 6 photos are in the gallery" in report.words
        assert PASSWORD not in report.text + table
        assert "data-live" in (await there.post("/report", {"do": "verify"})).text
        page = await there.settled("/report")
        assert "All photos are in the gallery, in their albums, and undamaged." in page.words
        page = await there.get("/history")
        assert page.words.index("Verification") < page.words.index("Upload 2")
        assert "6 uploaded" in page.words
        assert "bulkup status" in page.words
        await spoil(box, 1)
        await there.post("/report", {"do": "verify"})
        page = await there.settled("/report")
        assert "Not all is as it should be." in page.words
        assert "1 damaged in the gallery" in page.words
        assert "Delete photo 1 in the gallery" in page.words
        table = (await there.get("/report/verification.csv")).text
        rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
        assert sorted(row["outcome"] for row in rows) == ["differing", *["present"] * 5]
        report = await there.get("/report/verification.html")
        assert "5 of 6 photos are present and intact" in report.words
        assert "bulkup verify" in report.words
        assert PASSWORD not in report.text + table
    async with gui() as there:  # after a restart, the ledger knows of it
        assert (await there.get("/history")).words.count("6 uploaded") == 1


async def test_an_upload_is_paused_resumed_and_stopped_and_goes_on_later(
    gui: Opens, tmp_path: Path
) -> None:
    make_archive(tmp_path, count=9, names=9)
    async with gui() as there:

        def pause() -> None:
            assert there.session.upload is not None
            there.session.upload.pause()

        async with Sandbox(admin=ADMIN, faults=at_upload(2, pause)) as box:
            await ready(there, box, tmp_path, concurrency=1)
            await there.post("/run", {"do": "start"})
            page = await until(there, "/run", "Paused. ")
            sent = len(box.gallery.photos)
            assert 0 < sent < 9
            upload = there.session.upload
            await there.post("/run", {"do": "start"})  # from another tab
            assert there.session.upload is upload
            page = await there.post("/report", {"do": "verify"})
            assert (page.status, "an upload is running" in page.words) == (422, True)
            assert page.values("do") == []
            page = await there.post("/rehearsal", {"do": "start"})
            assert (page.status, "an upload is running" in page.words) == (422, True)
            page = await there.get("/run")
            assert page.values("do") == ["resume", "stop"]
            await there.post("/run", {"do": "stop"})
            page = await there.settled("/run")
            assert "The upload was stopped." in page.words
            assert page.values("do") == ["start"]
            assert len(box.gallery.photos) == sent
            assert "stopped before its end" in (await there.get("/report")).words
            await there.post("/run", {"do": "pause"})  # from a page of before: ignored
            await there.post("/run", {"do": "start"})
            page = await there.settled("/run")
            assert "The upload has ended." in page.words
            assert len(box.gallery.photos) == 9


async def test_an_upload_is_stopped_at_once(gui: Opens, tmp_path: Path) -> None:
    make_archive(tmp_path, count=9, names=9)
    faults = HookedFaults(Fault("slow", method="pwg.images.uploadAsync", nth=2, slow_s=3600))
    async with Sandbox(admin=ADMIN, faults=faults) as box, gui() as there:
        await ready(there, box, tmp_path, concurrency=1)
        await there.post("/run", {"do": "start"})
        while len(box.gallery.photos) < 3:
            await there.get("/run")
        page = await there.post("/run", {"do": "stop"})
        assert "Stopping: the photos in flight are being finished." in page.words
        assert page.values("do") == ["abort"]
        await there.post("/run", {"do": "abort"})
        page = await there.settled("/run")
        assert "The upload was stopped." in page.words
        assert "stopped before its end" in (await there.get("/report")).words


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_after_the_end_of_bulkup_the_upload_goes_on_where_it_was(
    gui: Opens, tmp_path: Path, number: signal.Signals
) -> None:
    make_archive(tmp_path, count=9, names=9)
    url = ""

    def draft() -> Draft:
        account = Account(url=url, user="admin")
        options = UploadOptions(album=1, concurrency=1)
        return Draft(account=account, paths=(tmp_path,), options=options)

    faults = at_upload(3, lambda: process.send_signal(number))
    async with Sandbox(admin=ADMIN, faults=faults) as box:
        url = box.url
        await to_thread.run_sync(DraftFile(default_ledger().with_name("gui.json")).write, draft())
        process = await begin(["gui", "--no-browser", "--port", "0"], environment({}), piped=(1,))
        cookies = aiohttp.CookieJar(unsafe=True)
        with fail_after(60):
            assert process.stdout is not None
            lines = BufferedByteReceiveStream(process.stdout)
            address = (await lines.receive_until(b"\n", 1000)).decode().split()[1]
            async with aiohttp.ClientSession(cookie_jar=cookies) as client:
                (await client.get(address)).close()
                there = Gui(None, address.partition("/?")[0], [], client)  # type: ignore[arg-type]
                await there.sign_in(box)
                await there.post("/run", {"do": "start"})
                code = await process.wait()
        assert code == (0 if number is signal.SIGINT else -number)
        sent = len(box.gallery.photos)
        assert 3 <= sent < 9
        async with gui() as there:
            await ready(there, box, tmp_path)
            page = await there.get("/run")
            how = "was stopped" if number is signal.SIGINT else "was interrupted"
            assert f"The last upload {how}" in page.words
            assert "Go on with the upload" in page.words
            assert f"It {how}" in (await there.get("/report")).words
            await there.post("/run", {"do": "start"})
            await there.settled("/run")
            assert len(box.gallery.photos) == 9


async def test_photos_that_failed_are_tried_again_alone(gui: Opens, tmp_path: Path) -> None:
    make_archive(tmp_path / "photos", count=3, names=3)
    for name in ODD:
        (tmp_path / "photos" / name).touch()
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await ready(there, box, tmp_path / "photos")
        await there.post("/run", {"do": "start"})
        await there.settled("/run")
        page = await there.get("/report")
        assert "5 failed" in page.words
        assert "<script>alert" not in page.text
        assert "new\\nline.jpg" in page.words
        assert "\\xff.jpg" in page.words
        assert "{{7*7}}.jpg" in page.words
        assert page.values("do") == ["again", "verify"]
        for number, name in enumerate(ODD):
            write_photo(tmp_path / "photos" / name, number)
        page = await there.post("/report", {"do": "again"})
        assert page.path == "/run"
        await there.settled("/run")
        assert there.session.upload is not None
        assert there.session.upload.state.found == 5
        page = await there.get("/report")
        assert "5 uploaded" in page.words
        assert page.values("do") == ["verify"]
        page = await there.post("/report", {"do": "again"})
        assert (page.status, "no photo has failed" in page.words) == (422, True)


async def test_an_upload_waits_for_a_gallery_that_is_away(
    gui: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.app.gallery.Policy", partial(Policy, ask_s=0.1, wait_s=0.02))
    make_archive(tmp_path, count=4, names=4)

    def go_away() -> None:
        faults.on = True

    faults = HookedFaults(
        Fault("503"), act=go_away, method="pwg.images.uploadAsync", nth=1, on=False
    )
    async with Sandbox(admin=ADMIN, faults=faults) as box, gui() as there:
        await ready(there, box, tmp_path)
        await there.post("/run", {"do": "start"})
        await until(there, "/run", "The gallery does not answer.")
        faults.on = False
        page = await there.settled("/run")
        assert "The upload has ended." in page.words
        assert len(box.gallery.photos) == 4


async def test_what_is_impossible_is_reported_and_can_be_repeated(
    gui: Opens, own_state: Path, tmp_path: Path
) -> None:
    make_archive(tmp_path / "photos", count=2, names=2)
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await ready(there, box, tmp_path / "photos", album=None)
        page = await there.get("/run")
        assert "Start the upload" not in page.words  # albums have to be chosen first
        await there.session.change(options=UploadOptions(album=99))
        await there.post("/run", {"do": "start"})
        page = await there.settled("/run")
        assert "The upload could not go on." in page.words
        await there.session.change(options=UploadOptions(album=1))
        (own_state / "gui-report.html").mkdir()
        await there.post("/run", {"do": "start"})
        page = await there.settled("/run")
        assert "There will be no report to download" in page.words
        assert "The upload has ended." in page.words
        assert len(box.gallery.photos) == 2


async def test_twenty_thousand_failures_make_a_small_page(gui: Opens, tmp_path: Path) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await ready(there, box, tmp_path)
        session = there.session
        assert session.account is not None
        upload = UploadRun(
            session.account, session.draft, folder=tmp_path, monitor=session.monitor
        )
        upload.running = False
        session.upload = upload
        upload.emit(
            RunStarted(
                url=box.url,
                version="16.4.0",
                user="admin",
                album=1,
                album_name="Test",
                method="async",
                concurrency=8,
                chunk_size=1,
            )
        )
        for number in range(20_000):
            upload.emit(
                PhotoFailed(
                    path=tmp_path / f"{number}.jpg",
                    size=1,
                    reason=f"reason {number % 500}",
                    hint="hint",
                )
            )
        page = await there.get("/report")
        assert "20,000 failed" in page.words
        assert "more: the table has every one" in page.words
        assert len(page.text) < 100_000
        assert len(upload.failed()) == 20_000
