"""A client of the web API for tests of the sandbox; it shares no code with bulkup."""

import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from bulkup.sandbox import Sandbox

JPEG = (Path(__file__).parents[1] / "contract/transcripts/payloads/a.jpg").read_bytes()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    content_type: str
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body, which must be JSON as a whole."""
        return json.loads(self.text)

    @property
    def result(self) -> Any:  # noqa: ANN401 - the same
        """The result of an ok answer."""
        return self.json["result"]


async def _reply(answer: aiohttp.ClientResponse) -> Reply:
    text = await answer.text("latin-1" if answer.content_type.startswith("image/") else None)
    return Reply(answer.status, answer.content_type, text, dict(answer.headers))


class GalleryClient:
    """A session, logged in as the administrator by default."""

    def __init__(self, url: str, *, logged_in: bool = True) -> None:
        self.url = url
        self.token = ""
        self._logged_in = logged_in

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        if self._logged_in:
            await self.call("pwg.session.login", username="admin", password="secret")
            self.token = (await self.call("pwg.session.getStatus")).result["pwg_token"]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.http.close()

    async def call(self, method: str, data: bytes | None = None, **fields: object) -> Reply:
        """POST a call; `data` goes as the file part."""
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("method", method)
        for name, value in fields.items():
            form.add_field(name, str(value))
        if data is not None:
            form.add_field("file", io.BytesIO(data), filename="blob")
        async with self.http.post(f"{self.url}ws.php?format=json", data=form) as answer:
            return await _reply(answer)

    def use_key(self, pkid: str, secret: str) -> None:
        """Send an API key with each request."""
        self.http.headers["X-PIWIGO-API"] = f"{pkid}:{secret}"

    async def page(self, path: str = "") -> Reply:
        """GET a page of the gallery."""
        async with self.http.get(f"{self.url}{path}") as answer:
            return await _reply(answer)

    async def upload(self, data: bytes, *, name: str, **fields: object) -> Reply:
        """Call pwg.images.upload into the first album."""
        fields = {"name": name, "category": 1, "pwg_token": self.token} | fields
        return await self.call("pwg.images.upload", data, **fields)


@asynccontextmanager
async def gallery(
    *,
    logged_in: bool = True,
    **options: Any,  # noqa: ANN401
) -> AsyncIterator[tuple[Sandbox, GalleryClient]]:
    """Run a sandbox with these options, and a client of it."""
    async with Sandbox(**options) as box, GalleryClient(box.url, logged_in=logged_in) as client:
        yield box, client


def async_chunk(content: bytes, *, chunk: int = 0, size: int | None = None) -> dict[str, object]:
    """Return the fields of pwg.images.uploadAsync for one chunk of a photo."""
    size = size or len(content)
    part = content[chunk * size : (chunk + 1) * size]
    return {
        "chunk": chunk,
        "chunks": -(-len(content) // size),
        "chunk_sum": hashlib.md5(part).hexdigest(),
        "original_sum": hashlib.md5(content).hexdigest(),
        "filename": "a.jpg",
        "category": 1,
        "username": "admin",
    }
