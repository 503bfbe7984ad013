"""The whole way through the pages in a browser, as somebody who makes mistakes goes it."""

from pathlib import Path

from playwright.async_api import Browser, Dialog, Page, expect

from bulkup.sandbox import Sandbox
from tests.support.browser import anyio_backend, browser, opened
from tests.support.commands import PASSWORD
from tests.support.gui import Opens
from tests.support.photos import write_files

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
