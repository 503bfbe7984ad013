"""Each page in a browser: axe-core's rules, the keyboard alone, narrow windows, both themes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from bulkup.gui.steps import STEPS
from bulkup.gui.steps.sources import to_code
from bulkup.sandbox import Sandbox
from tests.support.browser import anyio_backend, browser, opened
from tests.support.commands import PASSWORD
from tests.support.gui import Gui, Opens
from tests.support.photos import write_files

__all__ = ["anyio_backend", "browser"]

ADMIN = ("admin", PASSWORD)
WIDTHS = (390, 1440)

AXE = Axe().axe_script
VIOLATIONS = "(options) => axe.run(document, options).then((results) => results.violations)"
RECORD = """() => {
    const stops = [...document.querySelectorAll(
      "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
    )].filter((e) => e.checkVisibility() && !e.disabled && !(e.type === "radio" && !e.checked));
    window.reached = [];
    document.addEventListener("keyup", () => {
      const focused = document.activeElement, style = getComputedStyle(focused);
      const box = focused.getBoundingClientRect();
      window.reached.push({
        stop: stops.indexOf(focused),
        html: focused.outerHTML.slice(0, 300),
        seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
          && box.width > 1 && box.bottom > 0 && box.top < innerHeight,
      });
    });
    return stops.map((e) => e.outerHTML.slice(0, 80));
  }"""
"""Records where each key leads, and returns the controls in their order."""
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
MOVING = "document.getAnimations().filter((a) => a.playState === 'running').length"


@asynccontextmanager
async def migration(gui: Opens, folder: Path) -> AsyncIterator[Gui]:
    """Run a gui in which each step has something to show."""
    write_files(folder, "a.jpg", "b_1/c.jpg", "b_1/d/e.jpg", "x.txt", ".hidden/f.jpg")
    (folder / "empty.jpg").touch()
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        await there.post("/checkup", {"do": "start"})
        await there.settled("/checkup")
        await there.post("/sources", {"add": to_code(folder), "at": to_code(folder)})
        await there.settled("/sources")
        await there.post(
            "/albums", {"do": "albums", "kind": "tree", "target": "top", "unwrap": "on"}
        )
        await there.post("/albums", {"do": "rename", "name": "b_1", "to": "b"})
        await there.post("/albums", {"leave": to_code(folder / "b_1" / "d")})
        await there.settled("/albums")
        await there.post("/rehearsal", {"do": "start"})
        await there.settled("/rehearsal")
        yield there


def paths(there: Gui) -> list[str]:
    """Return the address of the page of each step."""
    return [kind(there.session).path for kind in STEPS]


async def violations(page: Page, *, colours_only: bool) -> list[str]:
    """Return what breaks a rule of axe-core on the page as it is shown now."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if colours_only:
        options["runOnly"] = ["color-contrast"]
    found: list[dict[str, Any]] = await page.evaluate(VIOLATIONS, options)
    return [
        f"{page.url}: {each['id']}: {node['html']}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


async def faults(page: Page) -> list[str]:
    """Return what is wrong with the page in either theme at either width."""
    found = []
    await page.evaluate(AXE)
    await page.evaluate("for (const e of document.querySelectorAll('details')) e.open = true")
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        if not await page.evaluate(FITS):
            found.append(f"{page.url}: wider than {width}")
        for theme in ("light", "dark"):
            await page.emulate_media(color_scheme=theme)
            wrong = await violations(page, colours_only=theme == "dark")
            found += [f"{theme}, {width}: {each}" for each in wrong]
    return found


async def test_no_page_breaks_a_rule_of_axe(gui: Opens, browser: Browser, tmp_path: Path) -> None:
    async with (
        migration(gui, tmp_path) as there,
        opened(browser, there.announced[-1]) as (page, seen),
    ):
        found = []
        for path in paths(there):
            await there.settled(path)
            await page.goto(there.address + path)
            found += await faults(page)
        assert not found, "\n".join(found)
        assert not seen.errors


async def test_pages_that_refuse_or_report_an_error_break_no_rule(
    gui: Opens, browser: Browser
) -> None:
    async with gui() as there, opened(browser, there.address) as (page, _):
        found = await faults(page)  # without the token
        await page.goto(there.announced[-1])
        found += await faults(page)
        await page.goto(f"{there.address}/checkup")  # which leads to the sign-in
        found += await faults(page)
        await page.get_by_label("Address of the gallery").fill("http://127.0.0.1:1/")
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("alert").first.wait_for()
        found += await faults(page)
        assert not found, "\n".join(found)


async def test_tab_reaches_all_controls_in_their_order_and_shows_where_it_is(
    gui: Opens, browser: Browser, tmp_path: Path
) -> None:
    async with (
        migration(gui, tmp_path) as there,
        opened(browser, there.announced[-1]) as (page, _),
    ):
        for path in paths(there):
            await there.settled(path)
            await page.goto(there.address + path)
            controls = await page.evaluate(RECORD)
            for _ in controls:
                await page.keyboard.press("Tab")
            reached = await page.evaluate("window.reached")
            assert [each["stop"] for each in reached] == [*range(len(controls))], (path, controls)
            assert not [each for each in reached if not each["seen"]], path
            assert "main" in controls[0], "the first one leads to the content"


async def test_nothing_moves_for_whom_it_should_not(gui: Opens, browser: Browser) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        async with opened(browser, there.announced[-1]) as (page, _):
            await page.emulate_media(reduced_motion="reduce")
            for path in paths(there):
                await page.goto(there.address + path)
                assert await page.evaluate(MOVING) == 0
