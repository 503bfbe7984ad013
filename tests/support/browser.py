"""A browser for tests of pages: headless Chromium that reaches this machine alone.

    from tests.support.browser import anyio_backend, browser, opened

    async with opened(browser, url, width=400) as (page, seen):
        assert await page.title() == "…"
    assert seen.errors == []

One browser serves all tests of a module. It is Debian's own package (or the program that
BULKUP_TEST_BROWSER names), driven by playwright, whose downloads are not used. Where there is
none, the tests are skipped, and one line of pytest's summary says how to get it.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PROGRAM = os.environ.get("BULKUP_TEST_BROWSER") or next(
    filter(None, map(shutil.which, PROGRAMS)), None
)
LOOPBACK_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"

NO_BROWSER = (
    "tests of pages need Chromium: apt-get install chromium, or name it in BULKUP_TEST_BROWSER"
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run all tests of a module, and its browser, in one event loop."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator["Browser"]:
    """Run a browser."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 (only where it is needed)

    assert anyio_backend == "asyncio"
    if PROGRAM is None:
        pytest.skip(NO_BROWSER)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=PROGRAM,
            args=[LOOPBACK_ONLY],
            chromium_sandbox=os.geteuid() != 0,  # it does not start as root
        )
        try:
            yield browser
        finally:
            await browser.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report all tests skipped for want of a browser in one line of the summary."""
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2]
        if NO_BROWSER in reason:
            report.longrepr = (__file__, 1, reason)


@dataclass
class Seen:
    """The errors of a page, console warnings included, and the addresses it requested."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def listen(self, page: "Page") -> None:
        """Record what the page does from now on."""
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
async def opened(
    browser: "Browser", url: str, *, width: int = 1200
) -> AsyncIterator[tuple["Page", Seen]]:
    """Open a page and record what it does."""
    context = await browser.new_context(viewport={"width": width, "height": 900})
    try:
        page = await context.new_page()
        seen = Seen()
        seen.listen(page)
        await page.goto(url)
        yield page, seen
    finally:
        await context.close()
