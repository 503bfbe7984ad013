"""What the pages' script does besides refreshing, in a browser."""

from pathlib import Path
from typing import TYPE_CHECKING

from bulkup.gui.steps.sources import to_code
from bulkup.sandbox import Sandbox
from tests.support.browser import anyio_backend, browser, opened
from tests.support.commands import PASSWORD
from tests.support.gui import Opens
from tests.support.photos import write_files

if TYPE_CHECKING:
    from playwright.async_api import Browser

__all__ = ["anyio_backend", "browser"]


async def test_a_field_that_is_filled_in_checks_its_choice(
    browser: "Browser", gui: Opens, tmp_path: Path
) -> None:
    write_files(tmp_path, "a/b.jpg")
    async with Sandbox(admin=("admin", PASSWORD)) as box, gui() as there:
        album = box.gallery.add_album("Trips")
        await there.sign_in(box)
        await there.post("/sources", {"add": to_code(tmp_path)})
        await there.get("/albums")
        await there.settled("/albums")
        async with opened(browser, there.announced[0]) as (page, seen):
            await page.goto(f"{there.address}/albums")
            chosen = page.locator("[name=target]:checked")
            assert await chosen.get_attribute("value") == "existing"
            await page.fill("[name=path]", "New")
            assert await chosen.get_attribute("value") == "new"
            await page.select_option("[name=album]", str(album.id))
            assert await chosen.get_attribute("value") == "existing"
            await page.check("[name=kind][value=flat]")
            await page.check("[name=unwrap]")
            assert await page.locator("[name=kind]:checked").get_attribute("value") == "tree"
            assert seen.errors == []
