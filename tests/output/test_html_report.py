import json
import re
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from bulkup import events
from bulkup.errors import UsageError
from bulkup.events import ChunkSizeChanged, Event, LimitsChanged, Noticed, OutageBegan, RunFinished
from bulkup.output.html import HtmlReport
from bulkup.output.samples import Sample
from tests.support import sample_run
from tests.support.sample_run import CHECK, DRY_RUN, HOSTILE, RUN, checked, failing, new, whole_run

AGAIN = "bulkup ./photos --album 9"


async def page_of(tmp_path: Path, *history: Event, step_s: float = 1.0) -> str:
    file, clock = tmp_path / "report.html", sample_run.ManualClock()
    noon = datetime(2024, 7, 1, 12, tzinfo=UTC)
    async with HtmlReport(file, command=AGAIN, clock=clock, wall_clock=lambda: noon) as view:
        for event in history:
            view.emit(event)
            clock.now += step_s
    return await anyio.Path(file).read_text(encoding="utf-8")


def words_of(page: str) -> str:
    """Return what can be read, without style and script."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def titles(page: str) -> list[str]:
    return re.findall(r"<figcaption><h3>(.*?)</h3>", page)


def samples_of(page: str) -> list[Sample]:
    """Return what the charts over time are drawn from."""
    found = re.search(r'<script type="application/json" id="samples">(.*?)</script>', page)
    return [Sample(*values) for values in json.loads(found[1])] if found else []


async def test_the_page_shows_what_became_of_the_run_in_words_and_charts(tmp_path: Path) -> None:
    changes: list[Event] = [
        ChunkSizeChanged(chunk_size=500_000),
        LimitsChanged(finishing=3, most_finishing=6),
    ]
    run = whole_run()
    page = await page_of(tmp_path, *run[:8], *changes, *run[8:])
    words = words_of(page)
    for reported in [
        "2 of 4 photos are in the gallery",
        "Holidays (album 9) at https://photos.example.org",
        "1 uploaded 3.00 MB",
        "1 already there 1 added to the album",
        "1 unfinished run again to continue",
        "failed the file is empty Look for an intact copy. d.jpg",
        "1 .mov: types this gallery does not accept",
        AGAIN,
        "Not finished",
    ]:
        assert reported in words
    assert titles(page) == ["Outcomes", "Sizes"]
    samples = samples_of(page)
    assert max(each.finishes for each in samples) == 1
    assert {each.limit for each in samples} >= {2, 3}
    assert {each.chunk_size for each in samples} == {1_000_000, 500_000}
    assert not re.findall(r"<link|@import", page, re.IGNORECASE)
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)""", page)
    assert not re.findall(r"url\((?!#)", page)


async def test_nothing_of_a_name_becomes_markup(tmp_path: Path) -> None:
    failures = (event for name in HOSTILE for event in failing(Path(name), reason=name))
    page = await page_of(tmp_path, RUN, *failures)
    assert "<script>document" not in page
    assert "<img" not in page
    assert not set(page) & {"\x1b", "\u202e", "\udcff"}
    for shown in ("<bdi>שלום עולם.jpg</bdi>", "{{ 7 * 7 }}", r"bad\xff\xfe.jpg", HOSTILE[-1]):
        assert shown in page


async def test_equal_reasons_are_reported_once_and_many_files_are_counted(tmp_path: Path) -> None:
    many: list[Event] = [RUN]
    for number in range(1500):
        reason = "no space left" if number % 3 else "the file is empty"
        many += failing(f"{number:04}.jpg", reason=reason, hint="Do something.")
    page = await page_of(tmp_path, *many, step_s=0.001)
    assert page.count("<article") == 2
    assert page.index("no space left") < page.index("the file is empty")
    assert len(re.findall(r"\d{4}\.jpg", page)) == 1000
    assert "… and 500 more: --report report.csv lists every one." in re.sub(
        r"\s+([:.])", r"\1", words_of(page)
    )


async def test_a_check_a_plan_and_an_empty_folder_have_their_own_words(tmp_path: Path) -> None:
    end = RunFinished(seconds=6)
    page = await page_of(tmp_path, CHECK, *(checked(each, each) for each in events.Verdict), end)
    assert "it is not there" in words_of(page)
    assert "sent again" not in words_of(page)
    assert any(each.pace for each in samples_of(page))
    assert not any(each.finishes for each in samples_of(page))
    estimate = events.Estimated(sending_s=120, finishing_s=3)
    page = await page_of(tmp_path, DRY_RUN, new("a.jpg"), estimate, end)
    assert "1 to be sent 5.00 MB, about 2 min" in words_of(page)
    assert titles(page) == ["Outcomes", "Sizes"]
    assert samples_of(page) == []
    page = await page_of(tmp_path, RUN, end)
    assert "No files were found" in words_of(page)
    assert titles(page) == []


async def test_why_a_run_could_not_go_on_stands_first_and_what_happened_on_the_way(
    tmp_path: Path,
) -> None:
    outage = (OutageBegan(reason="HTTP 503"), events.OutageEnded(seconds=65))
    notices = (Noticed(message=f"note {number}", hint="do this") for number in range(200))
    ended = events.RunFailed(reason="log-in refused", hint="Look at the password.")
    words = words_of(await page_of(tmp_path, RUN, *outage, *notices, *failing("a.jpg"), ended))
    assert "Not finished" in words
    assert "ended log-in refused Look at the password. failed" in words
    assert "0:01 the server was unavailable: HTTP 503" in words
    assert "note 98 do this" in words
    assert "note 99" not in words
    assert "… and 101 more." in words


async def test_a_full_disk_is_reported(disk: Path) -> None:
    with pytest.raises(OSError, match="No space left on device; "):
        await page_of(disk, RUN, *(event for n in range(999) for event in failing("x" * 255)))


async def test_a_run_that_never_began_leaves_no_page(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await page_of(tmp_path, Noticed(message="refused", hint=""))
    assert not [each async for each in anyio.Path(tmp_path).iterdir()]


async def test_missing_libraries_are_reported_with_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.output.html.NEEDED", ("jinja2", "no_such_library"))
    with pytest.raises(UsageError) as caught:
        await page_of(tmp_path)
    assert "pip install 'bulkup[report]'" in caught.value.hint
