"""Answers requests: the front page and the web API, with faults and worker limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape, unescape

from bulkup.sandbox.accounts import GUEST, Accounts
from bulkup.sandbox.answers import Answer, Died, FatalError, Refusal, fail, php_message, succeed
from bulkup.sandbox.call import Call, Incoming, Method, check_params
from bulkup.sandbox.faults import Fault
from bulkup.sandbox.gallery import Album, Gallery, StoredPhoto
from bulkup.sandbox.methods.session import log_in
from bulkup.sandbox.versions import Release
from bulkup.sandbox.workers import Workers

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
    """Write the whole page; `path` is where the gallery lies."""
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
        f"plays Piwigo {escape(gallery.release.version)}</p>\n{''.join(sections)}</body></html>\n"
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
        # File names were stored with entities; shown are the characters.
        name = escape(unescape(photo.file))
        link = escape(path + photo.path)
        picture = f'<img src="{link}" alt="{name}" loading="lazy">'
        size = f"{photo.size:,} bytes"
        items.append(f'<li><a href="{link}">{picture}</a><br>{name}<br><small>{size}</small></li>')
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _photos(count: int) -> str:
    return f"{count} photo{'s' * (count != 1)}"


_UPLOADS = {"pwg.images.upload", "pwg.images.uploadAsync"}
_HTML = "text/html; charset=utf-8"
NOISE = php_message("Warning", "Undefined variable $sandbox")
# What 13 says on PHP 8.2 before every answer.
_NOISE_OF_13 = "".join(
    php_message(
        "Deprecated",
        f"Creation of dynamic property Smarty_Internal_Extension_Handler::${name} is deprecated",
    )
    for name in ("registerPlugin", "registerFilter", "append", "getTemplateVars")
)


@dataclass(frozen=True, slots=True)
class Options:
    """How this gallery's owner and host have set it up."""

    only: set[str] | None
    chunk_kb: int
    html: bool
    exist_cost_s: float
    php_noise: bool
    show_errors: bool
    path: str


@dataclass(frozen=True, slots=True)
class Caller:
    """What the web server tells PHP of a request beside its fields."""

    address: str
    host: str
    sid: str
    key: str
    agent: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What PHP gives back to the web server."""

    answer: Answer
    cookies: Mapping[str, str | None] = field(default_factory=dict)


class Backend:
    """Runs calls, each in a worker."""

    def __init__(
        self,
        release: Release,
        *,
        gallery: Gallery,
        accounts: Accounts,
        workers: Workers,
        methods: Mapping[str, Method],
        options: Options,
    ) -> None:
        self._release = release
        self._gallery = gallery
        self._accounts = accounts
        self._workers = workers
        self._methods = methods
        self._options = options

    async def front_page(self) -> Sent:
        """Make the page to look at, which takes its turn as any request."""
        async with self._workers.one():
            await self._workers.page()
            page = front_page(self._gallery, path=self._options.path)
            return Sent(Answer(200, _HTML, page))

    async def identify(self, form: Mapping[str, object], caller: Caller) -> Sent:
        """Serve the login page of the browser, whose sessions alone may make API keys."""
        call = self._call(Incoming(query={}), caller, fault=None)
        answer = Answer(200, _HTML, "Identification")
        if form:
            name, password = str(form.get("username")), str(form.get("password"))
            try:
                log_in(call, name, password, by="pwg_ui")
                answer = Answer(302, _HTML, "", {"Location": self._options.path})
            except Refusal as refusal:
                answer = Answer(200, _HTML, refusal.message)
        return Sent(answer, call.cookies)

    async def call(self, incoming: Incoming, caller: Caller, *, fault: Fault | None) -> Sent:
        """Run one call of ws.php."""
        async with self._workers.one():
            call = self._call(incoming, caller, fault=fault)
            try:
                answer = succeed(await self._invoke(call, incoming, caller))
            except (Refusal, Died, FatalError) as error:
                answer = fail(error, show_errors=self._options.show_errors)
            return Sent(self._with_messages(answer, call), call.cookies)

    def _with_messages(self, answer: Answer, call: Call) -> Answer:
        """Put PHP's messages in front, where the host displays them."""
        options, noise = self._options, ""
        if options.php_noise or (options.show_errors and self._release.major < 14):
            noise = _NOISE_OF_13 if self._release.major < 14 else NOISE
        if options.show_errors:
            noise += "".join(php_message("Warning", text) for text in call.warnings)
        return replace(answer, text=noise + answer.text) if answer.text else answer

    def _call(self, incoming: Incoming, caller: Caller, *, fault: Fault | None) -> Call:
        sid = caller.sid
        if fault and fault.kind == "expired-session":
            self._accounts.log_out(sid, address=caller.address)
        cookies: dict[str, str | None] = {}
        if not sid:
            sid = self._accounts.new_sid()
            cookies["pwg_id"] = sid
        session = self._accounts.session(sid, address=caller.address)
        return Call(
            release=self._release,
            gallery=self._gallery,
            accounts=self._accounts,
            workers=self._workers,
            methods=self._methods,
            only=self._options.only,
            chunk_kb=self._options.chunk_kb,
            html=self._options.html,
            exist_cost_s=self._options.exist_cost_s,
            base=f"http://{caller.host}{self._options.path}",
            address=caller.address,
            user=session.user if session else GUEST,
            sid=sid,
            connected_with=session.connected_with if session else None,
            agent=caller.agent,
            request=incoming.query | incoming.post,
            files=incoming.files,
            body=incoming.body,
            fault=fault,
            cookies=cookies,
        )

    async def _invoke(self, call: Call, incoming: Incoming, caller: Caller) -> object:
        """Do the checks of every call in Piwigo's order, then call the method."""
        if caller.key and incoming.method and self._release.major >= 16:
            found = self._accounts.key(caller.key)
            if found is None:
                raise Refusal(401, "Invalid api_key")
            call.by_key, call.user, call.connected_with = True, found.user, "api_key"
            incoming.post["pwg_token"] = incoming.query["pwg_token"] = "of the key"  # noqa: S105
        name, password = incoming.post.get("username"), incoming.post.get("password")
        if (
            incoming.method == "pwg.images.uploadAsync"
            and isinstance(name, str)
            and isinstance(password, str)
        ):
            log_in(call, name, password, by=incoming.method)
        if incoming.method not in _UPLOADS and self._gallery.lounge_is_due():
            await self._gallery.empty_lounge()
        if not incoming.method:
            raise Refusal(501, 'Missing "method" name')
        if incoming.query.get("format") != "json":
            raise Refusal(501, "This sandbox answers format=json in the address only")
        method = self._methods.get(incoming.method)
        if method is None:
            raise Refusal(501, "Method name is not valid")
        if method.post and not incoming.post:
            raise Refusal(405, "This method requires HTTP POST")
        if (method.admin and not call.user.is_admin) or (method.no_key and call.by_key):
            raise Refusal(401, "Access denied")
        call.params = check_params(method.params, given=incoming.post or incoming.query)
        return await method.run(call)
