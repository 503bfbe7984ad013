"""The pool of logged-in sessions: who is logged in, with which token, and who logs in next.

Knows how to log in and out, and nothing of photos. A session logs in when it is first needed, one
at a time; one that the server has lost logs in again with its next request.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import aiohttp
import anyio

from bulkup.errors import (
    BulkupError,
    NotOffered,
    PhotoError,
    Refused,
    RunError,
    SessionLost,
    TooLarge,
)
from bulkup.failures import answers, stops
from bulkup.photos import Photo
from bulkup.piwigo.bodies import Form, Progress
from bulkup.piwigo.http import Session, Timeouts
from bulkup.piwigo.results import Status, read_status
from bulkup.piwigo.throttle import Throttle
from bulkup.piwigo.wire import Answer, Request, interpret

LOGOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in: a user with a password, or an API key (`pkid:secret`, Piwigo 16 and later)."""

    user: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)


class SessionPool:
    """Sessions on shared connections; as many as are in use at once, and each used again."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials,
        connector: aiohttp.BaseConnector,
        timeouts: Timeouts,
        throttle: Throttle | None = None,
    ) -> None:
        self.url = url
        self._credentials = credentials
        self._connector = connector
        self._timeouts = timeouts
        self._throttle = throttle
        self._free: list[Session] = []
        self._login = anyio.Lock()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Session]:
        """Lend a session to one task at a time."""
        session = self._free.pop() if self._free else self._open()
        try:
            yield session
        finally:
            self._free.append(session)

    async def close(self) -> None:
        """Log every session out, if the server lets us within some seconds, and forget them."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(LOGOUT_S):
                async with anyio.create_task_group() as tasks:
                    for session in self._free:
                        if session.ready and not self._credentials.api_key:
                            tasks.start_soon(self._log_out, session)
            for session in self._free:
                await session.close()
        self._free.clear()

    async def call(self, request: Request) -> object:
        """Return the result of one request over any free session. Raises as `send` does."""
        async with self.lease() as session:
            return await self.send(session, request)

    async def knock(self) -> None:
        """Ask the server for a sign of life without logging in. Raises `Transient` if none."""
        async with self.lease() as session:
            method = "pwg.session.getStatus"
            interpret(await session.get(f"{self.url}ws.php?format=json&method={method}"))

    async def send(
        self,
        session: Session,
        request: Request,
        *,
        photo: Photo | None = None,
        finishing: bool = False,
        progress: Progress = lambda _: None,
    ) -> object:
        """Return the result of a request over this session, logged in first where need be.

        Raises what `interpret` and `Session.post` raise. After `SessionLost` the same request may
        be sent again: the session logs in anew with it.
        """
        if not session.ready:
            await self.log_in(session)
        if request.token and session.token:
            fields = (*request.fields, ("pwg_token", session.token))
            request = replace(request, fields=fields)
        answer = await session.post(request, photo=photo, finishing=finishing, progress=progress)
        try:
            return _judged(answer, session)
        except TooLarge as error:
            if request.chunk is not None:
                raise
            raise Refused(error.told) from None  # nothing of it could be made smaller

    async def send_form(self, form: Form, session: Session) -> object:
        """Return the result of a form. Raises as `send` does."""
        if not session.ready:
            await self.log_in(session)
        return _judged(await session.post_form(form), session)

    async def log_in(self, session: Session) -> Status:
        """Log the session in and return what the server then tells.

        Raises `RunError` where the server refuses the user or knows them, but as no administrator,
        and `SessionLost` where it has forgotten them by the next request.
        """
        async with self._login:
            if not self._credentials.api_key:
                await self._show_password(session)
            status = await self._ask_status(session)
            self._check_rank(status)
            session.token = status.token
            session.ready = True
            return status

    async def _show_password(self, session: Session) -> None:
        fields = (
            ("username", self._credentials.user),
            ("password", self._credentials.password),
        )
        try:
            interpret(await session.post(Request("pwg.session.login", fields)))
        except (PhotoError, SessionLost) as error:
            raise RunError(
                stops.LOGIN(user=self._credentials.user, url=self.url, reason=error.message)
            ) from None

    async def _ask_status(self, session: Session) -> Status:
        try:
            return read_status(interpret(await session.post(Request("pwg.session.getStatus"))))
        except SessionLost:
            raise RunError(stops.API_KEY()) from None
        except (NotOffered, PhotoError) as error:
            raise RunError(stops.ODD_PIWIGO(url=self.url, reason=error.message)) from None

    def _check_rank(self, status: Status) -> None:
        if status.rank in {"", "admin", "webmaster"}:
            return
        if status.rank == "guest" and self._credentials.api_key:
            raise RunError(stops.NO_KEYS(url=self.url))
        if status.rank == "guest":  # the password was right a moment ago
            raise SessionLost(answers.SESSION_UNKEPT())
        user = status.user or self._credentials.user
        raise RunError(stops.NO_ADMIN(user=user, url=self.url, rank=status.rank))

    def _open(self) -> Session:
        return Session(
            self.url,
            connector=self._connector,
            timeouts=self._timeouts,
            throttle=self._throttle,
            api_key=self._credentials.api_key,
        )

    async def _log_out(self, session: Session) -> None:
        try:
            await session.post(Request("pwg.session.logout"))
        except BulkupError:
            return  # the server forgets the session by itself in an hour


def _judged(answer: Answer, session: Session) -> object:
    """Return the result of an answer; the session that is lost by it logs in again."""
    try:
        return interpret(answer)
    except SessionLost:
        session.ready = False
        raise
