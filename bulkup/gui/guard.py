"""Protects the pages: only a browser of this user opens them, and only they send forms."""

import logging
import secrets
from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from bulkup.output.monitor.server import equal

HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
OPEN: Final = frozenset({"/healthz", "/charts.css", "/monitor.css", "/gui.css"})
"""Paths that need no cookie: they contain nothing about the user."""

YEAR_S: Final = 365 * 86400
Refuse = Callable[[web.Request, int, str], web.Response]


class Guard:
    """Middleware that lets in who knows the one-time token, and later who has the cookie.

    `on_opened` is called after a token was used; the next one is then valid. `refuse` returns the
    page that says why a request is refused, by the key of the text. `form_token` has to be in
    every form. Cookie and tokens are valid in this process alone.
    """

    def __init__(self, *, refuse: Refuse, on_opened: Callable[[], None]) -> None:
        self.token = secrets.token_urlsafe(32)
        self.form_token = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self._refuse = refuse
        self._on_opened = on_opened

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request, or refuse it."""
        port = _port(request)
        allowed = {f"{host}:{port}" for host in HOSTS}
        if port == 80:
            allowed.update(HOSTS)
        if request.host.lower() not in allowed:  # a name that resolves to this machine
            return self._refuse(request, 421, "refused.host")
        if request.path in OPEN:
            return await handler(request)
        name = f"bulkup_gui_{port}"
        known = equal(request.cookies.get(name, ""), self._cookie)
        if "token" in request.query and request.method == "GET":
            answer = web.Response(status=303, headers={"Location": request.path})
            if equal(request.query["token"], self.token):
                self.token = secrets.token_urlsafe(32)
                self._on_opened()
                answer.set_cookie(
                    name, self._cookie, max_age=YEAR_S, httponly=True, samesite="Strict"
                )
            elif not known:
                return self._refuse(request, 403, "refused.used")
            return answer
        if not known:
            return self._refuse(request, 403, "refused.cookie")
        if request.method not in {"GET", "HEAD"} and not await self._is_own(request):
            return self._refuse(request, 403, "refused.form")
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception:
            logging.getLogger(__name__).exception("%s %s", request.method, request.path)
            return self._refuse(request, 500, "refused.bug")

    async def _is_own(self, request: web.Request) -> bool:
        """Return whether a form was sent by one of these pages."""
        headers = request.headers
        if headers.get("Origin", f"http://{request.host}") != f"http://{request.host}":
            return False
        if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return False
        given = (await request.post()).get("form_token")
        return isinstance(given, str) and equal(given, self.form_token)


def _port(request: web.Request) -> int:
    """Return the port that the request has reached."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return int(name[1]) if name else 0
