"""Who may see a monitor: by token, or on loopback by the name it was asked for.

Knows requests and the token, and nothing of runs. On loopback a page of another site could have
the browser ask for the figures under its own name (DNS rebinding): only the names of this
machine are answered. With a token that is no danger, since such a page does not have it.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from bulkup.listen import Listen, bracketed

OPEN: Final = frozenset({"/healthz", "/page.css", "/page.js"})  # nothing of a run is in them
COOKIE: Final = "bulkup_monitor"
COOKIE_S: Final = 30 * 86400
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the address may hold the token
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "bulkup",
}
ASK: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>bulkup</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="page.css">
<form class="ask"><h1>bulkup</h1><p>{reason}</p>
<label>Token <input name="token" type="password" autocomplete="current-password" autofocus></label>
<button>Show the run</button></form></html>
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Lets through who may see; remembers who brought the token in a cookie."""

    def __init__(self, listen: Listen) -> None:
        self._token = listen.token
        self._names = {"localhost", "127.0.0.1", "[::1]", bracketed(listen.host)}
        # The cookie proves the token without holding it, also to the next run.
        key = listen.token.encode()
        self._proof = hmac.new(key, b"bulkup monitor", hashlib.sha256).hexdigest()

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or say why not."""
        if not self._token:
            name = request.host.rpartition(":")[0] if _has_port(request.host) else request.host
            if name.lower() not in self._names:
                return web.Response(
                    status=421,
                    text="This monitor answers on this machine only: ask for 127.0.0.1 or "
                    "localhost. Under other names it needs a token (--monitor-token-file).\n",
                )
            return await handler(request)
        if request.path in OPEN:
            return await handler(request)
        brought = self._brought(request)
        if not brought and not _equal(request.cookies.get(COOKIE, ""), self._proof):
            return self._refuse(request)
        response = await handler(request)
        if brought and not response.prepared:
            response.set_cookie(
                COOKIE, self._proof, max_age=COOKIE_S, httponly=True, samesite="Strict"
            )
        return response

    def _brought(self, request: web.Request) -> bool:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(given.strip(), self._token):
            return True
        return _equal(request.query.get("token", ""), self._token)

    def _refuse(self, request: web.Request) -> web.Response:
        headers = {"WWW-Authenticate": 'Bearer realm="bulkup"'}
        reason = "That is not its token." if "token" in request.query else "It needs its token."
        if request.path == "/":
            page = ASK.format(reason=reason)
            return web.Response(status=401, text=page, content_type="text/html", headers=headers)
        return web.Response(status=401, text=f"{reason}\n", headers=headers)


def _has_port(host: str) -> bool:
    return host.rpartition("]")[2].find(":") >= 0


def _equal(given: str, secret: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), secret.encode())


async def dress(_: web.Request, response: web.StreamResponse) -> None:
    """Give every answer, also of errors, the headers that keep the page to itself."""
    response.headers.update(HEADERS)
