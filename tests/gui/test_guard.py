"""Who may see the pages, and send forms."""

from collections.abc import Mapping

import aiohttp
import pytest

from tests.support.gui import Gui, Opens


async def status(there: Gui, path: str = "/", **headers: str) -> int:
    """Return the status of the answer to a stranger, without redirects."""
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(there.address + path, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status


async def test_a_token_opens_the_pages_once_and_the_next_one_is_announced(gui: Opens) -> None:
    async with gui() as there:
        assert (await there.get("/")).status == 200
        (further,) = there.announced
        used = further[: further.index("=") + 1] + "x" * 43
        async with aiohttp.ClientSession() as stranger:
            async with stranger.get(used) as answer:
                assert answer.status == 403
                assert "works only once" in await answer.text()
            async with stranger.get(further, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/")
                cookie = answer.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
        assert await status(there, further.removeprefix(there.address)) == 403
        # who is in already, and goes back in the browser's history, stays in
        assert (await there.get(further.removeprefix(there.address))).status == 200
        for path in ("/", "/gallery", "/events", "/metrics", "/gui.js", "/nothing"):
            assert await status(there, path) == 403
        assert await status(there, "/gui.css") == 200


async def test_pages_are_locked_up(gui: Opens) -> None:
    async with gui() as there:
        for path in ("/", "/gallery", "/nothing", "/sources"):
            page = await there.get(path)
            policy = page.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert page.headers["Cache-Control"] == "no-store"
            assert "token=" not in page.path
            assert "style=" not in page.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.2:{}"])
async def test_other_host_names_are_refused(gui: Opens, host: str) -> None:
    async with gui() as there:
        name = host.format(there.address.rpartition(":")[2])
        page = await there.get("/", Host=name)
        assert page.status == 421
        assert "only on this machine" in page.words


OWN = "{own}"


@pytest.mark.parametrize(
    ("headers", "with_token", "expected"),
    [
        ({}, True, 303),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, True, 303),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, False, 403),
        ({"Origin": "http://evil.example"}, True, 403),
        ({"Origin": "http://127.0.0.1:1"}, True, 403),
        ({"Origin": "null"}, True, 403),
        ({"Sec-Fetch-Site": "same-site"}, True, 403),
        ({"Sec-Fetch-Site": "cross-site"}, True, 403),
    ],
)
async def test_forms_count_only_from_these_pages(
    gui: Opens, headers: Mapping[str, str], with_token: bool, expected: int
) -> None:
    async with gui() as there:
        form = {"form_token": await there.form_token() if with_token else "x"}
        sent = {name: value.format(own=there.address) for name, value in headers.items()}
        async with there.client.post(
            f"{there.address}/", data=form, headers=sent, allow_redirects=False
        ) as answer:
            assert answer.status == expected
        async with there.client.put(f"{there.address}/", data=form) as answer:
            assert answer.status in {403, 405}
