"""Pure: what a request holds, and what an answer means; one function judges every answer.

Knows Piwigo's calling convention and its failures (piwigo-api.md, sections 1, 5 and 6), and
neither sockets nor files. HTTP status and meaning do not go together here: an answer is judged by
its content first.
"""

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Final

from bulkup.errors import (
    BulkupError,
    Damaged,
    Died,
    FormatRefused,
    FormatsOff,
    Lost,
    Mangled,
    NotOffered,
    Outage,
    Overrun,
    PhotoError,
    PhotoGone,
    Refused,
    RunError,
    SessionLost,
    TooLarge,
)
from bulkup.failures import answers, gallery, stops
from bulkup.photos import Chunk
from bulkup.piwigo.results import number

Fields = tuple[tuple[str, str], ...]

ANSWER_LIMIT: Final = 64 * 1024 * 1024
"""An answer is read up to this many bytes; a list of all albums may take some of them."""

TWO_FACTOR: Final = re.compile(r"identification\.php\?tf\b")
"""Where Piwigo's plugin for two-factor log-in sends who has shown the right password."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a method: its fields, and the part of a photo that goes with it, if any.

    `summed` asks for the field `chunk_sum`, the MD5 of the bytes that really went out, `encoded`
    for the bytes in base64 in a field `data` instead of the file part, and `token` for the field
    `pwg_token` of the session that carries the request.
    """

    method: str
    fields: Fields = ()
    chunk: Chunk | None = None
    summed: bool = False
    encoded: bool = False
    token: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `body` is cut at `ANSWER_LIMIT`, `retry_after_s` in seconds."""

    status: int
    body: bytes
    location: str = ""
    retry_after_s: float | None = None


def interpret(answer: Answer) -> object:
    """Return the answer's result, or raise the error that it means.

    Raises `Transient` errors where another try may help, `NotOffered` where the server does not
    know the method, `PhotoError` where it refuses this photo or this request for good, and
    `RunError` where it will refuse everything.
    """
    text = answer.body.decode("utf-8", "replace")
    document = _json(text)
    match document:
        case {"stat": "ok"} if answer.status < 400:
            return document.get("result")
        case {"stat": "ok"}:
            # setInfo with an unknown album: everything else of the call was stored
            raise PhotoError(answers.IN_PART(status=answer.status))
        case {"stat": "fail"}:
            raise _refusal(number(document.get("err")), str(document.get("message", "")))
        case {"error": {"code": code, "message": message}}:
            raise _buffer_error(number(code), str(message))
    raise _not_json(answer, text)


def _json(text: str) -> dict[str, object]:
    """Return Piwigo's JSON object, which PHP's messages may surround; empty if there is none."""
    start = max(text.rfind('{"stat":'), text.rfind('{"jsonrpc"'), 0)
    try:
        document, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(number: int, message: str) -> BulkupError:
    """Return the error that Piwigo's own number and words stand for."""
    said = message or number
    lower = message.lower()
    match number:
        case 401 if lower == "invalid api_key":
            return RunError(stops.API_KEY())
        case 401 if lower == "access denied":
            return SessionLost(answers.SESSION_LOST(said=said))
        case 401 if lower == "formats are disabled":
            return FormatsOff(gallery.FORMATS_OFF())
        case 401 if lower.startswith("unexpected format extension"):
            taken = re.sub(r'.*".*"', "", message, flags=re.DOTALL)
            listed = re.fullmatch(r" \(authorized extensions: (.+)\)", taken)
            return FormatRefused(
                gallery.FORMAT_REFUSED(said=taken),
                endings=frozenset(listed[1].split(", ") if listed else ()),
            )
        case 403 if "token" in lower:
            return SessionLost(answers.SESSION_LOST(said=said))
        case 404 if lower == "image_id not found":
            return PhotoGone(answers.PHOTO_GONE(said=said))
        case 405 if "post" in lower:
            return TooLarge(answers.POST_LIMIT())
        case 501 if '"method"' in lower:
            return TooLarge(answers.POST_LIMIT())
        case 501:
            return NotOffered(answers.UNKNOWN_METHOD(said=said))
        case 415:
            return Damaged(answers.TYPE_REFUSED(said=said))
        case 500 if "chunk file mismatched" in lower:
            return Mangled(answers.CHUNK_DAMAGED())
        case 500 if "merged file mismatched" in lower:
            return Damaged(answers.PHOTO_DAMAGED())
        case 500 if "upload_max_filesize" in lower:
            return TooLarge(answers.FILE_LIMIT())
        case 500 if lower.startswith("error while"):
            return Lost(answers.MERGE_FAILED(said=said))
        case 500 if lower.startswith("error during buffer directory"):
            return RunError(stops.BUFFER_FOLDER(said=said))
        case 500 if lower == "file already exists":
            return Damaged(
                answers.KNOWN(said=said)
            )  # images.add: ask by MD5, else again without that check
        case 429:
            return Overrun(answers.TOO_MANY(said=said))
        case 408 | 503:
            return Refused(answers.BUSY(said=said))
    return PhotoError(answers.REFUSED(said=said))


def _buffer_error(code: int, message: str) -> BulkupError:
    """Return what the `jsonrpc` answer of `pwg.images.upload` means."""
    if code == 103:
        return TooLarge(answers.CHUNK_REFUSED(said=message.rstrip(".")))
    return RunError(stops.BUFFER(said=message.rstrip(".")))


def plain(text: str) -> str:
    """Return the text without PHP's messages in front and without HTML, on one line.

    Where there is nothing else, the words of a fatal error stay.
    """
    rest = re.sub(r"^(?:\s*<br />\s*<b>.*?</b>.*?<br />)+\s*", "", text, flags=re.DOTALL)
    text = rest or text.rpartition("<b>Fatal error</b>:")[2]
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def _not_json(answer: Answer, text: str) -> BulkupError:
    """Return what an answer outside Piwigo's format means, by its words, then by its status."""
    words = plain(text[:10_000])
    if words.startswith(("forbidden file type", "unexpected file type")):
        return Damaged(answers.TYPE_REFUSED(said=words[:100]))
    if words.startswith("[add_uploaded_file]"):
        return PhotoError(answers.NOT_IMAGE(said=words[:200]))
    said = f"HTTP {answer.status}" + (f", “{words[:80]}”" if words else ", nothing said")
    if (answer.status == 500 and not words) or "<b>Fatal error</b>" in text[:10_000]:
        return Died(answers.PHP_DIED(said=said))
    return _by_status(answer, said)


def _by_status(answer: Answer, said: str) -> BulkupError:
    match answer.status:
        case 300 | 301 | 302 | 303 | 307 | 308:
            if TWO_FACTOR.search(answer.location):
                return RunError(stops.TWO_FACTOR())
            return RunError(stops.REDIRECT(target=answer.location or "nowhere"))
        case 401:
            return RunError(stops.WEB_PASSWORD())
        case 411:
            return RunError(stops.STREAMED(said=said))
        case 413 | 414:
            return TooLarge(answers.WEB_LIMIT(status=answer.status))
        case 429:
            return Overrun(answers.TOO_MANY(said=said), retry_after_s=answer.retry_after_s)
        case 403 | 408 | 425:
            return Refused(answers.HELD_OFF(said=said), retry_after_s=answer.retry_after_s)
        case 404 | 410:
            return Outage(answers.NO_WS(said=said), retry_after_s=answer.retry_after_s)
        case 502 | 503 | 504 | 520 | 521 | 522 | 523 | 524 | 530:
            return Outage(answers.AWAY(said=said), retry_after_s=answer.retry_after_s)
    return Lost(answers.STRANGE(said=said))
