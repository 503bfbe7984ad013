"""A real browser for tests of pages: headless Chromium, without any way out of this machine.

    pytestmark = needs_browser

    async with browsing() as browser, opened(browser, url, width=400, dark=True) as (page, seen):
        assert await page.title() == "…"
    assert seen.errors == []

It is Debian's own package (or the program that BULKUP_TEST_BROWSER names), driven by playwright,
whose downloads are not used. Where there is none, the tests are skipped, and say so.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PROGRAM = os.environ.get("BULKUP_TEST_BROWSER") or next(
    filter(None, map(shutil.which, PROGRAMS)), None
)
LOOPBACK_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"

needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason="there is no Chromium: apt-get install chromium"
)


@dataclass
class Seen:
    """What a page did: its complaints on the console, and the addresses that it asked for."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def listen(self, page: "Page") -> None:
        """Note all that the page does from now on."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "requestfailed",
            lambda request: self.errors.append(f"{request.url}: {request.failure}"),
        )

    def _said(self, message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning", "assert"}:
            self.errors.append(message.text)


@asynccontextmanager
async def browsing() -> AsyncIterator["Browser"]:
    """Run a browser."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 (only where it is needed)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=PROGRAM,
            args=[LOOPBACK_ONLY],
            chromium_sandbox=os.geteuid() != 0,  # which root has to do without
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(
    browser: "Browser",
    url: str,
    *,
    width: int = 1200,
    height: int = 900,
    dark: bool = False,
    wait: Literal["load", "domcontentloaded", "networkidle"] = "load",
) -> AsyncIterator[tuple["Page", Seen]]:
    """Show a page, and note what it does."""
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    try:
        page = await context.new_page()
        seen = Seen()
        seen.listen(page)
        await page.goto(url, wait_until=wait)
        yield page, seen
    finally:
        await context.close()
