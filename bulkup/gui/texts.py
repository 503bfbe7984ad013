"""The words of the pages in each language, from one TOML file a language."""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from bulkup.output.text import size_text

FALLBACK: Final = "en"
COOKIE: Final = "bulkup_language"


class Texts:
    """The words of one language: `texts("gallery.title")`, with values for its placeholders.

    `name` is the language's own name, `code` its ISO code. What the language lacks is taken from
    the `fallback`, if there is one.
    """

    def __init__(
        self, code: str, table: Mapping[str, object], fallback: "Texts | None" = None
    ) -> None:
        self.code = code
        self.by_key: dict[str, str] = {} if fallback is None else dict(fallback.by_key)
        self.by_key.update(_flat(table))
        self.name = self.by_key["language.name"]
        marks = [self.by_key[f"language.{mark}"] for mark in ("thousands", "decimal", "byte")]
        self._marks = str.maketrans(dict(zip(",.B", marks, strict=True)))
        self._one_below = int(self.by_key["language.one_below"])

    def __call__(self, key: str, **values: object) -> str:
        """Return a text. Counts among the values are written as in the language."""
        return self.by_key[key].format_map(
            {name: self.number(v) if isinstance(v, int) else v for name, v in values.items()}
        )

    def count(self, key: str, count: int, **values: object) -> str:
        """Return the text `key.one` or `key.many`, with the `count`."""
        form = "one" if 0 < count < 2 or count < self._one_below else "many"
        return self(f"{key}.{form}", count=count, **values)

    def number(self, number: int) -> str:
        """Return a number with its thousands separated."""
        return f"{number:,}".translate(self._marks)

    def size(self, size: float) -> str:
        """Return a size in bytes: 1.23 MB."""
        return size_text(size).translate(self._marks)


def _flat(table: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    pairs = []
    for key, value in table.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", str(value)))
    return pairs


def read_languages() -> dict[str, Texts]:
    """Return the texts of all languages by their codes, the fallback first."""
    tables = {
        file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8"))
        for file in (files("bulkup.gui") / "texts").iterdir()
        if file.name.endswith(".toml")
    }
    fallback = Texts(FALLBACK, tables.pop(FALLBACK))
    others = {code: Texts(code, tables[code], fallback) for code in sorted(tables)}
    return {FALLBACK: fallback, **others}


def choose(languages: Mapping[str, Texts], *, cookie: str, accepted: str) -> Texts:
    """Return the texts of the language in the cookie, or else of the best accepted one."""
    ranked = sorted(
        re.findall(r"([a-zA-Z]{2,3})(?:-[\w-]+)?\s*(?:;\s*q=([\d.]+))?", accepted),
        key=lambda pair: -float(pair[1].strip(".") or 1) if pair[1].count(".") < 2 else 0.0,
    )
    for code in (cookie, *(code.lower() for code, _ in ranked), FALLBACK):
        if code in languages:
            return languages[code]
    raise LookupError(FALLBACK)
