"""What PHP and Piwigo do to text and numbers on their way in and out."""

import html
import json
import re
from datetime import datetime

_TAG = re.compile(
    r"""<(?!\s)(?:/?([a-zA-Z!][a-zA-Z0-9]*))?(?:"[^"]*"|'[^']*'|[^>"'])*(?:>|$)""", re.ASCII
)


def encode_json(value: object) -> str:
    """Encode as PHP's json_encode does: compact, ASCII, slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


def entities(text: str) -> str:
    """htmlspecialchars, with PHP's spelling of the apostrophe."""
    return html.escape(text).replace("&#x27;", "&#039;")


def backslashes(text: str) -> str:
    """Escape as for a database, which Piwigo does once too often to some names."""
    return re.sub(r"(['\"\\])", r"\\\1", text)


def strip_tags(text: str, *, keep: tuple[str, ...] = ()) -> str:
    """Remove HTML tags, but not those to keep; what looks like one may have no end."""
    return _TAG.sub(lambda m: m[0] if m[1] and m[1].lower() in keep else "", text)


def title(file: str) -> str:
    """Give the name that Piwigo makes from a file name."""
    return (file.rpartition(".")[0] if "." in file else file).replace("_", " ")


def extension(file: str) -> str:
    """Give what stands behind the last dot, in small letters."""
    return file.rpartition(".")[2].lower() if "." in file else ""


def number(text: str | None) -> int:
    """intval: the digits in front, or 0."""
    found = re.match(r"\s*[+-]?\d+", text or "")
    return int(found[0]) if found else 0


def ids(value: object) -> list[int]:
    """Positive ids out of a list, or of a text with blanks, commas, semicolons or bars."""
    texts = value if isinstance(value, list) else re.split(r"[\s,;|]", str(value or ""))
    return [n for n in map(number, map(str, texts)) if n > 0]


def now() -> str:
    """Give the date and time as a database writes them."""
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ005 - the server's own time
