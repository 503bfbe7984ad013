"""The whole way through the pages in a browser, as somebody who makes mistakes goes it."""

import re
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, Dialog, Page, expect

from bulkup.engine.retry import Policy
from bulkup.sandbox import Fault, Sandbox
from tests.gui.test_accessibility import faults
from tests.gui.test_run import ready
from tests.support.browser import anyio_backend, browser, opened
from tests.support.commands import PASSWORD, Held
from tests.support.faults import HookedFaults
from tests.support.gui import Opens
from tests.support.photos import write_files, write_photo
from tests.support.runs import make_archive

__all__ = ["anyio_backend", "browser"]

ADMIN = ("admin", PASSWORD)
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(1)<",
    "line\nbreak\x1b[31m\u202e",
    "\udcff\udc80",
    "{{ 7*7 }} %0a &lt;b&gt;",
    "😀",
)


async def press(page: Page, name: str) -> None:
    """Press a button or follow a link of this name."""
    button = page.get_by_role("button", name=name, exact=True)
    await button.or_(page.get_by_role("link", name=name, exact=True)).first.click()


async def heading(page: Page, name: str) -> None:
    """Expect to be at a step."""
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


async def sign_in(page: Page, url: str, password: str) -> None:
    """Fill in the form of the gallery by the keyboard alone, and send it."""
    await page.get_by_label("Address of the gallery").focus()
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type(url)
    await page.keyboard.press("Tab")  # to the kind of sign-in
    await page.keyboard.press("Tab")
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type("admin")
    await page.keyboard.press("Tab")
    await page.keyboard.type(password)
    await page.keyboard.press("Enter")


async def test_from_the_sign_in_to_the_plan(gui: Opens, browser: Browser, tmp_path: Path) -> None:
    write_files(tmp_path / "all", "a.jpg", "trip/b.jpg", "trip/c.jpg")
    async with (
        Sandbox(admin=ADMIN) as box,
        gui() as there,
        opened(browser, there.announced[-1]) as (page, _),
    ):
        assert "token" not in page.url
        await press(page, "Begin")
        await heading(page, "Gallery")
        # a wrong password: said above the form, which keeps all but the password
        await sign_in(page, box.url, "wrong")
        alert = page.get_by_role("alert").filter(has_text="That did not work")
        await expect(alert).to_be_focused()
        await expect(page.get_by_label("Address of the gallery")).to_have_value(box.url)
        await expect(page.get_by_label("User name of an administrator")).to_have_value("admin")
        await expect(page.get_by_label("Password", exact=True)).to_have_value("")
        await sign_in(page, box.url, PASSWORD)
        await heading(page, "Check-up")
        assert PASSWORD not in await page.content()
        await press(page, "Check the gallery")
        await expect(page.locator("#status")).to_contain_text("0 problems.")
        await press(page, "Next: Photos")
        # another tab picks the folder; this one shows it once it is loaded again
        other = await page.context.new_page()
        await other.goto(page.url)
        await other.get_by_label("Folder or file").fill(str(tmp_path))
        await other.get_by_role("button", name="Go", exact=True).click()
        await other.get_by_role("button", name="Add all", exact=True).click()
        await expect(other.locator("#status")).to_contain_text("3 photos, ")
        await expect(page.get_by_text("Nothing is chosen yet.")).to_be_visible()
        await page.reload()
        await expect(page.locator("#status")).to_contain_text("3 photos, ")
        await other.close()
        # a path that is not there: it stays in no list
        await page.get_by_label("Folder or file").fill(str(tmp_path / "nothing"))
        await press(page, "Go")
        await expect(page.get_by_role("alert").first).to_contain_text("No such file")
        await press(page, "Next: Albums")
        await page.get_by_role("radio", name="An album for each folder, one").check()
        await page.get_by_role("radio", name="To the top level").check()
        await press(page, "Use these albums")
        await expect(page.locator("#status")).to_contain_text("2 albums; new: 2")
        await page.locator("summary", has_text="Change trip").click()
        await page.locator("details[open] input[name=to]").fill("Rome <b>")
        await page.locator("details[open] input[name=to]").press("Enter")
        await expect(page.locator("#live")).to_contain_text("Rome <b>")
        await page.reload()
        await expect(page.locator("#live")).to_contain_text("Rome <b>")
        await press(page, "Next: Options")
        await page.get_by_label("New albums are private").check()
        await press(page, "Save the options")
        await expect(page.locator("#status")).to_contain_text("The options are saved.")
        await press(page, "Next: Rehearsal")
        await press(page, "Rehearse the upload")
        await expect(page.locator("#status")).to_contain_text("3 photos to be sent")
        assert "--private" in await page.locator("#command").inner_text()
        assert not box.gallery.photos


async def watch_and_pause(page: Page, box: Held) -> None:
    """Start the upload, load its page again, and pause it in another tab until it goes on."""
    status, pill, rows = map(page.locator, ("#status", "#phase", "#rows > li"))
    await press(page, "Start the upload")
    await box.came.wait()
    await expect(rows).to_have_count(1)
    await expect(pill).to_have_text("uploading")
    assert await faults(page) == []
    await page.reload()
    await expect(status).to_have_text("Uploading.")
    await expect(rows).to_have_count(1)
    other = await page.context.new_page()
    await other.goto(page.url)
    await expect(other.locator("#rows > li")).to_have_count(1)
    await press(other, "Pause")
    await expect(status).to_have_text("Paused: the photos in flight are being finished.")
    await expect(pill).to_have_text("paused")
    box.step()
    await expect(status).to_have_text("Paused.")
    await expect(page.locator("#idle")).to_be_visible()
    assert len(box.gallery.photos) == 1
    await press(page, "Go on")
    await box.came.wait()
    await expect(pill).to_have_text("uploading")
    await expect(other.locator("#status")).to_have_text("Uploading.")
    await other.close()


async def lose_the_gallery(page: Page, box: Held, away: HookedFaults) -> None:
    """Let the gallery be away during the upload."""
    status = page.locator("#status")
    away.on = True
    box.go.set()
    await expect(status).to_contain_text("The gallery does not answer.")
    await expect(page.locator("#outage")).to_contain_text("unavailable")
    await expect(page.locator("#phase")).to_have_text("server unavailable")
    box.step()
    away.on = False
    await box.came.wait()
    await expect(status).to_have_text("Uploading.")
    await expect(page.locator("#outage")).to_be_hidden()


async def stop_and_go_on(page: Page, box: Held) -> None:
    """Stop the upload in order, and go on with it to its end."""
    status = page.locator("#status")
    await press(page, "Stop after the photos in flight")
    await expect(status).to_contain_text("Stopping: ")
    await expect(page.get_by_role("button", name="Stop at once")).to_be_visible()
    box.go.set()
    await expect(status).to_have_text("The upload was stopped.")
    await expect(page.locator("#phase")).to_have_text("stopped")
    assert len(box.gallery.photos) == 3
    await press(page, "Go on with the upload")
    await expect(status).to_have_text("The upload has ended.")
    await expect(page.locator("#summary")).to_contain_text(re.compile(r"3\s+uploaded"))


async def report_and_verify(page: Page, failed: Path) -> None:
    """Try the photo that failed again, verify all, and look at the history."""
    status, failures = page.locator("#status"), page.locator(".group")
    await press(page, "Next: Report")
    await heading(page, "Report")
    await expect(failures).to_contain_text(failed.name)
    assert await page.locator("main img").count() == 0
    assert await faults(page) == []
    write_photo(failed, 7)
    await press(page, "Try these again")
    await heading(page, "Upload")
    await expect(status).to_have_text("The upload has ended.")
    await press(page, "Next: Report")
    await expect(page.locator("main")).to_contain_text("1 uploaded")
    await expect(failures).to_have_count(0)
    await press(page, "Verify all photos")
    await expect(status).to_have_text(
        "All photos are in the gallery, in their albums, and undamaged."
    )
    async with page.expect_download() as started:
        await page.locator("a[href='/report/verification.html']").click()
    assert (await started.value).suggested_filename == "bulkup-verification.html"
    await press(page, "History")
    runs = page.locator(".runs > li")
    tasks = ["Verification", "Upload", "Upload", "Upload"]
    await expect(runs.locator("h3")).to_contain_text(tasks)
    await expect(runs.last).to_contain_text("Stopped after")


async def test_from_the_upload_to_the_history(
    gui: Opens, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.app.gallery.Policy", partial(Policy, ask_s=0.1, wait_s=0.05))
    make_archive(tmp_path, count=6, names=6)
    empty = tmp_path / f"{HOSTILE[0]}.jpg"
    empty.touch()
    away = HookedFaults(Fault("503"), on=False)
    async with Held("pwg.images.uploadAsync", faults=away) as box, AsyncExitStack() as process:
        there = await process.enter_async_context(gui())
        await ready(there, box, tmp_path, concurrency=1, finishing=1)
        async with opened(browser, there.announced[-1]) as (page, seen):
            await page.goto(there.address + "/run")
            await watch_and_pause(page, box)
            await lose_the_gallery(page, box, away)
            await stop_and_go_on(page, box)
            assert len(box.gallery.photos) == 6
            await report_and_verify(page, empty)
            assert len(box.gallery.photos) == 7
            # leaving a page ends the request of its live parts
            assert [each for each in seen.errors if not each.endswith("net::ERR_ABORTED")] == []
            # bulkup ends during an upload
            write_photo(tmp_path / "late.jpg", 8)
            box.step()
            await page.goto(there.address + "/run")
            await press(page, "Upload again")
            await box.came.wait()
            await process.aclose()
            await expect(page.locator("#gone")).to_contain_text("bulkup does not answer.")


async def test_hostile_names_are_only_text(gui: Opens, browser: Browser, tmp_path: Path) -> None:
    folders = [tmp_path / name.replace("/", "") for name in HOSTILE]
    for number, folder in enumerate(folders):
        folder.mkdir()
        write_files(folder, f"{number}.jpg")
    dialogs: list[Dialog] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog)

    async with (
        Sandbox(admin=ADMIN) as box,
        gui() as there,
        opened(browser, there.announced[-1]) as (page, seen),
    ):
        box.gallery.add_album(HOSTILE[0])
        page.on("dialog", note)
        await there.sign_in(box)
        await page.goto(there.address + "/sources")
        await page.get_by_label("Folder or file").fill(str(tmp_path))
        await press(page, "Go")
        for number in range(len(folders)):
            adds = page.locator(".places button[name=add]")
            await expect(adds).to_have_count(len(folders))
            await adds.nth(number).click()
            await expect(page.locator("button[name=drop]")).to_have_count(number + 1)
        assert set(there.session.draft.paths) == set(folders)
        await page.goto(there.address + "/albums")
        await page.get_by_role("radio", name="An album for each folder, one").check()
        await page.get_by_role("radio", name="To the top level").check()
        await press(page, "Use these albums")
        await expect(page.locator("#status")).to_contain_text("6 albums")
        await page.goto(there.address + "/rehearsal")
        await press(page, "Rehearse the upload")
        await expect(page.locator("#status")).to_contain_text("6 photos to be sent")
        for path in ("/", "/sources", "/albums", "/options", "/rehearsal"):
            await page.goto(there.address + path)
            assert await page.locator("main img, main script").count() == 0
        assert not dialogs
        # leaving a page ends the request of its live parts
        assert [each for each in seen.errors if not each.endswith("net::ERR_ABORTED")] == []
        here = there.address.rpartition(":")[0]
        assert all(url.startswith((here, "data:")) for url in seen.requests)


async def test_a_server_that_is_away_loses_no_choice(
    gui: Opens, browser: Browser, tmp_path: Path
) -> None:
    write_files(tmp_path / "all", "a.jpg")
    async with gui() as there, opened(browser, there.announced[-1]) as (page, _):
        async with Sandbox(admin=ADMIN) as box:
            await there.sign_in(box)
        await there.post("/sources", {"path": str(tmp_path / "all" / "a.jpg")})
        await page.goto(there.address + "/checkup")
        await press(page, "Check the gallery")
        await expect(page.locator("#live button", has_text="Check again")).to_be_visible()
        await expect(page.locator("#live")).to_contain_text("Problem")
        await page.goto(there.address + "/sources")
        await expect(page.locator("main")).to_contain_text("a.jpg")
