"""What a method is, what it is given, and the checks before it runs.

It knows Piwigo's parameter types and their messages, and must not know any single method.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bulkup.sandbox.accounts import Accounts, User
from bulkup.sandbox.answers import Refusal
from bulkup.sandbox.faults import Fault
from bulkup.sandbox.gallery import Gallery
from bulkup.sandbox.incoming import Fields, Part
from bulkup.sandbox.versions import Release
from bulkup.sandbox.workers import Workers

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
