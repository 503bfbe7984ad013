"""The web server in front of PHP: reads requests, applies faults and limits, serves the page."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from html import escape, unescape
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from bulkup.sandbox.accounts import GUEST
from bulkup.sandbox.calls import NOISE, Backend, Fields, Incoming, Part
from bulkup.sandbox.faults import Fault, Faults
from bulkup.sandbox.gallery import Album, Gallery, StoredPhoto
from bulkup.sandbox.methods.community import Community
from bulkup.sandbox.php import PAGE, Answer, Refusal, fail

_BLOCK = 256 * 1024
_URL_LIMIT = 8 * 1024


def web_server_page(status: int, reason: str) -> Answer:
    """Return an error page of nginx."""
    title = f"{status} {reason}"
    return Answer(
        status,
        "text/html",
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n"
        "</body>\r\n</html>\r\n",
    )


def _buffer_error(code: int, message: str) -> Answer:
    error = f'{{"code": {code}, "message": "{message}"}}'
    return Answer(200, PAGE, f'{{"jsonrpc" : "2.0", "error" : {error}, "id" : "id"}}')


_NOT_PROCESSED = {
    "408": web_server_page(408, "Request Time-out"),
    "413": web_server_page(413, "Request Entity Too Large"),
    "429": web_server_page(429, "Too Many Requests"),
    "502": web_server_page(502, "Bad Gateway"),
    "503": web_server_page(503, "Service Temporarily Unavailable"),
    "504": web_server_page(504, "Gateway Time-out"),
    "403-html": web_server_page(403, "Forbidden"),
    "html": Answer(200, "text/html; charset=utf-8", "<html><body>Under maintenance</body></html>"),
    "empty-500-before": Answer(500, PAGE, ""),
    "no-input": _buffer_error(101, "Failed to open input stream."),
    "no-output": _buffer_error(102, "Failed to open output stream."),
    "302": replace(web_server_page(302, "Found"), headers={"Location": "https://login.example/"}),
    "401-html": web_server_page(401, "Authorization Required"),
    "404": web_server_page(404, "Not Found"),
    "411": web_server_page(411, "Length Required"),
    "401-key": fail(Refusal(401, "Invalid api_key"), show_errors=False),
    "501-method": fail(Refusal(501, "Method name is not valid"), show_errors=False),
    "999-login": fail(Refusal(999, "Invalid username/password"), show_errors=False),
}
_INSTEAD: dict[str, Answer] = {
    "504-after": _NOT_PROCESSED["504"],
    "empty-500-after": _NOT_PROCESSED["empty-500-before"],
}
Oversize = Literal["413", "reset", "500"]
"""The answer to a body over the limit: 413, a closed connection, or an empty 500."""


class Seen(NamedTuple):
    """A log entry of one request; the status is 0 if no answer was sent."""

    method: str
    status: int
    fault: str | None


class CutOffError(Exception):
    """A fault stopped reading in the middle of the body."""


def _refuse(request: web.Request, *, max_body: int) -> Answer | None:
    """Return the web server's answer to a request that it does not pass on to PHP."""
    if request.headers.get("Transfer-Encoding", "").lower() == "chunked":
        return web_server_page(411, "Length Required")
    if (request.content_length or 0) > max_body:
        return _NOT_PROCESSED["413"]
    if len(request.raw_path) > _URL_LIMIT:
        return web_server_page(414, "Request-URI Too Large")
    return None


async def _read(
    request: web.Request,
    incoming: Incoming,
    *,
    max_file: int,
    max_post: int,
    strike: Callable[[], Fault | None],
) -> None:
    """Read the body of a request. Raises `CutOffError` halfway if a fault says so."""
    size = request.content_length or 0
    if size > max_post:
        async for _ in request.content.iter_chunked(_BLOCK):
            pass
        return

    def check(*, half_read: bool) -> None:
        if incoming.method and (fault := strike()) and fault.kind == "cut" and half_read:
            raise CutOffError

    boundary = None
    if request.content_type == "multipart/form-data":
        boundary = re.search(r'boundary="?([^";]+)', request.headers["Content-Type"])
    body = bytearray()
    async for block in request.content.iter_chunked(_BLOCK):
        body += block
        if boundary and len(body) < size:
            if not incoming.method:
                _read_form(incoming, body, boundary[1], max_file=max_file)
            check(half_read=2 * len(body) > size)
    if boundary:
        _read_form(incoming, body, boundary[1], max_file=max_file)
    elif body:
        incoming.body = bytes(body)
        text = body.decode("utf-8", "surrogateescape")
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
        incoming.post = _fields(pairs)
    if body:
        check(half_read=True)


def _read_form(incoming: Incoming, body: bytearray, boundary: str, *, max_file: int) -> None:
    """Read the parts of a multipart form that have arrived completely."""
    pairs: list[tuple[str, str]] = []
    mark = f"\r\n--{boundary}".encode()
    start = body.find(mark[2:]) + len(mark) - 2
    while (end := body.find(mark, start)) >= 0:
        content = body.find(b"\r\n\r\n", start, end) + 4
        names = _names(body[start:content].decode("utf-8", "surrogateescape"))
        if names and (filename := names[1]) is not None:
            large = end - content > max_file
            data = b"" if large else bytes(memoryview(body)[content:end])
            incoming.files[names[0]] = Part(filename, data, too_large=large)
        elif names:
            pairs.append((names[0], body[content:end].decode("utf-8", "surrogateescape")))
        start = end + len(mark)
    incoming.post = _fields(pairs)


@lru_cache(maxsize=1024)
def _names(headers: str) -> tuple[str, str | None] | None:
    """Return the name of a field and its file name, if it has one; None without a name."""
    disposition = re.search(r"(?im)^content-disposition:\s*(.*?)\s*$", headers)
    _, parameters = aiohttp.parse_content_disposition(disposition[1] if disposition else None)
    name = aiohttp.content_disposition_filename(parameters, "name")
    filename = aiohttp.content_disposition_filename(parameters, "filename")
    return None if name is None else (name, filename)


def _fields(pairs: list[tuple[str, str]]) -> Fields:
    """Build PHP's array: `name[]` collects values; for other names the last value counts."""
    fields: Fields = {}
    for name, value in pairs:
        if found := re.fullmatch(r"([^\[]+)\[[^\]]*\]", name):
            values = fields.setdefault(found[1], [])
            if isinstance(values, list):
                values.append(value)
                continue
        fields[name] = value
    return fields


@dataclass
class Front:
    """Passes requests to PHP and the answers back, unless a fault or a limit intervenes.

    `max_file` and `max_post` are PHP's upload_max_filesize and post_max_size, `max_body` is the
    limit of the web server. Sizes are in bytes.
    """

    backend: Backend
    faults: Faults
    max_file: int
    max_post: int
    max_body: int
    oversize: Oversize
    gateway_timeout_s: float
    _running: set[asyncio.Task[Answer]] = field(default_factory=set, init=False)

    async def close(self) -> None:
        """Cancel the requests that PHP is still working on."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def page(self) -> web.StreamResponse:
        """Serve the front page."""
        return self._respond(await self._through_gateway(self._front_page()))

    async def identify(self, request: web.Request) -> web.StreamResponse:
        """Serve the login page."""
        form = await request.post()
        return self._respond(await self.backend.identify(form, _incoming(request)))

    async def add_photos(self, request: web.Request, community: Community) -> web.StreamResponse:
        """Serve the Community plugin's page, which says what is left of the user's quotas."""
        incoming = _incoming(request)
        session = self.backend.accounts.session(incoming.sid, address=incoming.address)
        async with self.backend.workers.one():
            page = community.page(session.user if session and self.backend.plugin else GUEST)
        if page is None:
            return self._respond(Answer(302, PAGE, "", {"Location": self.backend.path}))
        return self._respond(Answer(200, PAGE, page))

    async def file(self, request: web.Request, data: bytes, *, mime: str) -> web.StreamResponse:
        """Serve a file; the faults of the method `download` affect it."""
        response = web.Response(body=data, content_type=mime)
        fault = self.faults.strike("download")
        if fault is None:
            return response
        if fault.kind == "truncated":
            return await _send_half(request, response)
        return self._respond(_NOT_PROCESSED[fault.kind])

    async def answer(self, request: web.Request) -> tuple[web.StreamResponse, Seen]:
        """Answer one call of ws.php; return also how it is logged."""
        if refused := _refuse(request, max_body=self.max_body):
            if refused.status == 413 and self.oversize == "reset":
                return _hang_up(request), Seen("", 0, None)
            if refused.status == 413 and self.oversize == "500":
                await request.content.read()
                refused = _NOT_PROCESSED["empty-500-before"]
            return self._respond(refused), Seen("", refused.status, None)
        incoming = _incoming(request)
        strike = cache(lambda: self.faults.strike(incoming.method))
        try:
            await _read(
                request,
                incoming,
                max_file=self.max_file,
                max_post=self.max_post,
                strike=strike,
            )
        except CutOffError:
            return _hang_up(request), Seen(incoming.method, 0, "cut")
        except ConnectionError:
            return _hang_up(request), Seen("", 0, None)
        fault = strike()
        kind = fault.kind if fault else None
        answer = await self._pass_on(incoming, fault=fault)
        if answer is None:
            return _hang_up(request), Seen(incoming.method, 0, kind)
        seen = Seen(incoming.method, answer.status, kind)
        if kind == "truncated":
            return await _send_half(request, self._respond(answer)), seen
        return self._respond(answer), seen

    async def _pass_on(self, incoming: Incoming, *, fault: Fault | None) -> Answer | None:
        """Return the answer as changed by the fault, None if no answer is sent."""
        kind = fault.kind if fault else ""
        if kind in {"request-lost", "cut"}:
            return None
        if early := _NOT_PROCESSED.get(kind):
            if fault and kind == "429":
                return replace(early, headers={"Retry-After": fault.retry_after})
            return early
        if kind == "damaged":
            _damage(incoming)
        answer = await self._through_gateway(self.backend.call(incoming, fault=fault))
        if kind == "answer-lost":
            return None
        if kind == "php-noise":
            return replace(answer, text=NOISE + answer.text)
        return _INSTEAD.get(kind, answer)

    async def _front_page(self) -> Answer:
        async with self.backend.workers.one():
            await self.backend.user_caches.load(GUEST.name)
            await self.backend.workers.page()
            text = front_page(self.backend.gallery, path=self.backend.path)
            return Answer(200, PAGE, text)

    async def _through_gateway(self, php: Coroutine[Any, Any, Answer]) -> Answer:
        """Return the answer of PHP, or 504 after the time-out, while PHP continues."""
        task = asyncio.create_task(php)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait({task}, timeout=self.gateway_timeout_s)
        if not done or task.cancelled():
            return _NOT_PROCESSED["504"]
        return task.result()

    def _respond(self, answer: Answer) -> web.Response:
        response = web.Response(
            status=answer.status,
            body=answer.text.encode(),
            headers={"Content-Type": answer.content_type, **answer.headers},
        )
        for name, value in answer.cookies.items():
            if value is None:
                response.del_cookie(name, path=self.backend.path)
            else:
                response.set_cookie(name, value, path=self.backend.path, httponly=True)
        return response


def _incoming(request: web.Request) -> Incoming:
    return Incoming(
        address=request.remote or "",
        host=request.host,
        sid=request.cookies.get("pwg_id", ""),
        key=request.headers.get("X-PIWIGO-API", ""),
        agent=request.headers.get("User-Agent", ""),
        referer=request.headers.get("Referer", ""),
        query=_fields(parse_qsl(request.query_string, keep_blank_values=True)),
    )


def _damage(incoming: Incoming) -> None:
    for part in incoming.files.values():
        if part.data:
            middle = len(part.data) // 2
            flipped = bytes([part.data[middle] ^ 1])
            part.data = part.data[:middle] + flipped + part.data[middle + 1 :]


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the response is not sent."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _send_half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    body = answer.body if isinstance(answer.body, bytes) else b""
    half = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _hang_up(request)
    return half


_STYLE = """
  body { font: 16px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 75rem;
         padding: 0 1rem; color: #222; background: #fafafa; }
  section section { margin-left: .5rem; padding-left: .75rem; border-left: 2px solid #ddd; }
  h1, h2 { overflow-wrap: anywhere; }
  h2 { font-size: 1.1rem; margin: 1rem 0 .25rem; }
  small { color: #666; font-weight: normal; }
  ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem;
       list-style: none; padding: 0; }
  li { overflow-wrap: anywhere; font-size: .85rem; }
  img { width: 100%; height: 7rem; object-fit: cover; background: #eee; border-radius: 4px; }
"""


def front_page(gallery: Gallery, *, path: str) -> str:
    """Return the front page of a gallery at `path`."""
    count = len(gallery.photos)
    waiting = f", {len(gallery.lounge)} waiting in the lounge" if gallery.lounge else ""
    loose = [p for p in gallery.photos.values() if not p.albums & gallery.albums.keys()]
    sections = [
        _section(gallery, album, path=path)
        for album in _in_order(gallery)
        if album.parent not in gallery.albums
    ]
    if loose:
        sections.append(f"<section><h2>In no album</h2>{_list(loose, path=path)}</section>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Sandbox gallery</title><style>{_STYLE}</style></head>\n<body>"
        f"<h1>Sandbox gallery</h1><p>{_photos(count)}{waiting} · "
        f"simulates Piwigo {escape(gallery.release.version)}</p>\n"
        f"{''.join(sections)}</body></html>\n"
    )


def _in_order(gallery: Gallery) -> list[Album]:
    return sorted(gallery.albums.values(), key=lambda a: a.order)


def _section(gallery: Gallery, album: Album, *, path: str) -> str:
    photos = gallery.photos_in(album.id)
    below = "".join(
        _section(gallery, child, path=path)
        for child in _in_order(gallery)
        if child.parent == album.id
    )
    title = f"{escape(album.name)} <small>{_photos(len(photos))}</small>"
    return f"<section><h2>{title}</h2>{_list(photos, path=path)}{below}</section>\n"


def _list(photos: list[StoredPhoto], *, path: str) -> str:
    items = []
    for photo in photos:
        # file names are stored with entities
        name = escape(unescape(photo.file))
        link = escape(path + photo.path)
        picture = f'<img src="{link}" alt="{name}" loading="lazy">'
        size = f"{photo.size:,} bytes"
        items.append(f'<li><a href="{link}">{picture}</a><br>{name}<br><small>{size}</small></li>')
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _photos(count: int) -> str:
    return f"{count} photo{'s' * (count != 1)}"
