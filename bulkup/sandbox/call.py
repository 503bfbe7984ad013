"""A call of a method: the request's fields and files, and what a method may use."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from bulkup.sandbox.accounts import Accounts, User
from bulkup.sandbox.answers import Answer, Refusal, web_server_page
from bulkup.sandbox.faults import Fault
from bulkup.sandbox.gallery import Gallery
from bulkup.sandbox.versions import Release
from bulkup.sandbox.workers import Workers

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


_TRUE = {"1", "true", "on", "yes"}
_FALSE = {"0", "false", "off", "no", ""}
_WHOLE = re.compile(r"\s*([+-]?(?:0|[1-9]\d*))\s*")


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `array`: may be a list; `force`: becomes one."""

    type: Literal["mixed", "bool", "int positive", "int positive notnull"] = "mixed"
    optional: bool = True
    default: object = None
    array: bool = False
    force: bool = False
    max: int | None = None
    info: str = ""


REQUIRED = Param(optional=False)
ID = Param("int positive notnull")
LEVEL = Param("int positive", default=0, max=8)
SWITCH = Param("bool", default=False)
TEXT = Param()


@dataclass(slots=True)
class Call:
    """A request on its way through a method."""

    release: Release
    gallery: Gallery
    accounts: Accounts
    workers: Workers
    methods: "Mapping[str, Method]"
    only: set[str] | None
    chunk_kb: int
    html: bool
    exist_cost_s: float
    base: str
    address: str
    user: User
    sid: str
    connected_with: str | None
    agent: str
    by_key: bool = False
    params: dict[str, object] = field(default_factory=dict)
    request: Fields = field(default_factory=dict)
    files: dict[str, Part] = field(default_factory=dict)
    body: bytes = b""
    fault: Fault | None = None
    cookies: dict[str, str | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        """Return a text parameter; empty when absent."""
        value = self.params.get(name)
        return value if isinstance(value, str) else ""

    def given(self, name: str) -> str | None:
        """Return a text parameter, or None when absent."""
        value = self.params.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> int:
        """Return a number parameter; 0 when absent or empty."""
        value = self.params.get(name)
        return value if isinstance(value, int) else 0

    def numbers(self, name: str) -> list[int]:
        """Give a list of ids; empty when absent."""
        value = self.params.get(name)
        return [v for v in value if isinstance(v, int)] if isinstance(value, list) else []

    async def finish(self) -> None:
        """Do what follows the storing of a photo; a fault may make it long."""
        await self.workers.finish()
        if self.fault and self.fault.kind == "slow":
            await asyncio.sleep(self.fault.slow_s)

    def check_token(self) -> None:
        """Refuse a token that is not this session's; a key needs none."""
        if not self.by_key and self.params.get("pwg_token") != self.accounts.token(self.sid):
            raise Refusal(403, "Invalid security token")


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the web API."""

    run: Callable[[Call], Awaitable[object]]
    params: Mapping[str, Param] = field(default_factory=dict)
    admin: bool = False
    post: bool = False
    no_key: bool = False
    description: str = ""


def check_params(params: Mapping[str, Param], *, given: Fields) -> dict[str, object]:
    """Check types and presence as Piwigo does, in the order in which the method lists them."""
    checked: dict[str, object] = {}
    missing = []
    for name, param in params.items():
        value = given.get(name)
        if value is None:
            if not param.optional:
                missing.append(name)
            checked[name] = [] if param.force and param.default is None else param.default
        elif value == "" and not param.optional:
            missing.append(name)
        else:
            checked[name] = _check(name, value, param=param)
    if missing:
        raise Refusal(1002, f"Missing parameters: {','.join(missing)}")
    return checked


def _check(name: str, value: str | list[str], *, param: Param) -> object:
    if isinstance(value, list) and not (param.array or param.force):
        raise Refusal(1003, f"{name} must be scalar")
    if param.force and not isinstance(value, list):
        value = [value] if value else []
    if isinstance(value, list):
        return [_convert(v, param=param, or_else=f"{name} must only contain") for v in value]
    if value == "":
        return value
    number = _convert(value, param=param, or_else=f"{name} must be")
    return min(number, param.max) if isinstance(number, int) and param.max else number


def _convert(value: str, *, param: Param, or_else: str) -> object:
    many = or_else.endswith("contain")
    if param.type == "bool":
        if value.strip().lower() not in _TRUE | _FALSE:
            raise Refusal(1003, f"{or_else} {'booleans' if many else 'a boolean'}")
        return value.strip().lower() in _TRUE
    if param.type.startswith("int"):
        lowest = 1 if param.type.endswith("notnull") else 0
        found = _WHOLE.fullmatch(value)
        if found is None or int(found[1]) < lowest:
            kind = "positive and not null" if lowest else "positive"
            raise Refusal(1003, f"{or_else} {'' if many else 'an '}{kind} integer{'s' * many}")
        return int(found[1])
    return value
