"""Calls of the web API: what PHP sees of a request, parameters, checks, and dispatch."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from bulkup.sandbox.accounts import GUEST, Accounts, User
from bulkup.sandbox.faults import Fault
from bulkup.sandbox.gallery import Gallery
from bulkup.sandbox.php import (
    PAGE,
    Answer,
    Died,
    FatalError,
    Refusal,
    fail,
    php_message,
    succeed,
)
from bulkup.sandbox.versions import Release
from bulkup.sandbox.workers import UserCaches, Workers

Fields = dict[str, str | list[str]]
_UPLOADS = {"pwg.images.upload", "pwg.images.uploadAsync"}
_CHANGES_PHOTOS = {
    "pwg.images.add",
    "pwg.images.delete",
    "pwg.images.setCategory",
    "pwg.images.setInfo",
    "pwg.images.uploadAsync",
    "pwg.images.uploadCompleted",
}
_ADMIN_PAGE = "/admin.php?page="
NOISE = php_message("Warning", "Undefined variable $sandbox")
# Piwigo 13 on PHP 8.2 puts this before every answer.
_NOISE_OF_13 = "".join(
    php_message(
        "Deprecated",
        f"Creation of dynamic property Smarty_Internal_Extension_Handler::${name} is deprecated",
    )
    for name in ("registerPlugin", "registerFilter", "append", "getTemplateVars")
)


@dataclass(slots=True)
class Part:
    """A file part of a form; one over the size limit has no content."""

    filename: str
    data: bytes = b""
    too_large: bool = False


@dataclass(slots=True)
class Incoming:
    """What PHP sees of a request: its client, session id, API key, fields and files."""

    address: str
    host: str
    sid: str
    key: str
    agent: str
    referer: str
    query: Fields
    post: Fields = field(default_factory=dict)
    files: dict[str, Part] = field(default_factory=dict)
    body: bytes = b""

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.text("method")

    def text(self, name: str) -> str:
        """Return a field as text; empty when absent or a list."""
        value = self.post.get(name, self.query.get(name))
        return value if isinstance(value, str) else ""


_TRUE = {"1", "true", "on", "yes"}
_FALSE = {"0", "false", "off", "no", ""}
_WHOLE = re.compile(r"\s*([+-]?(?:0|[1-9]\d*))\s*")


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a method. With `array` it may be a list, with `force` it is made one."""

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


@dataclass
class Call:
    """A call of a method, and what the method may use."""

    backend: "Backend"
    incoming: Incoming
    user: User
    sid: str
    connected_with: str | None
    fault: Fault | None
    by_key: bool = False
    html: bool = True
    real_user: User | None = None
    params: dict[str, object] = field(default_factory=dict)
    cookies: dict[str, str | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gallery = self.backend.gallery
        self.accounts = self.backend.accounts
        self.workers = self.backend.workers
        self.release = self.backend.release
        self.base = f"http://{self.incoming.host}{self.backend.path}"

    @property
    def level(self) -> int:
        """The highest privacy level that the user sees, whatever the Community plugin pretends."""
        return 8 if (self.real_user or self.user).is_admin else 0

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
        """Return a list of ids; empty when absent."""
        value = self.params.get(name)
        return [v for v in value if isinstance(v, int)] if isinstance(value, list) else []

    async def finish(self) -> None:
        """Do what Piwigo does after storing a photo; a fault may make it slow."""
        await self.workers.finish()
        if self.fault and self.fault.kind == "slow":
            await asyncio.sleep(self.fault.slow_s)

    def keeps_html(self) -> bool:
        """Return whether texts may contain HTML: from Piwigo 14 on, if the token is given.

        Raises `Refusal` for a wrong one.
        """
        if self.release.major < 14 or self.params.get("pwg_token") is None:
            return False
        self.check_token()
        return self.backend.html and self.html

    def check_token(self) -> None:
        """Raise `Refusal` for a token of another session; an API key needs no token."""
        if not self.by_key and self.params.get("pwg_token") != self.accounts.token(self.sid):
            raise Refusal(403, "Invalid security token")

    def log_in(self, name: str, password: str, *, by: str) -> None:
        """Open a new session in place of the caller's. Raises `Refusal`."""
        accounts, address = self.accounts, self.incoming.address
        sid = accounts.log_in(name, password, old_sid=self.sid, address=address, by=by)
        if sid is None:
            raise Refusal(999, "Invalid username/password")
        self.cookies |= {"pwg_remember": None, "pwg_id": sid}
        self.sid = sid
        if session := accounts.session(sid, address=address):
            self.user, self.connected_with = session.user, session.connected_with


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
    """Check types and presence as Piwigo does, in the order of the method's parameters."""
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


class Plugin(Protocol):
    """A plugin that changes what users may call and what is stored."""

    names: Sequence[str]

    def enter(self, call: Call, incoming: Incoming) -> Method | None:
        """Change a call before its method is looked up; return a method to take instead."""

    def leave(self, call: Call, incoming: Incoming, result: object) -> None:
        """Change what was stored, once the answer is sent. Raises `FatalError`."""


@dataclass(frozen=True, slots=True)
class Backend:
    """PHP with one gallery; runs calls, each in a worker.

    `only` holds the names of the methods offered, None for those of the release.
    """

    gallery: Gallery
    accounts: Accounts
    workers: Workers
    user_caches: UserCaches
    methods: Mapping[str, Method]
    path: str
    only: set[str] | None
    chunk_kb: int
    html: bool
    exist_cost_s: float
    php_noise: bool
    show_errors: bool
    plugin: Plugin | None = None
    map_plugin: Literal["", "old", "new"] = ""

    @property
    def release(self) -> Release:
        """The version of Piwigo."""
        return self.gallery.release

    async def identify(self, form: Mapping[str, object], incoming: Incoming) -> Answer:
        """Serve the HTML login page, whose sessions alone may create API keys."""
        call = self._call(incoming, fault=None)
        answer = Answer(200, PAGE, "Identification")
        if form:
            try:
                call.log_in(str(form.get("username")), str(form.get("password")), by="pwg_ui")
                answer = Answer(302, PAGE, "", {"Location": self.path})
            except Refusal as refusal:
                answer = Answer(200, PAGE, refusal.message)
        return replace(answer, cookies=call.cookies)

    async def call(self, incoming: Incoming, *, fault: Fault | None) -> Answer:
        """Run one call of ws.php."""
        async with self.workers.one():
            call = self._call(incoming, fault=fault)
            try:
                result = await self._invoke(call, incoming)
                answer = succeed(result)
            except (Refusal, Died, FatalError) as error:
                result, answer = error, fail(error, show_errors=self.show_errors)
            if self.plugin and not isinstance(result, Died | FatalError):
                try:
                    self.plugin.leave(call, incoming, result)
                except FatalError as error:  # after the answer
                    after = fail(error, show_errors=True).text if self.show_errors else ""
                    answer = replace(answer, text=answer.text + after)
            return replace(self._with_messages(answer, call), cookies=call.cookies)

    def _with_messages(self, answer: Answer, call: Call) -> Answer:
        """Put PHP's messages in front of the answer if the host displays them."""
        noise = ""
        if self.php_noise or (self.show_errors and self.release.major < 14):
            noise = _NOISE_OF_13 if self.release.major < 14 else NOISE
        if self.show_errors:
            noise += "".join(php_message("Warning", text) for text in call.warnings)
        return replace(answer, text=noise + answer.text) if answer.text else answer

    def _call(self, incoming: Incoming, *, fault: Fault | None) -> Call:
        address, sid = incoming.address, incoming.sid
        if fault and fault.kind == "expired-session":
            self.accounts.log_out(sid, address=address)
        cookies: dict[str, str | None] = {}
        if not sid:
            sid = cookies["pwg_id"] = self.accounts.new_sid()
        session = self.accounts.session(sid, address=address)
        user, by = (session.user, session.connected_with) if session else (GUEST, None)
        return Call(self, incoming, user, sid, connected_with=by, fault=fault, cookies=cookies)

    async def _invoke(self, call: Call, incoming: Incoming) -> object:
        """Do the checks of every call in Piwigo's order, then run the method."""
        if incoming.key and incoming.method and call.release.major >= 16:
            found = call.accounts.key(incoming.key)
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
            call.log_in(name, password, by=incoming.method)
        if not (self.release.caches_users and _ADMIN_PAGE in incoming.referer):
            await self.user_caches.load(call.user.name)
        if incoming.method not in _UPLOADS and call.gallery.lounge_is_due():
            await call.gallery.empty_lounge()
        if not incoming.method:
            raise Refusal(501, 'Missing "method" name')
        if incoming.query.get("format") != "json":
            raise Refusal(501, "This sandbox answers format=json in the address only")
        method = self.methods.get(incoming.method)
        if self.plugin:
            method = self.plugin.enter(call, incoming) or method
        if method is None:
            raise Refusal(501, "Method name is not valid")
        if method.post and not incoming.post:
            raise Refusal(405, "This method requires HTTP POST")
        if (method.admin and not call.user.is_admin) or (method.no_key and call.by_key):
            raise Refusal(401, "Access denied")
        call.params = check_params(method.params, given=incoming.post or incoming.query)
        result = await method.run(call)
        partly_sent = isinstance(result, dict) and "message" in result
        if incoming.method in _CHANGES_PHOTOS and not partly_sent:
            self.user_caches.invalidate()
        return result
