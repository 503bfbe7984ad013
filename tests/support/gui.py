"""A running `bulkup gui`, and a browser without JavaScript that reads its pages."""

import html
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from anyio import fail_after

from bulkup.cli.gui import help_texts, save_profile, settings_elsewhere
from bulkup.gui.server import serving
from bulkup.gui.session import Session
from bulkup.output.options import parse_listen
from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD


@dataclass
class Page:
    """An answer: its text, the words in it, and where it came from after redirects."""

    status: int
    text: str
    path: str
    headers: dict[str, str]

    @property
    def words(self) -> str:
        """The text without tags, with single spaces."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.text)).split())

    def values(self, name: str) -> list[str]:
        """Return the values of the fields and buttons of this name."""
        found = re.findall(rf'<(?:input|button)[^>]*name="{name}"[^>]*value="([^"]*)"', self.text)
        return list(map(html.unescape, found))


@dataclass
class Gui:
    """A running gui; its first reader has used the token."""

    session: Session
    address: str
    announced: list[str]
    client: aiohttp.ClientSession
    tokens: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str = "/", **headers: str) -> Page:
        """Return a page, after redirects."""
        async with self.client.get(self.address + path, headers=headers) as answer:
            return await _page(answer)

    async def post(self, path: str, fields: dict[str, str | list[str]] | None = None) -> Page:
        """Send the form of a page, and return the page to which it leads."""
        form = aiohttp.FormData({"form_token": await self.form_token()})
        for name, values in (fields or {}).items():
            for value in [values] if isinstance(values, str) else values:
                form.add_field(name, value)
        headers = {"Origin": self.address, "Sec-Fetch-Site": "same-origin"}
        async with self.client.post(self.address + path, data=form, headers=headers) as answer:
            return await _page(answer)

    async def form_token(self) -> str:
        """Return the token of the forms."""
        return (await self.get("/gallery")).values("form_token")[0]

    async def settled(self, path: str) -> Page:
        """Return the live parts of a page when its task has ended."""
        while True:
            page = await self.get(path, Accept="text/x-fragment")
            if page.headers["X-Live"] == "off":
                return page

    async def sign_in(self, box: Sandbox, **fields: str) -> Page:
        """Sign in to a sandbox, whose administrator has the usual password."""
        account = {"url": box.url, "kind": "password", "user": "admin", "password": PASSWORD}
        return await self.post("/gallery", {**account, **fields})


async def _page(answer: aiohttp.ClientResponse) -> Page:
    return Page(answer.status, await answer.text(), answer.url.path_qs, dict(answer.headers))


Opens = Callable[[], AbstractAsyncContextManager[Gui]]


@pytest.fixture
def gui(own_state: Path) -> Opens:
    """Return a function that runs a gui; each one goes on with the draft of the last one."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Gui]:
        announced: list[str] = []
        with fail_after(300):  # a hang, not a slow machine
            async with (
                serving(
                    parse_listen(":0"),
                    file=own_state / "gui.json",
                    flags=help_texts(),
                    elsewhere=settings_elsewhere,
                    save_profile=save_profile,
                    on_opened=announced.append,
                ) as (session, address),
                aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
            ):
                (await client.get(address)).close()
                base = address.partition("/?")[0]
                yield Gui(session, base, announced, client)

    return opened
