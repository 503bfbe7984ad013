"""Compares an answer with a recorded one: placeholders are bound, all else must be equal.

It knows the placeholders of the transcripts, and must not know HTTP or any server.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PLACEHOLDER = re.compile(
    r"<(int )?(token:\w+|(?:album|photo|tag|user)\d+|sid|pkid|secret|base|datetime|date"
    r"|long date|stamp|day|comment key)>"
)
# What each may stand for; those with a number, and the keys, keep their value in one replay.
_SHAPES = {
    **dict.fromkeys(("album", "photo", "tag", "user"), r"\d+"),
    "token": r"[0-9a-f]{32}",
    "pkid": r"pkid-\d{8}-[A-Za-z0-9]{20}",
    "secret": r"[A-Za-z0-9]{40}",
    "base": r"https?:(?:\\?/){2}[^/\\]+",
    "datetime": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "date": r"\d{4}-\d\d-\d\d",
    "long date": r"(\w+ \d{1,2},|\d{1,2} \w+) \d{4}",
    "stamp": r"(?:\d{4}\\?/\d\d\\?/\d\d\\?/)?\d{14}-[0-9a-f]{8}",
    "day": r"\d{4}\\?/\d\d\\?/\d\d",
    "comment key": r"[^<>\"]+",
}
_KEPT = re.compile(r"(?:album|photo|tag|user)\d+|pkid|secret")
# PHP's messages name files and lines of one host: what kind they are is compared.
_PHP_MESSAGE = re.compile(
    r"<br />\n<b>(Deprecated|Warning|Fatal error)</b>:  .*?<br />\n", re.DOTALL
)


class Bindings:
    """What the placeholders stand for in one replay."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def fill(self, text: str) -> str:
        """Put the values in place of the placeholders of a request."""
        return _PLACEHOLDER.sub(lambda m: self.values.get(m[2], m[0]), text)

    def differences(self, expected: Any, actual: Any, *, where: str = "body") -> list[str]:  # noqa: ANN401
        """Compare two JSON values, types included, and bind what is new."""
        if isinstance(expected, str):
            return self._scalar(expected, actual, where=where)
        if isinstance(expected, dict) and isinstance(actual, dict):
            found = [f"{where}: only recorded: {k}" for k in expected.keys() - actual.keys()]
            found += [f"{where}: not recorded: {k}" for k in actual.keys() - expected.keys()]
            pairs = {self.fill(k): v for k, v in expected.items()}
            for key in expected.keys() & actual.keys():
                found += self.differences(pairs[key], actual[key], where=f"{where}.{key}")
            return found
        if isinstance(expected, list) and isinstance(actual, list):
            if len(expected) != len(actual):
                return [f"{where}: {len(expected)} recorded, {len(actual)} came: {actual}"]
            return [
                line
                for i, (one, other) in enumerate(zip(expected, actual, strict=True))
                for line in self.differences(one, other, where=f"{where}[{i}]")
            ]
        if type(expected) is type(actual) and expected == actual:
            return []
        return [f"{where}: recorded {expected!r}, came {actual!r}"]

    def _scalar(self, expected: str, actual: object, *, where: str) -> list[str]:
        number = expected.startswith("<int ") and _PLACEHOLDER.fullmatch(expected) is not None
        fits = type(actual) is int if number else isinstance(actual, str)
        if fits and self._matches(expected, str(actual)):
            return []
        return [f"{where}: recorded {self.fill(expected)!r}, came {actual!r}"]

    def text_differences(self, expected: str, actual: str) -> list[str]:
        """Compare two bodies that are not JSON as a whole."""
        recorded, came = (_PHP_MESSAGE.sub(r"{\1}", text) for text in (expected, actual))
        return [] if self._matches(recorded, came) else [f"recorded {recorded!r}, came {came!r}"]

    def _matches(self, expected: str, actual: str) -> bool:
        names: list[str] = []
        pattern, at = "", 0
        for found in _PLACEHOLDER.finditer(expected):
            pattern += re.escape(expected[at : found.start()])
            pattern += self._shape(found[2], names)
            at = found.end()
        match = re.fullmatch(pattern + re.escape(expected[at:]), actual, re.DOTALL)
        if match is None:
            return False
        self.values |= {name: match[i] for i, name in enumerate(names, start=1)}
        return True

    def _shape(self, name: str, names: list[str]) -> str:
        if _KEPT.fullmatch(name) and name in self.values:
            return re.escape(self.values[name])
        if name.startswith("token") or _KEPT.fullmatch(name):
            names.append(name)
            return f"({_SHAPES[re.sub(r'[:0-9].*', '', name)]})"
        return _SHAPES[name]


def first_albums(steps: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """List the albums or tags that the topic starts with: requests name them before answers."""
    answered: set[str] = set()
    wanted: list[str] = []
    for step in steps:
        asked = re.findall(rf"<({kind}\d+)>", json.dumps(step.get("request", {})))
        wanted += [name for name in asked if name not in answered and name not in wanted]
        answered |= set(re.findall(rf"<(?:int )?({kind}\d+)>", json.dumps(step.get("response"))))
    return sorted(wanted)


def album_names(steps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Give the names of these albums, as the answers tell them."""
    names: dict[str, str] = {}
    for step in steps:
        body = json.dumps(step.get("response", {}), ensure_ascii=False)
        for text in (body, body.replace('\\"', '"')):
            matches = re.findall(
                r'"id": ?"?<(?:int )?(album\d+)>"?,[^{}]*?"(?:label|name)": ?"([^"]*)"', text
            )
            names = dict(matches) | names
    return names
