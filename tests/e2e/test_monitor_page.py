"""The monitor's page in a real browser: what it shows, and that no file name does any harm."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bulkup.events import (
    FileFound,
    LimitsChanged,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoFailed,
    PhotoFinishing,
    PhotoProgress,
    PhotoStarted,
    PhotoUploaded,
    Retrying,
    RunFinished,
    RunStarted,
    ScanFinished,
)
from bulkup.listen import parse_listen
from bulkup.monitor import Monitor
from bulkup.sandbox import Sandbox
from tests.browser import browsing, needs_browser, opened
from tests.e2e.commands import PASSWORD, read_until, start
from tests.e2e.test_monitor import SLOW, address_of
from tests.engine.runs import make_archive

pytestmark = needs_browser

TOKEN = "0123456789abcdef"
HOSTILE = [
    "<img src=x onerror=alert(1)>.jpg",
    "<script>alert(1)<script>.jpg",
    "[red]x[bold] &lt;b&gt; ' \" `${1}`.jpg",
    "\x1b[2J\x1b]0;title\x07.jpg",
    "line\nbreak\r\n\ndata: {}\n\n.jpg",
    "\u202egpj.exe\u2066.jpg",
    "\udcff\udc80.jpg",
    "x" * 251 + ".jpg",
    "é" * 125 + ".jpg",
]
RUN = RunStarted(
    url="https://photos.example.org/<b>",
    version="16.4.0",
    user="me",
    album=9,
    album_name="<i>Holidays</i> & more",
    method="uploadAsync",
    concurrency=8,
    chunk_size=1_000_000,
)


@asynccontextmanager
async def monitor(*, token: str = "") -> AsyncIterator[Monitor]:
    shown = Monitor(parse_listen(":0", token=token), clock=time.monotonic, tick_s=0.02)
    async with shown:
        yield shown


def begin(monitor: Monitor, paths: list[Path]) -> None:
    """Have photos of 1,000 bytes on their way, half of each of them sent."""
    monitor.emit(RUN)
    monitor.emit(LimitsChanged(finishing=2, most_finishing=6))
    for path in paths:
        monitor.emit(FileFound(path=path, size=1000))
        monitor.emit(PhotoStarted(path=path, size=1000, attempt=1))
        monitor.emit(PhotoProgress(path=path, sent=500))
    monitor.emit(ScanFinished())


def uploaded(path: Path) -> PhotoUploaded:
    return PhotoUploaded(path=path, size=1000, md5="0" * 32, image_id=1, attempts=1, seconds=1)


async def text_of(page: Page, where: str, words: str) -> str:
    """Return the text of a place on the page once it holds these words."""
    found = page.locator(where).filter(has_text=words)
    await found.first.wait_for()
    return await found.first.inner_text()


async def fits(page: Page) -> bool:
    """Tell whether nothing has to be scrolled sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize(("width", "dark"), [(400, False), (400, True), (1200, False)])
async def test_it_shows_the_run_as_it_goes_on(width: int, dark: bool) -> None:
    a, b = Path("trip/a.jpg"), Path("trip/b.jpg")
    async with (
        monitor() as shown,
        browsing() as browser,
        opened(browser, shown.address, width=width, dark=dark) as (page, seen),
    ):
        await text_of(page, "#phase", "connecting")
        begin(shown, [a, b])
        assert await text_of(page, "#title", "Holidays") == (
            "<i>Holidays</i> & more (album 9) at https://photos.example.org/<b>"
        )
        await text_of(page, "#phase", "uploading")
        await text_of(page, "#photos", "0 of 2")
        assert await text_of(page, "#share", "50") == "50"
        rows = page.locator("#rows > li")
        assert await rows.count() == 2
        assert "trip/a.jpg" in await rows.first.inner_text()
        bar = rows.first.get_by_role("progressbar")
        assert await bar.get_attribute("aria-valuenow") == "50"
        await text_of(page, "#chips", "finishing 2/6")
        shown.emit(Retrying(path=a, reason="HTTP 500", attempt=1, after_s=2))
        await text_of(page, "#rows", "HTTP 500")
        shown.emit(PhotoFinishing(path=b))
        await text_of(page, "#rows > li:nth-child(2)", "finishing")
        shown.emit(OutageBegan(reason="HTTP 503"))
        await text_of(page, "#outage", "The server has been away")
        await text_of(page, "#phase", "server away")
        shown.emit(OutageEnded(seconds=1))
        shown.emit(PhotoFailed(path=a, size=1000, reason="it is empty", hint="look"))
        await text_of(page, "#lines > li", "it is empty")
        await page.locator("#outage").wait_for(state="hidden")
        await expect(page.locator("#rows > li")).to_have_count(1)
        await page.locator("#throughput .line").wait_for(state="attached")
        assert await fits(page)
        shown.emit(uploaded(b))
        shown.emit(RunFinished(seconds=2))
        await text_of(page, "#summary", "Done after")
        await text_of(page, "#phase", "ended")
        assert await page.locator("#flight").is_hidden()
        await expect(page).to_have_title(re.compile("^100% · "))
        assert await fits(page)
    assert seen.errors == []
    assert {address.startswith(shown.address) for address in seen.requests} == {True}


async def test_file_names_are_text_and_nothing_else() -> None:
    paths = [Path("/photos/<b>folder") / name for name in HOSTILE]
    async with (
        monitor() as shown,
        browsing() as browser,
        opened(browser, shown.address, width=400) as (page, seen),
    ):
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        begin(shown, paths)
        for path in paths:
            shown.emit(PhotoFailed(path=path, size=1000, reason=f"no {path.name}", hint=str(path)))
            shown.emit(PhotoStarted(path=path, size=1000, attempt=2))
            shown.emit(Retrying(path=path, reason=f"no {path.name}", attempt=1, after_s=1))
        shown.emit(Noticed(message=HOSTILE[0], hint=HOSTILE[1]))
        lines = page.locator("#lines > li")
        await expect(lines).to_have_count(len(paths) + 1)
        assert await page.locator("#rows > li").count() == len(paths)
        assert HOSTILE[0] in await lines.first.inner_text()
        names = await page.locator("#rows .name").all_inner_texts()
        assert names[0] == f"<b>folder/{HOSTILE[0]}"
        assert "\\u202egpj.exe" in "".join(names)
        assert "\\xff\\x80.jpg" in "".join(names)
        whole = await page.locator("body").inner_text()
        assert not set(whole) & set("\x1b\x07\u202e\u2066")
        inner = await page.locator("main").evaluate(
            "main => main.querySelectorAll('img, script, b, i:not(.bar > i)').length"
        )
        assert inner == 0
        assert await fits(page)
        assert dialogs == []
    assert seen.errors == []


async def test_it_is_locked_to_itself() -> None:
    async with (
        monitor() as shown,
        browsing() as browser,
        opened(browser, shown.address) as (page, seen),
    ):
        await text_of(page, "#phase", "connecting")
        await page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "window.harmed = true";
                document.body.append(script);
                document.body.insertAdjacentHTML("beforeend", "<b onclick='window.harmed = 1'>");
                document.body.lastElementChild.click();
            }"""
        )
        assert await page.evaluate("window.harmed === undefined")
    assert any("Content Security Policy" in words for words in seen.errors)


async def test_the_token_opens_it_and_does_not_stay_in_the_address() -> None:
    async with monitor(token=TOKEN) as shown, browsing() as browser:
        begin(shown, [Path("a.jpg")])
        async with opened(browser, shown.address) as (page, _):
            assert "Holidays" not in await page.locator("body").inner_text()
            await page.get_by_label("Token").fill(TOKEN)
            await page.get_by_role("button").click()
            await text_of(page, "#title", "Holidays")
            assert page.url == shown.address
            await page.reload()
            await text_of(page, "#title", "Holidays")


async def test_whoever_loses_it_is_told_and_finds_it_again() -> None:
    async with browsing() as browser, monitor() as shown:
        port = shown.address.rsplit(":", 1)[1].strip("/")
        begin(shown, [Path("a.jpg")])
        async with opened(browser, shown.address) as (page, _):
            await text_of(page, "#title", "Holidays")
            await page.route("**/events", lambda route: asyncio.create_task(route.abort()))
            await page.reload()
            await text_of(page, "#phase", "no connection")
            await page.unroute("**/events")
            await text_of(page, "#phase", "uploading")
        assert port


async def test_a_real_run_is_seen_to_its_end(tmp_path: Path) -> None:
    make_archive(tmp_path, count=12, names=12, size=(3000, 6000))
    flags = [*SLOW, "--monitor", ":0"]
    flags[1] = "16K"
    async with (
        browsing() as browser,
        Sandbox(admin=("admin", PASSWORD)) as box,
        await start(box, tmp_path, *flags) as process,
        opened(browser, await address_of(process)) as (page, _),
    ):
        await text_of(page, "#title", "album 1")
        await text_of(page, "#phase", "uploading")
        await text_of(page, "#summary", "12  uploaded")
        await text_of(page, "#phase", "ended")
        await read_until(process)
        assert await process.wait() == 0
