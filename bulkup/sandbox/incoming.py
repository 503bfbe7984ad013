"""Reads a request as the web server and PHP do: the size limits, form fields, file parts.

It knows HTTP bodies, and must not know what any method does with them.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from bulkup.sandbox.answers import Answer, web_server_page

Fields = dict[str, str | list[str]]
_BLOCK = 256 * 1024
_URL_LIMIT = 8 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """upload_max_filesize and post_max_size of PHP, and what the web server lets through."""

    max_file: int
    max_post: int
    max_body: int


@dataclass(slots=True)
class Part:
    """A file part; one over the limit arrives without its content."""

    filename: str
    data: bytes = b""
    too_large: bool = False


@dataclass(slots=True)
class Incoming:
    """What PHP sees of a request."""

    query: Fields
    post: Fields = field(default_factory=dict)
    files: dict[str, Part] = field(default_factory=dict)
    body: bytes = b""

    @property
    def method(self) -> str:
        """The name of the method, from the body or else from the query string."""
        name = self.post.get("method", self.query.get("method", ""))
        return name if isinstance(name, str) else ""


class CutOffError(Exception):
    """The reader was told to stop in the middle of the body."""


def refuse(request: web.Request, limits: Limits) -> Answer | None:
    """Answer as the web server does for requests that it never lets through to PHP."""
    if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
        return web_server_page(411, "Length Required")
    if (request.content_length or 0) > limits.max_body:
        return web_server_page(413, "Request Entity Too Large")
    if len(request.raw_path) > _URL_LIMIT:
        return web_server_page(414, "Request-URI Too Large")
    return None


async def read(
    request: web.Request, limits: Limits, *, cut: Callable[[str], bool] = lambda _: False
) -> Incoming:
    """Take in a request; where `cut` says so of its method, only half of it."""
    incoming = Incoming(query=_fields(parse_qsl(request.query_string, keep_blank_values=True)))
    size = request.content_length or 0
    if size > limits.max_post:
        async for _ in request.content.iter_chunked(_BLOCK):
            pass
    elif request.content_type == "multipart/form-data":
        # What cannot be read as a form counts as far as it could.
        with suppress(ValueError, BadHttpMessage):
            await _read_parts(request, incoming, limits=limits, cut=cut)
    elif size:
        incoming.body = await request.read()
        body = incoming.body.decode("utf-8", "surrogateescape")
        pairs = parse_qsl(body, keep_blank_values=True, errors="surrogateescape")
        incoming.post = _fields(pairs)
    if incoming.method and size and cut(incoming.method):
        raise CutOffError(incoming.method)
    return incoming


async def _read_parts(
    request: web.Request, incoming: Incoming, *, limits: Limits, cut: Callable[[str], bool]
) -> None:
    pairs: list[tuple[str, str]] = []
    async for part in await request.multipart():
        if not isinstance(part, aiohttp.BodyPartReader) or not (
            names := _names(part.headers.get("Content-Disposition"))
        ):
            continue
        name, filename = names
        if filename is None:
            text = bytes(await part.read()).decode("utf-8", "surrogateescape")
            pairs.append((name, text))
            incoming.post = _fields(pairs)
            continue
        upload = Part(filename)
        data = bytearray()
        while block := await part.read_chunk(_BLOCK):
            if not upload.too_large:
                data += block
            if len(data) > limits.max_file:
                upload.too_large = True
                data.clear()
            if cut(incoming.method) and 2 * _seen(request) > (request.content_length or 0):
                raise CutOffError(incoming.method)
        upload.data = bytes(data)
        incoming.files[name] = upload


@lru_cache(maxsize=1024)
def _names(disposition: str | None) -> tuple[str, str | None] | None:
    """Return the name of a field, and that of its file if it is one; None: it has no name.

    The same fields come all the time, and to ask aiohttp's part for each name takes long.
    """
    _, parameters = aiohttp.parse_content_disposition(disposition)
    name = aiohttp.content_disposition_filename(parameters, "name")
    filename = aiohttp.content_disposition_filename(parameters, "filename")
    return None if name is None else (name, filename)


def _seen(request: web.Request) -> int:
    return request.content.total_bytes


def _fields(pairs: list[tuple[str, str]]) -> Fields:
    """Form the array of PHP: `name[]` collects, else the last one counts."""
    fields: Fields = {}
    for name, value in pairs:
        if found := re.fullmatch(r"([^\[]+)\[[^\]]*\]", name):
            values = fields.setdefault(found[1], [])
            if isinstance(values, list):
                values.append(value)
                continue
        fields[name] = value
    return fields
