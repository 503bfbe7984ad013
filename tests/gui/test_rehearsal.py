"""The rehearsal: what it finds, that it changes nothing, and when it counts no more."""

from pathlib import Path

import anyio
import pytest

from bulkup.api import UploadOptions, upload
from bulkup.app.settings import Account
from bulkup.events import AlbumMade, Noticed, PhotoFailed
from bulkup.gui import runs
from bulkup.gui.draft import Draft
from bulkup.gui.runs import ALBUMS, NOTICES, RehearsalRun
from bulkup.gui.steps.rehearsal import FAILURES
from bulkup.gui.steps.sources import to_code
from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD
from tests.support.galleries import changes
from tests.support.gui import Gui, Opens
from tests.support.photos import write_files

ADMIN = ("admin", PASSWORD)


async def begin(there: Gui, box: Sandbox, folder: Path) -> None:
    """Do what comes before."""
    await there.sign_in(box)
    await there.post("/sources", {"add": to_code(folder)})
    await there.post("/albums", {"do": "albums", "kind": "tree", "target": "top"})
    await there.settled("/albums")


async def test_the_rehearsal_shows_what_an_upload_would_do(gui: Opens, tmp_path: Path) -> None:
    folder = tmp_path / "<b>all</b> \n😀"
    write_files(folder, "a.jpg", "b/c.jpg", "b/d.jpg", "x.txt", ".hidden.jpg")
    (folder / "empty.jpg").touch()
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        assert (await there.get("/rehearsal")).path.startswith("/gallery?for=")
        await begin(there, box, folder)
        asked = len(box.requests)
        assert "It reads all files and changes nothing" in (await there.get("/rehearsal")).words
        page = await there.post("/rehearsal", {"do": "start"})
        assert "data-live" in page.text
        await there.settled("/rehearsal")
        page = await there.get("/rehearsal")
        assert "3 photos to be sent, 2.70 kB" in page.words
        assert "To be sent 3 2.70 kB" in page.words
        assert "Already in the gallery 0" in page.words
        assert "Would fail 1" in page.words
        assert "empty.jpg" in page.words
        assert "1 .txt: the gallery does not accept this type" in page.words
        assert "made by systems and cameras" in page.words
        assert "2 albums" in page.words
        assert " / b" in page.words
        assert "<b>" not in page.text
        assert "--dry-run" in page.words
        assert not changes(box, since=asked)
        assert not box.gallery.photos
        assert not there.session.draft.options.dry_run
        # other choices, and back
        await there.post("/options", {"do": "reset"})
        assert "Rehearse again" in (await there.get("/rehearsal")).words
        before = there.session.draft.options
        await there.session.change(options=UploadOptions(tree=True, level=8))
        page = await there.get("/rehearsal")
        assert "What is chosen has changed since" in page.words
        await there.session.change(options=before)
        assert "What is chosen has changed since" not in (await there.get("/rehearsal")).words
        # after the upload, all are there
        assert there.session.account is not None
        draft = there.session.draft
        await upload(draft.paths, account=there.session.account, options=draft.options)
        await there.post("/rehearsal", {"do": "start"})
        await there.settled("/rehearsal")
        page = await there.get("/rehearsal")
        assert "Already in the gallery 3" in page.words
        assert "0 photos to be sent" in page.words


async def test_a_rehearsal_can_be_stopped_and_no_upload_runs_beside_it(
    gui: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, "a.jpg")
    begun = anyio.Event()
    real = upload

    async def held(*arguments: object, **options: object) -> object:
        report = await real(*arguments, **options)  # type: ignore[arg-type]
        begun.set()
        await anyio.sleep_forever()
        return report

    monkeypatch.setattr(runs, "upload", held)
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await begin(there, box, tmp_path)
        await there.post("/rehearsal", {"do": "start"})
        await begun.wait()
        page = await there.get("/rehearsal")
        assert "1 of 1 photos compared" in page.words
        for path, what in (("/run", "start"), ("/report", "verify")):
            page = await there.post(path, {"do": what})
            assert page.status == 422
            assert "a rehearsal is running, which reads the same photos" in page.words
        await there.post("/rehearsal", {"do": "stop"})
        page = await there.settled("/rehearsal")
        assert "has not come to its end" in page.words
        monkeypatch.setattr(runs, "upload", real)
        await there.post("/run", {"do": "start"})
        await there.settled("/run")
        assert len(box.gallery.photos) == 1


async def test_a_rehearsal_that_fails_says_why(gui: Opens, tmp_path: Path) -> None:
    write_files(tmp_path, "a.jpg")
    async with gui() as there:
        async with Sandbox(admin=ADMIN) as box:
            await begin(there, box, tmp_path)
            await there.session.change(options=UploadOptions(album=4711))
            await there.post("/rehearsal", {"do": "start"})
            page = await there.settled("/rehearsal")
            assert "4711" in page.words
        page = await there.get("/rehearsal")
        assert "has not come to its end" in page.words


def test_a_plan_is_bounded() -> None:
    plan = RehearsalRun(Account(url=""), Draft())
    for number in range(2000):
        plan.emit(AlbumMade(album=number + 1, name="x" * 9, parent=number or None))
        plan.emit(PhotoFailed(path=Path(f"/{number}.jpg"), size=1, reason="r", hint="h", code="c"))
        plan.emit(Noticed(message=str(number), hint=""))
    assert len(plan.albums) == ALBUMS
    assert plan.state.albums_made == 2000
    assert len(plan.notices) == NOTICES
    assert plan.state.failed == 2000
    assert FAILURES < len(plan.state.failures) <= 1000
