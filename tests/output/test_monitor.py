"""The monitor over HTTP: who may see it, what it says, and that nobody can hold up a run."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from anyio import create_task_group, fail_after

from bulkup import events
from bulkup.errors import UsageError
from bulkup.events import Event, LimitsChanged, Noticed, OutageBegan, PhotoFinishing, Retrying
from bulkup.output.monitor.server import Monitor
from bulkup.output.options import ListenAddress, parse_listen
from tests.support import sample_run
from tests.support.sample_run import RUN, failing, failure, found, starting, unfinished, uploaded

TOKEN = "0123456789abcdef"
ALL_THERE = events.AlbumChecked(verified=1, unverified=0, relinked=0)
A, B, C, D = (Path(f"trip/{letter}.jpg") for letter in "abcd")


@dataclass
class Post:
    """An open monitor and its clock."""

    monitor: Monitor
    now: float = 0.0

    @property
    def port(self) -> int:
        return int(self.monitor.address.rsplit(":", 1)[1].strip("/"))

    def emit(self, *history: Event, at: float | None = None) -> None:
        self.now = self.now if at is None else at
        for event in history:
            self.monitor.emit(event)

    async def get(
        self, path: str = "", *, token: str = "", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.monitor.address + path, headers=headers) as response,
        ):
            text = await response.text()
            return response.status, text, dict(response.headers)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Look on: the messages as they come."""
        async with (
            aiohttp.ClientSession(read_bufsize=2**24) as session,
            session.get(self.monitor.address + "events") as response,
        ):
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            yield (
                json.loads(line.partition(b"data: ")[2])
                async for line in response.content
                if line.strip()
            )

    async def look(self) -> dict[str, Any]:
        """Return the first message that whoever looks now gets."""
        async with self.reading() as stream:
            return await anext(stream)


@asynccontextmanager
async def post(
    listen: ListenAddress | None = None, *, slow_s: float = 20.0
) -> AsyncIterator[Post]:
    where = listen or parse_listen(":0")
    monitor = Monitor(where, clock=lambda: there.now, tick_s=0.01, slow_s=slow_s)
    there = Post(monitor)
    with fail_after(30):
        async with monitor:
            yield there


FILES = ("", "monitor.css", "monitor.js", "charts.css", "charts.js", "healthz")


async def test_the_page_says_where_it_is_and_is_all_its_own_locked_up_and_only_shows() -> None:
    wanted = {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Server": "bulkup",
    }
    async with post() as there, aiohttp.ClientSession() as session:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", there.monitor.address)
        status, page, headers = await there.get()
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "<title>bulkup</title>" in page
        assert (await there.get("healthz"))[:2] == (200, "ok\n")
        for name in (*FILES, "nothing", "%2e%2e/x"):
            _, text, headers = await there.get(name)
            assert headers | wanted == headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "https://" not in text
            assert "//cdn" not in text
        for path in (*FILES, "events", "metrics"):
            async with session.post(there.monitor.address + path) as response:
                assert response.status == 405


async def test_it_shows_photos_on_their_way_what_became_of_others_and_what_holds_them_up() -> None:
    async with post() as there:
        assert (await there.look())["phase"] == "connecting"
        there.emit(RUN, LimitsChanged(finishing=2, most_finishing=6), *starting(A, B, size=1000))
        there.emit(*failing(C, reason="the file is empty", hint="export it again"))
        there.emit(*found(D), sample_run.present(D), events.ScanFinished())
        there.emit(events.PhotoProgress(path=A, sent=500), PhotoFinishing(path=B), at=2.0)
        seen = await there.look()
        there.emit(events.PhotoStarted(path=B, size=1000, attempt=3))
        there.emit(Retrying(path=A, reason="HTTP 500", attempt=1, after_s=2))
        there.emit(OutageBegan(reason="HTTP 503"))
        there.now = 62.0
        held = await there.look()
        there.emit(events.OutageEnded(seconds=60), events.Paused())
        paused = await there.look()
        there.emit(events.Resumed())
        resumed = await there.look()
        there.emit(events.Paused(), events.Interrupted())
        stopping = await there.look()
    reported = ("phase", "phase_words", "title", "photos", "limits")
    assert [seen[name] for name in reported] == [
        "running",
        "uploading",
        "Holidays (album 9) at https://photos.example.org",
        "1 of 3 photos",
        ["finishing 2/6", "chunk 1.00 MB"],
    ]
    first, second = seen["in_flight"]
    assert (first["folder"], first["name"], first["share"]) == ("trip", "a.jpg", 50)
    assert first["pace"] == "250 B/s"
    assert (second["pace"], second["tone"]) == ("finishing", "good")
    assert {"words": "1 failed", "tone": "bad"} in seen["counts"]
    (line,) = seen["lines"]
    assert (line["kind"], line["tone"]) == ("failed", "bad")
    assert (line["what"], line["hint"]) == (f"{C}: the file is empty", "export it again")

    assert (held["phase"], held["tone"]) == ("outage", "warning")
    assert held["outage"] == "The server has been unavailable for 1 min: HTTP 503. Waiting."
    first, second = held["in_flight"]
    assert (first["pace"], first["trouble"]) == ("again", "HTTP 500")
    assert second["pace"] == "waiting 1 min"
    assert (paused["phase_words"], paused["tone"], paused["left"]) == (
        "paused",
        "warning",
        "paused",
    )
    assert resumed["phase_words"] == "uploading"
    assert (stopping["phase"], stopping["outage"]) == ("stopping", "")
    assert [line["kind"] for line in stopping["lines"]] == [
        *("failed", "outage", "back", "pause", "go on", "pause", "stop"),
    ]
    assert "Ctrl-C" not in stopping["lines"][-1]["what"]


async def test_a_hostile_name_is_plain_text_everywhere() -> None:
    async with post() as there:
        paths = [Path("folder\x1b[1m<b>") / name for name in sample_run.HOSTILE]
        there.emit(RUN, *starting(*paths), *(failure(path) for path in paths), *starting(*paths))
        for path in paths:
            there.emit(Retrying(path=path, reason=f"no {path.name}", attempt=1, after_s=1))
        seen = await there.look()
        assert all(text.isprintable() for text in strings(seen))
        _, figures, _ = await there.get("metrics")
        assert not [name for name in sample_run.HOSTILE if name in figures]


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


async def test_whoever_looks_on_gets_lines_and_samples_once() -> None:
    async with post() as there:
        there.emit(RUN, Noticed(message="first", hint=""))
        there.emit(LimitsChanged(finishing=2, most_finishing=6), *starting(A, B, size=1000))
        async with there.reading() as stream:
            seen = await anext(stream)
            assert seen["new_run"]
            assert ([line["what"] for line in seen["lines"]], seen["samples"]) == (["first"], [])
            there.emit(events.PhotoProgress(path=A, sent=600), PhotoFinishing(path=A))
            there.emit(PhotoFinishing(path=B), events.PhotoFinished(path=A, seconds=0.5), at=0.5)
            there.emit(Noticed(message="second", hint=""), uploaded(A, 1000))
            there.now = 2.0
            lines = []
            async for seen in stream:
                assert not seen["new_run"]
                lines += [line["what"] for line in seen["lines"]]
                if seen["samples"]:
                    break
        assert lines == ["second"]
        first, second = seen["samples"]
        at_s, rate, pace, finishes, finish_s, slowest_s, *limits = first
        assert (at_s, rate, pace) == (1.0, 1000, 1)
        assert (finishes, finish_s, slowest_s) == (1, 0.5, 0.5)
        assert limits == [1, 2, 6, 1_000_000]  # now, the limit, the most, and the chunk size
        assert second[:3] == [2.0, 0, 0]
        seen = await there.look()
        assert [line["what"] for line in seen["lines"]] == ["first", "second"]


@pytest.mark.parametrize(
    ("history", "phase", "tone", "summary"),
    [
        ([RUN, *starting(A), uploaded(A), ALL_THERE], "ended", "good", "Done after"),
        ([events.RunFailed(reason="log-in refused", hint="look")], "failed", "bad", ""),
        ([RUN, *failing(A)], "ended", "warning", "Done after"),
        ([RUN, *found(A), unfinished(A), events.Interrupted()], "ended", "warning", "Stopped"),
    ],
)
async def test_the_last_message_says_how_it_ended(
    history: list[Event], phase: str, tone: str, summary: str
) -> None:
    async with post() as there, there.reading() as stream, create_task_group() as tasks:
        assert not (await anext(stream))["over"]
        there.emit(*history, *([events.RunFinished(seconds=1)] if phase == "ended" else []))
        tasks.start_soon(there.monitor.__aexit__, None, None, None)
        *_, seen = [message async for message in stream]
    assert (seen["over"], seen["phase"], seen["tone"]) == (True, phase, tone)
    assert seen["summary"].startswith(summary)
    assert (seen["phase_words"] == "stopped") is (summary == "Stopped")
    assert not seen["in_flight"]
    if phase == "failed":
        assert seen["lines"][0]["what"] == "log-in refused"


async def test_another_run_begins_a_page_of_its_own() -> None:
    async with post() as there:
        there.emit(RUN, *failing(A), events.RunFinished(seconds=1))
        async with there.reading() as stream:
            assert (await anext(stream))["phase"] == "ended"
            there.monitor.end()
            there.emit(RUN, *starting(B))
            async for seen in stream:
                if seen["phase"] == "running":
                    break
        assert seen["new_run"]
        assert seen["photos"] == "0 of 1 photo so far"
        assert not seen["lines"]
        _, figures, _ = await there.get("metrics")
        assert 'bulkup_photos_total{outcome="failed"} 1.0' in figures


async def test_whoever_takes_nothing_holds_nobody_up_and_is_dropped() -> None:
    async with post(slow_s=1.0) as there:
        there.emit(RUN)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", there.port))
            slow.send(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            async with there.reading() as stream:
                await anext(stream)
                numbers = count()
                while there.monitor.readers < 2:
                    there.now += 1
                    await anext(stream)
                while there.monitor.readers > 1:  # it never reads, the other one does
                    for number in islice(numbers, 200):
                        there.emit(Noticed(message=f"{number} {'x' * 4000}", hint=""))
                    there.now += 1
                    seen = await anext(stream)
                assert seen["lines"]


async def test_too_many_are_not_let_in() -> None:
    async with post() as there, aiohttp.ClientSession() as session:
        there.emit(RUN)
        async with AsyncExitStack() as readers:
            for _ in range(32):
                looking = session.get(there.monitor.address + "events")
                assert (await readers.enter_async_context(looking)).status == 200
            assert (await there.get("events"))[0] == 503
            assert (await there.get())[0] == 200


async def test_a_name_that_is_not_this_machines_is_not_answered() -> None:
    async with post() as there:
        own = f"127.0.0.1:{there.port}"
        for host in ("localhost", "127.0.0.1", "LOCALHOST:9000", own, "[::1]:1"):
            assert (await there.get("healthz", Host=host))[0] == 200, host
        for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]:1"):
            for path in ("", "events", "metrics", "healthz", "monitor.js"):
                status, text, _ = await there.get(path, Host=host)
                assert status == 421
                assert "--monitor-token-file" in text


async def test_a_token_is_asked_for_where_there_is_something_to_see_and_kept_in_a_cookie() -> None:
    async with post(parse_listen(":0", token=TOKEN)) as there:
        there.emit(RUN)
        assert TOKEN not in there.monitor.address
        wrong = ["", *(f"?token={given}" for given in ("wrong", TOKEN[:-1], TOKEN + "x", "ü"))]
        for path in (f"{path}{given}" for path in ("", "events", "metrics") for given in wrong):
            status, text, headers = await there.get(path)
            assert status == 401
            assert "Bearer" in headers["WWW-Authenticate"]
            assert "Holidays" not in text
            assert "Set-Cookie" not in headers
        assert (await there.get("metrics", token="wrong" * 4))[0] == 401
        assert (await there.get("metrics", token=TOKEN))[0] == 200
        assert (await there.get("healthz"))[0] == 200
        assert (await there.get("", token=TOKEN, Host="nas.example:80"))[0] == 200
        status, _, headers = await there.get(f"?token={TOKEN}")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie  # it does not hold it
        value = cookie.partition(";")[0]
        assert (await there.get("metrics", Cookie=value))[0] == 200
        assert (await there.get("metrics", Cookie=value[:-1]))[0] == 401
    async with post(parse_listen(":0", token=TOKEN[::-1])) as there:
        assert (await there.get("metrics", Cookie=value))[0] == 401


async def test_the_figures_are_prometheus_s_or_openmetrics_where_that_is_asked_for() -> None:
    async with post() as there:
        there.emit(RUN, LimitsChanged(finishing=2, most_finishing=6), *starting(A, B, size=1000))
        there.emit(events.ChunkSizeChanged(chunk_size=500), *failing(C))
        there.emit(*(events.PhotoProgress(path=A, sent=sent) for sent in (800, 400, 1000)))
        there.emit(PhotoFinishing(path=A), PhotoFinishing(path=B), at=0.3)
        there.emit(events.PhotoFinished(path=A, seconds=0.3), uploaded(A, 1000))
        there.emit(Retrying(path=B, reason="", attempt=1, after_s=1), OutageBegan(reason=""))
        status, text, headers = await there.get("metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain")
        reported = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        wanted = {
            'bulkup_photos_total{outcome="uploaded"}': 1,
            'bulkup_photos_total{outcome="failed"}': 1,
            'bulkup_photos_total{outcome="present"}': 0,
            "bulkup_files_found_total": 3,
            "bulkup_sent_bytes_total": 1400,
            "bulkup_uploaded_bytes_total": 1000,
            "bulkup_retries_total": 1,
            "bulkup_outages_total": 1,
            "bulkup_outage": 1,
            "bulkup_running": 1,
            "bulkup_in_flight": 1,
            "bulkup_finishing": 1,
            "bulkup_finishing_limit": 2,
            "bulkup_finishing_limit_max": 6,
            "bulkup_chunk_bytes": 500,
            "bulkup_pending": 1,
            "bulkup_finish_seconds_count": 1,
            'bulkup_finish_seconds_bucket{le="0.25"}': 0,
            'bulkup_finish_seconds_bucket{le="0.5"}': 1,
        }
        assert {name: float(reported[name]) for name in wanted} == wanted
        there.emit(events.OutageEnded(seconds=7), events.RunFinished(seconds=1))
        wish = "application/openmetrics-text; version=1.0.0"
        _, text, headers = await there.get("metrics", Accept=wish)
        assert headers["Content-Type"].startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")
        assert "bulkup_outage 0.0" in text
        assert "bulkup_outage_seconds_total 7.0" in text
        assert "bulkup_running 0.0" in text


async def test_an_address_that_can_not_be_used_is_reported_before_the_run() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for where, words, hint in (
            (f":{taken.getsockname()[1]}", "another program is using this port", "0 for any free"),
            ("192.0.2.1:0", "not an address of this machine", ""),
            ("no-such-host.invalid:0", "not an address of this machine", ""),
        ):
            with pytest.raises(UsageError, match=words) as caught:
                async with post(parse_listen(where, token=TOKEN)):
                    pass
            assert hint in caught.value.hint


async def test_broken_requests_are_answered_and_nobody_is_bothered(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with post() as there:
        for junk in (b"\x16\x03\x01\x02\x00\x01\n\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
            writer.write(junk)
            writer.write_eof()
            await reader.read()
            writer.close()
        assert (await there.get("healthz"))[0] == 200
    assert capfd.readouterr() == ("", "")
