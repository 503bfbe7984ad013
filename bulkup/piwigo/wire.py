"""Pure: what a request holds, and what an answer means; one function judges every answer.

Knows Piwigo's calling convention and its failures (piwigo-api.md, sections 1, 5 and 6), and
neither sockets nor files. HTTP status and meaning do not go together here: an answer is judged by
its content first.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from html import unescape
from typing import Final

from bulkup.errors import (
    BulkupError,
    Damaged,
    Lost,
    Mangled,
    NotOffered,
    Outage,
    PhotoError,
    Refused,
    RunError,
    SessionLost,
    TooLarge,
    Transient,
)
from bulkup.photos import Chunk

Fields = tuple[tuple[str, str], ...]

ANSWER_LIMIT: Final = 64 * 1024 * 1024
"""An answer is read up to this many bytes; a list of all albums may take some of them."""

KEY_HINT: Final = "Make a new API key on your profile page of the gallery."


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
            raise PhotoError(
                f"the server carried the request out in part only (HTTP {answer.status})",
                hint="Check that the album still exists.",
            )
        case {"stat": "fail"}:
            raise _refusal(_number(document.get("err")), str(document.get("message", "")))
        case {"error": {"code": code, "message": message}}:
            raise _buffer_error(_number(code), str(message))
    raise _not_json(answer, text)


def _json(text: str) -> dict[str, object]:
    """Return Piwigo's JSON object, which PHP's messages may surround; empty if there is none."""
    start = max(text.rfind('{"stat":'), text.rfind('{"jsonrpc"'), 0)
    try:
        document, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _number(value: object) -> int:
    """Return the number of up to nine digits that stands there, as a number or a string, or 0."""
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _refusal(number: int, message: str) -> BulkupError:
    """Return the error that Piwigo's own number and words stand for."""
    words = f"the server refuses: {message or number}"
    lower = message.lower()
    match number:
        case 401 if lower == "invalid api_key":
            return RunError("the server does not accept the API key", hint=KEY_HINT)
        case 401 if lower == "access denied":
            return SessionLost(words)
        case 403 if "token" in lower:
            return SessionLost(words)
        case 405 if "post" in lower:
            return TooLarge("the request is over the server's limit (PHP's post_max_size)")
        case 501 if '"method"' in lower:
            return TooLarge("the request is over the server's limit (PHP's post_max_size)")
        case 501:
            return NotOffered(words)
        case 415:
            return Damaged(words)
        case 500 if "chunk file mismatched" in lower:
            return Mangled("a chunk was damaged on the way, or is over the server's limit")
        case 500 if "merged file mismatched" in lower:
            return Damaged("the photo was damaged on the way: the server's MD5 differs")
        case 500 if lower.startswith("error while"):
            return Lost(words, hint="Is the server's disk full?")
        case 500 if lower.startswith("error during buffer directory"):
            return RunError(words, hint="The server can't write its upload folder.")
        case 500 if lower == "file already exists":
            return Damaged(words)  # images.add: ask by MD5, else again without that check
        case 408 | 429 | 503:
            return Refused(words)
    return PhotoError(words)


def _buffer_error(code: int, message: str) -> BulkupError:
    """Return what the `jsonrpc` answer of `pwg.images.upload` means."""
    if code == 103:
        return TooLarge(f"the server could not take the chunk ({message.rstrip('.')})")
    return RunError(
        f"the server can't keep uploads: {message.rstrip('.')}",
        hint="Its folder upload/buffer must be writable and its disk not full.",
    )


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
        return Damaged(f"the server refuses the file: {words[:100]}")
    if words.startswith("[add_uploaded_file]"):
        return PhotoError(f"the server refuses: {words[:200]}")
    said = f"HTTP {answer.status}" + (f", “{words[:80]}”" if words else ", nothing said")
    return _by_status(answer, said)


def _by_status(answer: Answer, said: str) -> BulkupError:
    match answer.status:
        case 300 | 301 | 302 | 303 | 307 | 308:
            return RunError(
                f"the server redirects to {answer.location or 'nowhere'}",
                hint="Give the address that it redirects to, if you trust it, as --url.",
            )
        case 401:
            return RunError(
                "the web server in front of Piwigo asks for a password of its own (HTTP 401)",
                hint="bulkup can't log in there: let it reach ws.php without that.",
            )
        case 411:
            return RunError(f"the web server refuses streamed requests ({said})")
        case 413 | 414:
            return TooLarge(f"the web server takes only smaller requests ({said})")
        case 403 | 408 | 425 | 429:
            return Refused(
                f"the server, or a firewall before it, asks to wait ({said})",
                retry_after_s=answer.retry_after_s,
            )
        case 404 | 410 | 502 | 503 | 504 | 520 | 521 | 522 | 523 | 524 | 530:
            return Outage(f"the server is away ({said})", retry_after_s=answer.retry_after_s)
    return _unclear(said)


def _unclear(said: str) -> Transient:
    return Lost(f"the server's answer is none of Piwigo's ({said})")


@dataclass(frozen=True, slots=True)
class Status:
    """What `pwg.session.getStatus` tells; `chunk_size` in bytes, `endings` in lower case.

    None, or empty, is what this server does not tell.
    """

    user: str
    rank: str
    token: str
    version: str
    chunk_size: int | None
    endings: frozenset[str] | None


def read_status(result: object) -> Status:
    """Return the status out of the answer to `pwg.session.getStatus`.

    Raises `NotOffered` where the answer is not of that form.
    """
    if not isinstance(result, dict):
        raise NotOffered("the server does not tell the status of its session")
    chunk_kb = _number(result.get("upload_form_chunk_size"))
    types = str(result.get("upload_file_types") or "")
    endings = frozenset(t.strip().lower() for t in types.split(",") if t.strip())
    return Status(
        user=str(result.get("username", "")),
        rank=str(result.get("status", "")),
        token=str(result.get("pwg_token", "")),
        version=str(result.get("version", "")),
        chunk_size=chunk_kb * 1024 or None,
        endings=endings or None,
    )


def read_methods(result: object) -> frozenset[str]:
    """Return the names out of the answer to `reflection.getMethodList`."""
    match result:
        case {"methods": [*names]}:
            return frozenset(str(name) for name in names)
    return frozenset()


def read_found(result: object) -> dict[str, int | None]:
    """Return the photo id, or None for 'absent', of each MD5 out of `pwg.images.exist`.

    An MD5 that the answer does not name is unknown: galleries that identify photos by file name
    answer an empty list (piwigo-api.md, section 4).
    """
    if not isinstance(result, dict):
        return {}
    return {str(md5): _number(value) or None for md5, value in result.items()}


def read_members(result: object) -> list[tuple[int, str]]:
    """Return id and file name of each photo out of a page of `pwg.categories.getImages`."""
    match result:
        case {"images": [*images]}:
            return [
                (_number(image.get("id")), str(image.get("file", "")))
                for image in images
                if isinstance(image, dict)
            ]
    raise NotOffered("the server does not list the photos of an album")


def read_held(result: object) -> frozenset[int]:
    """Return which chunks, from 0 on, the server holds by the answer of `uploadAsync`."""
    match result:
        case {"message": str(message)} if message.startswith("chunks uploaded"):
            return frozenset(int(number) - 1 for number in re.findall(r"\d+", message))
    return frozenset()


def image_id(result: object) -> int | None:
    """Return the id of the photo that the answer to a last chunk names, if it names one.

    Ids come as numbers and as strings; 0 is none (piwigo-api.md, sections 1 and 6).
    """
    match result:
        case {"image_id": value} | {"id": value}:
            return _number(value) or None
    return None


def storable(text: str, *, limit: int = 255) -> str:
    """Return the text as a Piwigo database can hold it: three-byte UTF-8, 255 characters.

    Everything else makes the server fail with an empty answer (piwigo-api.md, 3.1, Names). The
    file's ending is kept where the text is cut.
    """
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    text = "".join("�" if ord(c) > 0xFFFF else c for c in text)
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    if len(text) <= limit:
        return text
    stem, dot, ending = text.rpartition(".")
    if not dot or len(ending) > 10:
        return text[:limit]
    return stem[: limit - len(ending) - 1] + dot + ending


def title_of(file: str) -> str:
    """Return the title that Piwigo gives a photo of this file name."""
    stem = file.rpartition(".")[0] or file
    return stem.replace("_", " ")


def as_written(stored: str) -> str:
    """Return a name as it was sent, from what Piwigo made of it: entities and backslashes."""
    return re.sub(r"\\(.)", r"\1", unescape(stored))
