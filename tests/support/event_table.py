"""The README's table of events, made from the code.

`python -m tests.support.event_table` renews it.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bulkup.events import NAMES, Event

README = Path(__file__).parents[2] / "README.md"
REGION = re.compile(r"(?<=<!-- events -->\n).*?(?=<!-- end of events -->)", re.DOTALL)
WORDS = {Path: "string", str: "string", int: "integer", float: "number", bool: "true or false"}


def table() -> str:
    """Return the table, a line for each event."""
    lines = ["| `event` | fields | what it says |", "| --- | --- | --- |"]
    lines += [f"| `{NAMES[event]}` | {_fields(event)} | {_words(event)} |" for event in events()]
    return "\n".join(lines) + "\n"


def events() -> Iterator[type[Any]]:
    """Yield the kinds of events, in the order of the code."""
    yield from get_args(Event)


def in_readme() -> str:
    """Return what the README has."""
    found = REGION.search(README.read_text(encoding="utf-8"))
    return found[0] if found else ""


def _fields(event: type[Any]) -> str:
    types = get_type_hints(event)
    told = [f"`{field.name}` {_type(types[field.name])}" for field in fields(event)]
    return "; ".join(told) or "–"


def _type(kind: Any) -> str:  # noqa: ANN401 (whatever stands in an annotation)
    if isinstance(kind, UnionType):
        inner = [_type(each) for each in get_args(kind) if each is not NoneType]
        return " or ".join([*inner, "null"])
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_type(get_args(kind)[0])}s"
    if issubclass(kind, StrEnum):
        return _one_of([each.value for each in kind])
    return WORDS[kind]


def _one_of(values: Iterable[str]) -> str:
    *most, last = (f"`{value}`" for value in values)
    return f"{', '.join(most)} or {last}"


def _words(event: type[Any]) -> str:
    words = " ".join((event.__doc__ or "").split())
    return re.sub(r"\bNone\b", "null", words).replace("|", "\\|")


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(REGION.sub(lambda _: table(), text), encoding="utf-8")
    sys.exit(0 if in_readme() == table() else "the README has no region for the events")
