"""The monitor's page in a browser: what it shows, and that file names are only text."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from bulkup import events
from bulkup.output.monitor.server import Monitor
from bulkup.output.options import parse_listen
from tests.support.browser import anyio_backend, browser, opened
from tests.support.sample_run import HOSTILE, RUN, ManualClock, starting, uploaded

__all__ = ["anyio_backend", "browser"]

TOKEN = "0123456789abcdef"
CODE = [
    *("[red]x[bold] &lt;b&gt; ' \" `${1}`.jpg", "\x1b]0;title\x07.jpg"),
    *("line\nbreak\r\n\ndata: {}\n\n.jpg", "\u202egpj.exe\u2066.jpg", "\udcff\udc80.jpg"),
]


class Shown(Monitor):
    """A monitor with a manual clock."""

    def __init__(self, token: str = "") -> None:
        self.clock = ManualClock()
        super().__init__(parse_listen(":0", token=token), clock=self.clock, tick_s=0.02)

    def begin(self, *paths: Path) -> None:
        """Start uploads of photos of 1,000 bytes, half of each sent."""
        self.emit(replace(RUN, url=f"{RUN.url}/<b>", album_name="<i>Holidays</i> & more"))
        self.emit(events.LimitsChanged(finishing=2, most_finishing=6))
        for event in starting(*paths, size=1000, sent=500):
            self.emit(event)
        self.emit(events.ScanFinished())


async def text_of(page: Page, where: str, words: str) -> str:
    """Return the text of an element once it contains these words."""
    found = page.locator(where).filter(has_text=words)
    await found.first.wait_for()
    return await found.first.inner_text()


async def fits(page: Page) -> bool:
    """Return whether the page needs no horizontal scrolling."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


async def test_the_page_shows_a_run_as_it_progresses(browser: Browser) -> None:
    a, b = Path("trip/a.jpg"), Path("trip/b.jpg")
    async with Shown() as shown, opened(browser, shown.address, width=400) as (page, seen):
        await text_of(page, "#phase", "connecting")
        shown.begin(a, b)
        assert await text_of(page, "#title", "Holidays") == (
            "<i>Holidays</i> & more (album 9) at https://photos.example.org/<b>"
        )
        await text_of(page, "#phase", "uploading")
        await text_of(page, "#photos", "0 of 2")
        assert await text_of(page, "#share", "50") == "50"
        whole = await page.locator("#whole").bounding_box()
        filled = await page.locator("#whole i").bounding_box()
        assert whole
        assert filled
        assert filled["width"] / whole["width"] == pytest.approx(0.5, abs=0.01)
        rows = page.locator("#rows > li")
        assert await rows.count() == 2
        assert "trip/a.jpg" in await rows.first.inner_text()
        bar = rows.first.get_by_role("progressbar")
        assert await bar.get_attribute("aria-valuenow") == "50"
        await text_of(page, "#chips", "finishing 2/6")
        shown.emit(events.Retrying(path=a, reason="HTTP 500", attempt=1, after_s=2))
        await text_of(page, "#rows", "HTTP 500")
        shown.emit(events.PhotoFinishing(path=b))
        await text_of(page, "#rows > li:nth-child(2)", "finishing")
        shown.emit(events.OutageBegan(reason="HTTP 503"))
        await text_of(page, "#outage", "The server has been unavailable")
        await text_of(page, "#phase", "server unavailable")
        shown.emit(events.OutageEnded(seconds=1))
        shown.emit(events.PhotoFailed(path=a, size=1000, reason="it is empty", hint="look"))
        await text_of(page, "#lines > li", "it is empty")
        await page.locator("#outage").wait_for(state="hidden")
        await expect(page.locator("#rows > li")).to_have_count(1)
        for second in (1.0, 2.0, 3.0):
            shown.clock.now = second
            await text_of(page, "#elapsed", f"0:0{second:.0f}")
        await page.locator("#throughput .line").wait_for(state="attached")
        for width, scheme in ((400, "light"), (400, "dark"), (1200, "dark"), (1200, "light")):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await fits(page)
        shown.emit(uploaded(b, 1000))
        shown.emit(events.RunFinished(seconds=2))
        await text_of(page, "#summary", "Done after")
        await text_of(page, "#phase", "ended")
        assert await page.locator("#flight").is_hidden()
        await expect(page).to_have_title(re.compile("^100% · "))
        assert await fits(page)
    assert seen.errors == []
    assert {address.startswith(shown.address) for address in seen.requests} == {True}


async def test_file_names_are_text_and_only_the_pages_own_script_runs(browser: Browser) -> None:
    paths = [Path("/photos/<b>folder") / name for name in (*HOSTILE, *CODE)]
    markup = "<img src=x onerror=alert(1)>.jpg"
    async with Shown() as shown, opened(browser, shown.address, width=400) as (page, seen):
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        shown.begin(*paths)
        for path in paths:
            shown.emit(
                events.PhotoFailed(path=path, size=1000, reason=f"no {path.name}", hint=str(path))
            )
            shown.emit(events.PhotoStarted(path=path, size=1000, attempt=2))
            shown.emit(events.Retrying(path=path, reason=f"no {path.name}", attempt=1, after_s=1))
        shown.emit(events.Noticed(message=markup, hint=HOSTILE[0]))
        lines = page.locator("#lines > li")
        await expect(lines).to_have_count(len(paths) + 1)
        assert await page.locator("#rows > li").count() == len(paths)
        assert markup in await lines.first.inner_text()
        names = await page.locator("#rows .name").all_inner_texts()
        assert names[HOSTILE.index(markup)] == f"<b>folder/{markup}"
        assert "\\u202egpj.exe" in "".join(names)
        assert "\\xff\\x80.jpg" in "".join(names)
        whole = await page.locator("body").inner_text()
        assert not set(whole) & set("\x1b\x07\u202e\u2066")
        inner = await page.locator("main").evaluate(
            "main => main.querySelectorAll('img, script, b, i:not(.bar > i)').length"
        )
        assert inner == 0
        assert await fits(page)
        assert seen.errors == []
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
        assert dialogs == []
    assert any("Content Security Policy" in words for words in seen.errors)


async def unavailable(route: Route) -> None:
    await route.fulfill(status=503)


async def test_the_token_opens_the_page_and_a_lost_connection_is_shown_and_restored(
    browser: Browser,
) -> None:
    async with Shown(TOKEN) as shown:
        shown.begin(Path("a.jpg"))
        async with opened(browser, shown.address) as (page, _):
            assert "Holidays" not in await page.locator("body").inner_text()
            await page.get_by_label("Token").fill(TOKEN)
            await page.get_by_role("button").click()
            await text_of(page, "#title", "Holidays")
            assert page.url == shown.address  # without the token
            await page.clock.install()
            await page.route("**/events", unavailable)
            await page.reload()
            await text_of(page, "#phase", "no connection")
            await page.unroute("**/events")
            await page.clock.fast_forward(60_000)
            await text_of(page, "#phase", "uploading")
