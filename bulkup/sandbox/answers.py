"""How a call can end, and the text that goes over the wire for each end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bulkup.sandbox import php

PLAIN = "text/plain; charset=utf-8"
PAGE = "text/html; charset=UTF-8"
_ROOT = "/var/www/piwigo"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server sends."""

    status: int
    content_type: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WithStatus:
    """A result that is sent as ok under another HTTP status, as one case of setInfo is."""

    result: object
    status: int


class Refusal(Exception):
    """PwgError: stat fail with a number, which from 400 to 599 is the HTTP status too."""

    def __init__(self, err: int, message: str) -> None:
        super().__init__(message)
        self.err = err
        self.message = message


class Died(Exception):
    """PHP's die(): bare text with status 200."""


class FatalError(Exception):
    """PHP's fatal error, mostly an SQL statement that failed."""


def succeed(result: object) -> Answer:
    """Wrap a result."""
    if isinstance(result, WithStatus):
        return replace(succeed(result.result), status=result.status)
    return Answer(200, PLAIN, php.encode_json({"stat": "ok", "result": result}))


def fail(error: Refusal | Died | FatalError, *, show_errors: bool) -> Answer:
    """Say how it ended, in the way that the kind of end has."""
    if isinstance(error, Refusal):
        status = error.err if 400 <= error.err <= 599 else 200
        body = {"stat": "fail", "err": error.err, "message": error.message}
        return Answer(status, PLAIN, php.encode_json(body))
    if isinstance(error, Died):
        return Answer(200, PAGE, str(error))
    if show_errors:
        return Answer(200, PAGE, php_message("Fatal error", f"Uncaught {error}"))
    return Answer(500, PAGE, "")


def web_server_page(status: int, reason: str) -> Answer:
    """Write the page of an nginx that answers itself."""
    title = f"{status} {reason}"
    return Answer(
        status,
        "text/html",
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n"
        "</body>\r\n</html>\r\n",
    )


def php_message(kind: str, text: str) -> str:
    """Write what PHP puts in front of an answer when its messages are displayed."""
    return f"<br />\n<b>{kind}</b>:  {text} in <b>{_ROOT}/ws.php</b> on line <b>1</b><br />\n"
