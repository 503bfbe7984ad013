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

    `name` is the language's own name, `code` its ISO code.
    """

    def __init__(self, code: str, table: Mapping[str, object]) -> None:
        self.code = code
        self.by_key = dict(_flat(table))
        self.name = self.by_key["language.name"]
        marks = (self.by_key["language.thousands"], self.by_key["language.decimal"])
        self._marks = str.maketrans(dict(zip(",.", marks, strict=True)))
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
    found = {
        file.name.removesuffix(".toml"): file
        for file in (files("bulkup.gui") / "texts").iterdir()
        if file.name.endswith(".toml")
    }
    return {
        code: Texts(code, tomllib.loads(found[code].read_text(encoding="utf-8")))
        for code in sorted(found, key=lambda code: (code != FALLBACK, code))
    }


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
