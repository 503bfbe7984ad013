"""The page of `--report x.html` in a real browser, by day and by night, wide and narrow."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from bulkup.events import (
    ChunkSizeChanged,
    Event,
    FileFound,
    FileSkipped,
    LimitsChanged,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoPresent,
    RunFinished,
    ScanFinished,
)
from bulkup.kinds import SkipReason
from bulkup.report import HtmlReport
from tests.browser import browsing, needs_browser, opened
from tests.unit.reports import HOSTILE, RUN, Clock, failed, uploaded

pytestmark = needs_browser

PICTURES = os.environ.get("BULKUP_TEST_PICTURES", "")
REASONS = {
    "413: the web server in front of Piwigo takes at most 1 MB a request": (
        "bulkup now sends smaller chunks; to raise it: client_max_body_size."
    ),
    "the file is empty": "Look for an intact copy, or remove the file.",
    "the file can't be read: Permission denied": "Check its permissions and the disk.",
}


def long_run() -> list[Event]:
    """Return what may happen in an evening, with failures of hostile names."""
    chance = Random(7)
    events: list[Event] = [RUN, LimitsChanged(finishing=1, most_finishing=6)]
    for number in range(600):
        path = Path(f"2019/May/IMG_{number:04}.jpg")
        if number in {20, 60, 120}:
            events.append(LimitsChanged(finishing=2 + number // 50, most_finishing=6))
        if number == 90:
            events.append(ChunkSizeChanged(chunk_size=4_000_000))
        if number % 6 == 5:
            events += [
                FileFound(path=path, size=2_000_000),
                PhotoPresent(path=path, size=2_000_000, image_id=number, linked=False),
            ]
        elif number % 40 == 7:
            reason = chance.choice(list(REASONS))
            events += failed(path, reason=reason, hint=REASONS[reason])
        else:
            size = int(chance.lognormvariate(15.0, 0.7))
            events += uploaded(path, size=size, image_id=number)
    for name in HOSTILE:
        events += failed(Path("odd") / name, reason=f"{name} is odd", hint="Rename it.")
    events += [
        OutageBegan(reason="HTTP 503 Service Unavailable"),
        OutageEnded(seconds=65),
        Noticed(message="Album 9 is not shown yet.", hint="Piwigo shows photos by itself."),
        FileFound(path=Path("a.mov"), size=9),
        FileSkipped(path=Path("a.mov"), size=9, reason=SkipReason.TYPE),
        ScanFinished(),
        RunFinished(seconds=1400.0),
    ]
    return events


@pytest.fixture
async def url(tmp_path: Path) -> str:
    file, clock, chance = tmp_path / "report.html", Clock(), Random(1)
    report = HtmlReport(
        file,
        again="bulkup ./photos --album 9 --report report.html",
        clock=clock,
        wall_clock=lambda: datetime(2024, 7, 1, 18, tzinfo=UTC) + timedelta(seconds=clock.now),
    )
    async with report:
        for event in long_run():
            report.emit(event)
            clock.now += chance.uniform(0.05, 0.6)
    return file.as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
async def test_the_page_shows_all_and_does_nothing(url: str, width: int, dark: bool) -> None:
    async with browsing() as browser, opened(browser, url, width=width, dark=dark) as (page, seen):
        if PICTURES:
            shot = Path(PICTURES) / f"report-{width}-{'dark' if dark else 'light'}.png"
            await page.screenshot(path=shot, full_page=True)
        assert seen.errors == []
        assert seen.requests == [url]
        title = await page.title()
        assert "photos are in the gallery" in title
        charts = page.locator("figure svg")
        assert await charts.count() == 7
        for index in range(7):
            box = await charts.nth(index).bounding_box()
            assert box is not None
            assert box["width"] > width * 0.35
            assert box["height"] > 120
        assert await page.locator("figure svg path.line, figure svg rect.rect").count() > 20
        names = await page.locator("#failures .paths bdi").all_text_contents()
        assert len(names) == 10 + len(HOSTILE)
        assert "odd/שלום עולם.jpg" in names
        for reason in REASONS:
            assert await page.get_by_text(reason, exact=True).is_visible()
        assert await page.locator("script, img, iframe, object").count() == 0
        overhang = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overhang <= 0
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(17, 20, 26)") is dark
