"""The web server of `bulkup gui`: the monitor's, with a page for each step."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import dropwhile, islice
from pathlib import Path
from typing import Final

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler
from anyio import to_thread
from multidict import MultiDict

from bulkup.app.runner import received_signals
from bulkup.errors import BulkupError, UsageError
from bulkup.gui.draft import DraftFile
from bulkup.gui.guard import YEAR_S, Guard
from bulkup.gui.rendering import FOLDER, Renderer
from bulkup.gui.session import Elsewhere, FlagHelp, SaveProfile, Session
from bulkup.gui.step import Step, Visit
from bulkup.gui.steps import STEPS
from bulkup.gui.texts import COOKIE, Texts, choose, read_languages
from bulkup.output.monitor.server import Monitor
from bulkup.output.options import LOOPBACK, ListenAddress

FILES: Final = {"gui.css": "text/css", "gui.js": "text/javascript"}
FRAGMENT: Final = "text/x-fragment"
PORT: Final = 8766


class Site:
    """The pages; `routes` are those of all steps."""

    def __init__(self, session: Session, guard: Guard, loaded: "Loaded") -> None:
        self._session = session
        self._guard = guard
        self._loaded = loaded
        self._steps = {kind.name: kind(session) for kind in STEPS}

    async def open(self) -> None:
        """Begin what goes on from the saved draft."""
        for step in self._steps.values():
            await step.open()

    def routes(self) -> Iterator[web.AbstractRouteDef]:
        """Yield the routes."""
        for step in self._steps.values():
            yield web.get(step.path, self._shower(step))
            yield web.post(step.path, self._saver(step))
            yield from step.routes()
        yield web.post("/language", self._set_language)
        for name in FILES:
            yield web.get(f"/{name}", self._file)

    async def _file(self, request: web.Request) -> web.Response:
        name = request.path[1:]
        body = self._loaded.files[name]
        return web.Response(body=body, content_type=FILES[name], charset="utf-8")

    def _shower(self, step: Step) -> Handler:
        async def show(request: web.Request) -> web.Response:
            for name in step.needs:
                if not self._steps[name].done:
                    raise web.HTTPSeeOther(f"{self._steps[name].path}?for={step.name}")
            live = request.headers.get("Accept", "") == FRAGMENT
            texts = self._loaded.texts_for(request)
            return await self._answer(step, Visit(texts=texts, query=request.query, live=live))

        return show

    def _saver(self, step: Step) -> Handler:
        async def save(request: web.Request) -> web.Response:
            fields = (await request.post()).items()
            form = MultiDict((name, text) for name, text in fields if isinstance(text, str))
            texts = self._loaded.texts_for(request)
            visit = Visit(texts=texts, query=request.query, form=form)
            try:
                raise web.HTTPSeeOther(await step.save(visit))
            except BulkupError as error:
                return await self._answer(step, visit, error=error)

        return save

    async def _answer(
        self,
        step: Step,
        visit: Visit,
        *,
        error: BulkupError | None = None,
    ) -> web.Response:
        """Return the page of a step, above it the error if there is one."""
        texts = visit.texts
        elsewhere: Mapping[str, str] = {}
        if not visit.live and (arguments := step.arguments()):
            elsewhere = await to_thread.run_sync(self._session.elsewhere, arguments)
        own, all_ = await step.values(visit), self._steps.values()
        values = {
            "step": step,
            "session": self._session,
            "draft": self._session.draft,
            "steps": self._nav(step),
            "elsewhere": elsewhere,
            "following": next(islice(dropwhile(lambda s: s is not step, all_), 1, None), None),
            "given": visit.given(),
            "error": error,
            "wanted": visit.query.get("for", "") if visit.query.get("for") in self._steps else "",
            "form_token": self._guard.form_token,
            "languages": self._loaded.languages.values(),
            "texts": texts,
            "t": texts,
            "n": texts.count,
            **own,
        }
        render = self._loaded.renderer.fragment if visit.live else self._loaded.renderer.page
        return web.Response(
            status=422 if error else 200,
            text=render(step.name, values),
            content_type="text/html",
            headers={"X-Live": "on" if step.running else "off"},
        )

    async def _set_language(self, request: web.Request) -> web.Response:
        form = await request.post()
        back = form.get("back")
        known = any(back == step.path for step in self._steps.values())
        answer = web.Response(status=303, headers={"Location": str(back) if known else "/"})
        code = str(form.get("language", ""))
        if code in self._loaded.languages:
            answer.set_cookie(COOKIE, code, max_age=YEAR_S, samesite="Strict")
        return answer

    def _nav(self, current: Step) -> list[dict[str, str]]:
        """Return the name, the path and the state of each step."""
        return [
            {
                "name": name,
                "path": step.path,
                "state": "now" if step is current else "done" if step.done else "open",
            }
            for name, step in self._steps.items()
        ]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Templates, texts and files, read once."""

    renderer: Renderer
    languages: Mapping[str, Texts]
    files: Mapping[str, bytes]

    @classmethod
    def read(cls) -> "Loaded":
        """Read them."""
        contents = {name: (FOLDER / name).read_bytes() for name in FILES}
        return cls(Renderer(), read_languages(), contents)

    def refuse(self, request: web.Request, status: int, key: str) -> web.Response:
        """Return the page that says why a request is refused."""
        texts = self.texts_for(request)
        page = self.renderer.page("refused", {"texts": texts, "t": texts, "reason": key})
        return web.Response(status=status, text=page, content_type="text/html")

    def texts_for(self, request: web.Request) -> Texts:
        """Return the texts in the language of a request."""
        return choose(
            self.languages,
            cookie=request.cookies.get(COOKIE, ""),
            accepted=request.headers.get("Accept-Language", ""),
        )


@asynccontextmanager
async def serving(
    listen: ListenAddress,
    *,
    file: Path,
    flags: Mapping[str, FlagHelp],
    elsewhere: Elsewhere,
    save_profile: SaveProfile,
    on_opened: Callable[[str], None],
) -> AsyncIterator[tuple[Session, str]]:
    """Serve the pages; yield the session, and the address with the token.

    `file` keeps the draft, `flags` are the help texts of the upload's flags. `elsewhere` is
    explained for `Session`. Each token opens the
    pages once: `on_opened` then gets the address with the next one. Raises `UsageError` where it
    can't listen.
    """
    loaded = await to_thread.run_sync(Loaded.read)
    guard = Guard(refuse=loaded.refuse, on_opened=lambda: on_opened(address()))

    def address() -> str:
        return f"{monitor.address}?token={guard.token}"

    def routes() -> Iterator[web.AbstractRouteDef]:
        yield from site.routes()

    monitor = Monitor(listen, clock=time.monotonic, guard=guard, routes=routes())
    tasks = anyio.create_task_group()
    session = Session(
        tasks=tasks,
        file=DraftFile(file),
        flags=flags,
        elsewhere=elsewhere,
        save_profile=save_profile,
        monitor=monitor,
    )
    site = Site(session, guard, loaded)
    await session.open()
    async with monitor, tasks:
        try:
            await site.open()
            yield session, address()
        finally:
            tasks.cancel_scope.cancel()


async def serve(
    port: int | None,
    *,
    file: Path,
    flags: Mapping[str, FlagHelp],
    elsewhere: Elsewhere,
    save_profile: SaveProfile,
    say: Callable[[str], None],
    browser: Callable[[str], object] | None,
) -> None:
    """Serve the pages until Ctrl-C, which first stops a run gracefully.

    `say` prints a line. `browser` opens an address. `port` None takes the usual one, or another if
    that is in use. Raises `UsageError` where it can't listen.
    """

    def on_opened(address: str) -> None:
        say(f"Opened. Another browser can use {address}")

    async with AsyncExitStack() as stack:

        async def open_on(number: int) -> tuple[Session, str]:
            listen = ListenAddress(host=LOOPBACK, port=number, flag="--port")
            site = serving(
                listen,
                file=file,
                flags=flags,
                elsewhere=elsewhere,
                save_profile=save_profile,
                on_opened=on_opened,
            )
            return await stack.enter_async_context(site)

        try:
            session, address = await open_on(PORT if port is None else port)
        except UsageError:
            if port is not None:
                raise
            session, address = await open_on(0)
        signals = await stack.enter_async_context(_signals())
        say(f"Open {address}\nCtrl-C ends it.")
        if browser is not None:
            session.tasks.start_soon(to_thread.run_sync, browser, address)
        await anext(signals)
        if (run := session.running) is not None:
            say("Finishing the photos in flight. Ctrl-C again aborts them.")
            run.end()
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(_cancel_after, signals, waiting.cancel_scope)
                await session.wait()
                waiting.cancel_scope.cancel()


@asynccontextmanager
async def _signals() -> AsyncIterator[AsyncIterator[int]]:
    with received_signals() as signals:
        yield signals


async def _cancel_after(signals: AsyncIterator[int], scope: anyio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()
