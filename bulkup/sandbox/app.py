"""The sandbox server, and what tests see of it."""

import asyncio
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from aiohttp import web

from bulkup.sandbox import php
from bulkup.sandbox.accounts import Accounts, Permission
from bulkup.sandbox.calls import Backend
from bulkup.sandbox.faults import Faults
from bulkup.sandbox.files import Content, Formats
from bulkup.sandbox.gallery import Gallery
from bulkup.sandbox.http import Front, Oversize, Seen
from bulkup.sandbox.methods import methods_of
from bulkup.sandbox.methods.community import Community
from bulkup.sandbox.versions import VERSIONS, Release
from bulkup.sandbox.workers import DERIVATIVE_SHARE, UserCaches, Workers

_LOG_LENGTH = 100_000
# Above aiohttp's default, so that long addresses get the sandbox's own 414.
_LINE_LIMIT = 2**20


class Sandbox:
    """A gallery that listens on a port, by default a free one, within `async with`.

    `only` holds the methods offered, None for all of the version. `formats` holds the extensions
    allowed as formats of photos; with None, formats are disabled, as in a new Piwigo. `oversize`
    is the answer to a body over `max_body`. Photos are stored as files in `folder`, with `discard`
    only as their MD5s and sizes, and otherwise in memory.

    `workers` is the size of PHP's pool, None for no limit, and `start_workers` its initial size;
    one worker is added every `grow_s` while requests wait. All work shares `cpus` processors
    evenly, or has a processor each (None). The work is `request_s` for each request, `finish_s`
    for finishing a photo, of which a second worker does `derivative_share`, `page_s` for a view of
    the front page, `exist_cost_s` for looking up 100,000 MD5s, and `user_cache_s` for rebuilding
    the cache of an account. A finish or a page may differ from its mean by a fraction of up to
    `spread`. Emptying the lounge takes `lounge_s`, without processor time.

    With `use_iptc`, the gallery reads titles, descriptions and keywords from IPTC data of JPEGs.
    With `community`, the Community plugin is active and grants these permissions. With
    `map_plugin`, piwigo-openstreetmap is active; an old one does not take positions.
    """

    def __init__(
        self,
        *,
        version: str = "16.4.0",
        only: set[str] | None = None,
        faults: Faults | None = None,
        workers: int | None = None,
        start_workers: int | None = None,
        grow_s: float = 1.0,
        cpus: int | None = None,
        request_s: float = 0.0,
        finish_s: float = 0.0,
        derivative_share: float = DERIVATIVE_SHARE,
        page_s: float = 0.0,
        spread: float = 0.0,
        exist_cost_s: float = 0.0,
        user_cache_s: float = 0.0,
        lounge_s: float = 0.0,
        gateway_timeout_s: float = 60.0,
        chunk_kb: int = 500,
        html: bool = True,
        file_types: Sequence[str] | None = None,
        formats: Sequence[str] | None = None,
        detect_duplicates: bool | None = None,
        uniqueness_mode: str = "md5sum",
        use_iptc: bool = False,
        max_file: int = 20 * 2**20,
        max_post: int = 21 * 2**20,
        max_body: int = 25 * 2**20,
        oversize: Oversize = "413",
        php_noise: bool = False,
        show_errors: bool = False,
        lounge: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        folder: Path | None = None,
        discard: bool = False,
        path: str = "/",
        session_length_s: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
        admin: tuple[str, str] = ("admin", "secret"),
        users: Mapping[str, str] | None = None,
        albums: Sequence[str] = ("Sandbox",),
        community: Sequence[Permission] | None = None,
        map_plugin: Literal["", "old", "new"] = "",
    ) -> None:
        if version not in VERSIONS:
            raise ValueError(f"unknown version: {version}; known are {', '.join(VERSIONS)}")
        release = Release(version)
        self.faults = Faults() if faults is None else faults
        self.requests: deque[Seen] = deque(maxlen=_LOG_LENGTH)
        self.upload_closed = False  # whether the web server refuses the files of photos
        self.downloads = 0
        self._accounts = Accounts(
            admin=admin,
            users={"bob": "bobsecret"} if users is None else users,
            session_length_s=session_length_s,
            clock=clock,
        )
        self._temporary: Path | None = None
        self.gallery = Gallery(
            release,
            folder=folder or Path(),
            keep="sums" if discard else "files" if folder else "memory",
            file_types=tuple(file_types or release.file_types),
            formats=Formats(formats, major=release.major),
            detect_duplicates=(
                release.detects_duplicates if detect_duplicates is None else detect_duplicates
            ),
            uniqueness_mode=uniqueness_mode,
            use_iptc=use_iptc,
            with_lounge=lounge,
            lounge_s=lounge_s,
            clock=clock,
        )
        for name in albums:
            self.gallery.make_album(name)
        self.workers = Workers(
            count=workers,
            start=start_workers,
            grow_s=grow_s,
            cpus=cpus,
            request_s=request_s,
            finish_s=finish_s,
            derivative_share=derivative_share,
            page_s=page_s,
            spread=spread,
            gateway_timeout_s=gateway_timeout_s,
            clock=clock,
        )
        self._path = f"/{path.strip('/')}/".replace("//", "/")
        self.community = Community(community or (), self.gallery)
        self.user_caches = UserCaches(
            self.workers, rebuild_s=user_cache_s, sleeps=release.caches_users
        )
        backend = Backend(
            gallery=self.gallery,
            accounts=self._accounts,
            workers=self.workers,
            user_caches=self.user_caches,
            methods=methods_of(release, only=only),
            path=self._path,
            only=only,
            chunk_kb=chunk_kb,
            html=html,
            exist_cost_s=exist_cost_s,
            php_noise=php_noise,
            show_errors=show_errors,
            plugin=None if community is None else self.community,
            map_plugin=map_plugin,
        )
        self._front = Front(
            backend,
            faults=self.faults,
            max_file=max_file,
            max_post=max_post,
            max_body=max_body,
            oversize=oversize,
            gateway_timeout_s=gateway_timeout_s,
        )
        self._host = host
        self._port = port
        app = web.Application(client_max_size=max_body)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, max_line_size=_LINE_LIMIT
        )

    async def __aenter__(self) -> Self:
        if self.gallery.keep == "sums":
            # for chunks until they are merged
            self._temporary = Path(await asyncio.to_thread(tempfile.mkdtemp))
            self.gallery.buffer_folder.folder = self._temporary
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._front.close()
        await self._runner.cleanup()
        if self._temporary:
            await asyncio.to_thread(shutil.rmtree, self._temporary)

    @property
    def url(self) -> str:
        """The address of the gallery."""
        return f"http://{self._host}:{self._port}{self._path}"

    @property
    def finishing_peak(self) -> int:
        """The largest number of photos that were finished at once."""
        return self.workers.finishing_peak

    def expire_sessions(self) -> None:
        """End all sessions."""
        self._accounts.sessions.clear()

    def make_api_key(self) -> tuple[str, str]:
        """Return the id and the secret of a new API key of the administrator."""
        user = next(iter(self._accounts.users.values()))
        now = php.now()
        key = self._accounts.make_key(
            user, name="bulkup", duration=30, created_on=now, expired_on=now
        )
        return key.pkid, key.secret

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(self._path)
        if not request.path.startswith(self._path):
            raise web.HTTPNotFound
        if path == "ws.php":
            response, seen = await self._front.answer(request)
            self.requests.append(seen)
            return response
        if path == "identification.php":
            return await self._front.identify(request)
        if path == "index.php" and request.query_string.startswith("/add_photos"):
            return await self._front.add_photos(request, self.community)
        if path in {"", "index.php"}:
            return await self._front.page()
        if path == "action.php":
            return await self._hand_out(request)
        content = None if self.upload_closed else self.gallery.content_at(path)
        return await self._file(request, content)

    async def _hand_out(self, request: web.Request) -> web.StreamResponse:
        """Return a photo's file by PHP (`action.php`), to users who are logged in."""
        sid, address = request.cookies.get("pwg_id", ""), request.remote or ""
        photo = self.gallery.photos.get(int(request.query.get("id", 0)))
        if photo is None:
            return web.Response(status=404, text="Requested id not found")
        if self._accounts.session(sid, address=address) is None or not photo.albums:
            return web.Response(status=401, text="Access denied")
        return await self._file(request, self.gallery.contents.get(photo.path))

    async def _file(self, request: web.Request, content: Content | None) -> web.StreamResponse:
        """Return a file; faults of the method `download` affect it."""
        if content is None or not content.kept:
            return web.Response(status=404, text="Requested file not found")
        self.downloads += 1
        data = await asyncio.to_thread(content.read)
        return await self._front.file(request, data, mime=content.picture.mime)
