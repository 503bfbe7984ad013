"""The page of `--report x.html` in a browser: light and dark, wide and narrow."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from playwright.async_api import Browser

from bulkup import events
from bulkup.output.html import HtmlReport
from tests.support.browser import anyio_backend, browser, opened
from tests.support.sample_run import (
    HOSTILE,
    RUN,
    ManualClock,
    failing,
    found,
    present,
    skipped,
    uploading,
)

__all__ = ["anyio_backend", "browser"]

REASONS = {
    "413: the web server in front of Piwigo takes at most 1 MB a request": (
        "bulkup now sends smaller chunks; to raise it: client_max_body_size."
    ),
    "the file is empty": "Look for an intact copy, or remove the file.",
    "the file can't be read: Permission denied": "Check its permissions and the disk.",
}


def long_run() -> list[events.Event]:
    """Return the events of a long run, with failures of hostile file names."""
    chance = Random(7)
    emitted: list[events.Event] = [RUN, events.LimitsChanged(finishing=1, most_finishing=6)]
    for number in range(600):
        path = Path(f"2019/May/IMG_{number:04}.jpg")
        if number in {20, 60, 120}:
            emitted.append(events.LimitsChanged(finishing=2 + number // 50, most_finishing=6))
        if number == 90:
            emitted.append(events.ChunkSizeChanged(chunk_size=4_000_000))
        if number % 6 == 5:
            emitted += [*found(path, size=2_000_000), present(path, size=2_000_000)]
        elif number % 40 == 7:
            reason = chance.choice(list(REASONS))
            emitted += failing(path, tries=2, reason=reason, hint=REASONS[reason])
        else:
            emitted += uploading(path, size=int(chance.lognormvariate(15.0, 0.7)))
    for name in HOSTILE:
        emitted += failing(Path("odd") / name, reason=f"{name} is odd", hint="Rename it.")
    emitted += [
        events.OutageBegan(reason="HTTP 503 Service Unavailable"),
        events.OutageEnded(seconds=65),
        events.Noticed(message="Album 9 is not shown yet.", hint="Piwigo shows photos by itself."),
        *found(Path("a.mov"), size=9),
        skipped(Path("a.mov"), size=9),
        events.ScanFinished(),
        events.RunFinished(seconds=1400.0),
    ]
    return emitted


async def test_the_page_shows_the_whole_run_and_requests_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    file, clock, chance = tmp_path / "report.html", ManualClock(), Random(1)
    url = file.as_uri()
    report = HtmlReport(
        file,
        command="bulkup ./photos --album 9 --report report.html",
        clock=clock,
        wall_clock=lambda: datetime(2024, 7, 1, 18, tzinfo=UTC) + timedelta(seconds=clock.now),
    )
    async with report:
        for event in long_run():
            report.emit(event)
            clock.now += chance.uniform(0.05, 0.6)
    async with opened(browser, url, width=400) as (page, seen):
        assert "photos are in the gallery" in await page.title()
        assert await page.locator("figure svg path.line, .outcomes li, .sizes li").count() > 20
        names = await page.locator("#failures .paths bdi").all_text_contents()
        assert len(names) == 10 + len(HOSTILE)
        assert "odd/שלום עולם.jpg" in names
        for reason in REASONS:
            assert await page.get_by_text(reason, exact=True).is_visible()
        assert await page.locator("img, iframe, object").count() == 0
        for width in (400, 1200):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            charts = await page.locator("figure svg").all()
            assert len(charts) == 5
            for box in [await chart.bounding_box() for chart in charts]:
                assert box is not None
                assert box["width"] > width * 0.25
                assert box["height"] > 120
            for scheme, colour in (("dark", "rgb(17, 20, 26)"), ("light", "rgb(244, 245, 248)")):
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (scheme, ground) == (scheme, colour)
    assert seen.errors == []
    assert seen.requests == [url]
