"""How PHP and Piwigo convert strings and numbers, and the ways in which a call ends."""

import html
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

PLAIN = "text/plain; charset=utf-8"
PAGE = "text/html; charset=UTF-8"
_TAG = re.compile(
    r"""<(?!\s)(?:/?([a-zA-Z!][a-zA-Z0-9]*))?(?:"[^"]*"|'[^']*'|[^>"'])*(?:>|$)""", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response; a cookie without a value is deleted."""

    status: int
    content_type: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WithStatus:
    """A result that is sent as ok with another HTTP status, as one case of setInfo is."""

    result: object
    status: int


class Refusal(Exception):
    """PwgError: `stat` fail with a number, which is also the HTTP status if from 400 to 599."""

    def __init__(self, err: int, message: str) -> None:
        super().__init__(message)
        self.err = err
        self.message = message


class Died(Exception):
    """PHP's die(): bare text with status 200."""


class FatalError(Exception):
    """PHP's fatal error, mostly an SQL statement that failed."""


def succeed(result: object) -> Answer:
    """Return the answer for a result."""
    if isinstance(result, WithStatus):
        return replace(succeed(result.result), status=result.status)
    return Answer(200, PLAIN, encode_json({"stat": "ok", "result": result}))


def fail(error: Refusal | Died | FatalError, *, show_errors: bool) -> Answer:
    """Return the answer for an error; with `show_errors`, PHP displays its messages."""
    if isinstance(error, Refusal):
        status = error.err if 400 <= error.err <= 599 else 200
        body = {"stat": "fail", "err": error.err, "message": error.message}
        return Answer(status, PLAIN, encode_json(body))
    if isinstance(error, Died):
        return Answer(200, PAGE, str(error))
    if show_errors:
        return Answer(200, PAGE, php_message("Fatal error", f"Uncaught {error}"))
    return Answer(500, PAGE, "")


def php_message(kind: str, text: str) -> str:
    """Return what PHP puts in front of an answer where its messages are displayed."""
    where = "in <b>/var/www/piwigo/ws.php</b> on line <b>1</b>"
    return f"<br />\n<b>{kind}</b>:  {text} {where}<br />\n"


def encode_json(value: object) -> str:
    """Encode as PHP's json_encode does: compact, ASCII, slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


def entities(text: str) -> str:
    """Escape as htmlspecialchars does, with PHP's spelling of the apostrophe."""
    return html.escape(text).replace("&#x27;", "&#039;")


def backslashes(text: str) -> str:
    """Escape as for the database, which Piwigo does twice to some names."""
    return re.sub(r"(['\"\\])", r"\\\1", text)


def strip_tags(text: str, *, keep: tuple[str, ...] = ()) -> str:
    """Remove HTML tags except those to keep; as in PHP, a tag may lack its end."""
    return _TAG.sub(lambda m: m[0] if m[1] and m[1].lower() in keep else "", text)


def title(file: str) -> str:
    """Return the title that Piwigo makes from a file name."""
    return (file.rpartition(".")[0] if "." in file else file).replace("_", " ")


def url_name(name: str) -> str:
    """Return the name of a tag as Piwigo writes it in addresses."""
    letters = unicodedata.normalize("NFKD", name).lower()
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    text = re.sub(r"[^\x80-\uffffa-z0-9_\s':/\[\],-]", "", plain)
    return re.sub(r"[\s':/\[\],-]+", " ", text.strip()).replace(" ", "_")


def extension(file: str) -> str:
    """Return the part after the last dot, in lower case."""
    return file.rpartition(".")[2].lower() if "." in file else ""


def number(text: str | None) -> int:
    """Return the leading integer or 0, as intval does."""
    found = re.match(r"\s*[+-]?\d+", text or "")
    return int(found[0]) if found else 0


def ids(value: object) -> list[int]:
    """Return the positive ids of a list, or of a string separated by spaces, `,`, `;` or `|`."""
    texts = value if isinstance(value, list) else re.split(r"[\s,;|]", str(value or ""))
    return [n for n in map(number, map(str, texts)) if n > 0]


def now() -> str:
    """Return the date and time as the database writes them."""
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ005 - the server's own time
