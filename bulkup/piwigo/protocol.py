"""Requests and answers of Piwigo's web API, without I/O: parses answers into values or errors."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Final

from bulkup.errors import (
    AnswerLost,
    Blocked,
    BulkupError,
    ChunkCorrupted,
    FormatRefused,
    FormatsOff,
    NotOffered,
    Outage,
    PhotoCorrupted,
    PhotoError,
    PhotoGone,
    RateLimited,
    Refused,
    ServerCrashed,
    SessionLost,
    TooLarge,
)
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.source.photos import Chunk


def number(value: object) -> int:
    """Return a number of up to nine digits from a number or a string, 0 for anything else."""
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


@dataclass(frozen=True, slots=True)
class Status:
    """The answer to `pwg.session.getStatus`; `chunk_size` in bytes, `endings` in lower case.

    Unknown values are None or empty.
    """

    user: str
    rank: str
    token: str
    version: str
    chunk_size: int | None
    endings: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server offers: `chunk_size` in bytes, `endings` of files in lower case.

    `methods` are empty if the server does not list them, `endings` None.
    """

    url: str
    version: str
    user: str
    methods: frozenset[str]
    endings: frozenset[str] | None
    chunk_size: int

    @property
    def major(self) -> int:
        """The major version of Piwigo, 0 if unknown."""
        return number(self.version.partition(".")[0])

    @property
    def md5s_reliable(self) -> bool:
        """Whether `pwg.images.setMd5sum` never gives the MD5 of one photo to another.

        Before 15.4.0, it does where the database returns rows in another order (Piwigo#2319).
        """
        return [number(part) for part in self.version.split(".")[:2]] >= [15, 4]


def read_status(result: object) -> Status:
    """Parse the answer to `pwg.session.getStatus`.

    Raises `NotOffered` if it has another form.
    """
    if not isinstance(result, dict):
        raise NotOffered(server_failures.NOT_REPORTED(what="the status of its session"))
    chunk_kb = number(result.get("upload_form_chunk_size"))
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


def read_real_status(result: object) -> str:
    """Return the status in the answer to `community.session.getStatus`, empty if unknown.

    `pwg.session.getStatus` answers as if everyone who may upload were an administrator.
    """
    return str(result.get("real_user_status", "")) if isinstance(result, dict) else ""


def read_pending(result: object) -> frozenset[int]:
    """Return the photos that await approval, from `community.images.uploadCompleted`."""
    match result:
        case {"pending": [*photos]}:
            ids = (number(photo.get("id")) for photo in photos if isinstance(photo, dict))
            return frozenset(filter(None, ids))
    return frozenset()


def read_ancestors(result: object) -> set[int]:
    """Return the albums in the paths of a list of albums, the listed ones included."""
    match result:
        case {"categories": [*rows]}:
            paths = (str(row.get("uppercats", "")) for row in rows if isinstance(row, dict))
            return {number(part) for path in paths for part in path.split(",")} - {0}
    return set()


def read_methods(result: object) -> frozenset[str]:
    """Return the names in the answer to `reflection.getMethodList`."""
    match result:
        case {"methods": [*names]}:
            return frozenset(str(name) for name in names)
    return frozenset()


def read_found(result: object) -> dict[str, int | None]:
    """Parse the answer to `pwg.images.exist`: a photo id for each MD5, None for absent.

    A missing MD5 is unknown: galleries that identify photos by file name answer with an empty list
    (seen on Piwigo 13 to 17).
    """
    if not isinstance(result, dict):
        return {}
    return {str(md5): number(value) or None for md5, value in result.items()}


@dataclass(frozen=True, slots=True)
class Identity:
    """A photo's MD5, empty if unknown, its privacy level and its file name in the gallery.

    `kb` is the size of its file, rounded down. `uploaded`: it was not found by a synchronisation.
    """

    md5: str
    level: int
    file: str
    kb: int
    uploaded: bool


UPLOADED: Final = re.compile(r"/\d{4}/\d\d/\d\d/\d{14}-[0-9a-f]{8}[-.]")
"""Part of the address of an uploaded photo, or of its thumbnail (seen on Piwigo 13 to 17)."""


def read_identity(result: object) -> Identity:
    """Parse the answer to `pwg.images.getInfo`.

    Raises `NotOffered` if it has another form.
    """
    match result:
        case {"id": _, **rest}:
            return Identity(
                str(rest.get("md5sum") or ""),
                number(rest.get("level")),
                str(rest.get("file") or ""),
                number(rest.get("filesize")),
                bool(UPLOADED.search(f"{rest.get('element_url')} {rest.get('derivatives')}")),
            )
    raise NotOffered(server_failures.NOT_REPORTED(what="what it knows about its photos"))


def read_has_format(result: object, photo_id: int) -> bool | None:
    """Return whether `pwg.images.formats.searchImage` found the format with this photo.

    None if the answer is about another photo.
    """
    match result:
        case {"format": {"status": "found", "image_id": found, "format_exist": bool(there)}}:
            return there if number(found) == photo_id else None
    return None


def read_formats(result: object, photo_id: int) -> frozenset[str] | None:
    """Return the endings of the formats that `pwg.images.formats.searchImage` found.

    None if the answer is about another photo, or incomplete.
    """
    if not isinstance(result, dict):
        return None
    endings = set()
    known = False
    for ending, row in result.items():
        match row:
            case {"status": "found", "image_id": found, "format_exist": bool(there)}:
                if number(found) != photo_id:
                    return None
                known = True
                endings |= {str(ending)} if there else set()
            case {"status": "not found"}:
                continue  # the gallery does not accept such formats
            case _:
                return None
    return frozenset(endings) if known else None


def read_checked(result: object) -> bool | None:
    """Return whether `pwg.images.checkFiles` found the file to have the MD5, None if unknown."""
    match result:
        case {"file": "equals"}:
            return True
        case {"file": "differs"}:
            return False
    return None


def read_md5s_set(result: object) -> tuple[int, int]:
    """Return how many MD5s `pwg.images.setMd5sum` has computed, and how many are missing.

    Raises `NotOffered` if the answer has another form.
    """
    match result:
        case {"nb_added": int(added), "nb_no_md5sum": int(missing)}:
            return added, missing
    raise NotOffered(server_failures.NOT_REPORTED(what="how many MD5s it has computed"))


@dataclass(frozen=True, slots=True)
class AlbumPhoto:
    """A photo in an album: its file name, and when it was taken or else added.

    `date` is empty if unknown.
    """

    photo_id: int
    file: str
    date: str


def read_members(result: object) -> tuple[list[AlbumPhoto], int]:
    """Return the photos on a page of `pwg.categories.getImages`, and its size.

    The page size, which the gallery's configuration may limit, is 0 if unknown.
    """
    match result:
        case {"images": [*images], **rest}:
            paging = rest.get("paging")
            per_page = number(paging.get("per_page")) if isinstance(paging, dict) else 0
            return [
                AlbumPhoto(
                    number(image.get("id")),
                    str(image.get("file", "")),
                    str(image.get("date_creation") or image.get("date_available") or ""),
                )
                for image in images
                if isinstance(image, dict)
            ], per_page
    raise NotOffered(server_failures.NOT_REPORTED(what="the photos of an album"))


def read_tags(result: object) -> list[tuple[str, int]]:
    """Return name and id of each tag in the answer to `pwg.tags.getAdminList`."""
    match result:
        case {"tags": [*tags]}:
            return [
                (str(tag.get("name_raw") or tag.get("name", "")), tag_id)
                for tag in tags
                if isinstance(tag, dict) and (tag_id := number(tag.get("id")))
            ]
    return []


def read_tag_id(result: object) -> int | None:
    """Return the id of the tag created by `pwg.tags.add`, None if there is none."""
    return number(result.get("id")) or None if isinstance(result, dict) else None


def read_held(result: object) -> frozenset[int]:
    """Return the chunks, from 0, that the server holds, from the answer of `uploadAsync`."""
    match result:
        case {"message": str(message)} if message.startswith("chunks uploaded"):
            return frozenset(number(index) - 1 for index in re.findall(r"[0-9]+", message))
    return frozenset()


def image_id(result: object) -> int | None:
    """Return the id of the photo in the answer to a last chunk, None if there is none.

    Ids are numbers or strings, and never 0 (seen on Piwigo 13 to 17).
    """
    match result:
        case {"image_id": value} | {"id": value}:
            return number(value) or None
    return None


@dataclass(frozen=True, slots=True)
class AlbumRow:
    """An album with its `name` as listed; `parent` 0 is the top level.

    `order` is the order of its photos as SQL, empty if unknown, `cover` the id of the photo that
    stands for it, 0 if unknown. `hidden` photos of it are not visible to the account, if known.
    """

    album_id: int
    name: str
    parent: int
    photos: int
    private: bool
    order: str = ""
    cover: int = 0
    comment: str = ""
    hidden: int = 0


def read_albums(result: object) -> list[AlbumRow]:
    """Parse the answer to `pwg.categories.getAdminList` or `pwg.categories.getList`.

    Raises `NotOffered` if it has another form.
    """
    match result:
        case {"categories": [*rows]}:
            return [_album(row) for row in rows if isinstance(row, dict)]
    raise NotOffered(server_failures.NOT_REPORTED(what="its albums as a list"))


def _album(row: dict[str, object]) -> AlbumRow:
    path = str(row.get("uppercats", "")).split(",")
    return AlbumRow(
        album_id=number(row.get("id")),
        name=str(row.get("name_raw") or row.get("name") or ""),
        parent=number(path[-2]) if len(path) > 1 else 0,
        photos=number(row.get("nb_images")),
        private=row.get("status") == "private",
        order=str(row.get("image_order") or ""),
        cover=number(row.get("representative_picture_id")),
        comment=str(row.get("comment_raw") or row.get("comment") or ""),
    )


def read_rows(result: object, key: str) -> tuple[list[dict[str, object]], int]:
    """Return the rows with an id of a list, and the most that a page of it has, 0 if unknown.

    Raises `NotOffered` if it has another form.
    """
    answer = result if isinstance(result, dict) else {}
    rows, paging = answer.get(key), answer.get("paging")
    if not isinstance(rows, list):
        raise NotOffered(server_failures.NOT_REPORTED(what=f"its {key} as a list"))
    size = number(paging.get("per_page")) if isinstance(paging, dict) else 0
    return [row for row in rows if isinstance(row, dict) and number(row.get("id"))], size


def rows_of(answer: Mapping[str, object], key: str) -> list[dict[str, object]]:
    """Return the rows of a list in an answer, none if it has another form."""
    rows = answer.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


Fields = tuple[tuple[str, str], ...]

Stored = Mapping[str, object]
"""A photo's fields in an answer, all or some of them."""

ANSWER_LIMIT: Final = 64 * 1024 * 1024
"""Maximum bytes read of an answer; a list of all albums can be large."""

MESSAGE_LIMIT: Final = 500
"""Maximum characters of a server's message that are read and reported."""

NGINX_CERTIFICATE: Final = re.compile(
    "No required SSL certificate was sent|The SSL certificate error"
)
"""What nginx answers without a client certificate, and to one that it does not accept."""

TWO_FACTOR: Final = re.compile(r"identification\.php\?tf\b")
"""Where Piwigo's two-factor plugin redirects after a correct password."""


@dataclass(frozen=True, slots=True)
class Request:
    """A method call: its fields, and the chunk of a photo that is sent with it, if any.

    `summed` adds the field `chunk_sum`, the MD5 of the bytes sent, `encoded` sends the bytes in
    base64 in a field `data` instead of a file part, and `token` adds the session's `pwg_token`.
    """

    method: str
    fields: Fields = ()
    chunk: Chunk | None = None
    summed: bool = False
    encoded: bool = False
    token: bool = False


Ask = Callable[[Request], Awaitable[object]]
"""Sends a request and returns its result."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: `body` is cut off at `ANSWER_LIMIT`, `retry_after_s` is in seconds.

    `challenge` is the header WWW-Authenticate; `authorized`: the request had an HTTP password.
    """

    status: int
    body: bytes
    location: str = ""
    retry_after_s: float | None = None
    challenge: str = ""
    authorized: bool = False


def interpret(answer: Answer, *, renamed: tuple[str, str] = ("", "")) -> object:
    """Return the answer's result, or raise the error that it means.

    The message of the error has the second name of `renamed` in place of the first.
    Raises a `Transient` error if a retry may help, `Blocked` if it may refuse everything,
    `NotOffered` if the server does not know the method, and `PhotoError` if it refuses this photo
    or request permanently.
    """
    text = answer.body.decode("utf-8", "replace")
    document = _json(text)
    match document:
        case {"stat": "ok"} if answer.status < 400:
            return document.get("result")
        case {"stat": "ok"}:
            # setInfo with an unknown album: everything else was stored
            raise PhotoError(server_failures.IN_PART(status=answer.status))
        case {"stat": "fail"}:
            message = str(document.get("message", "")).replace(*renamed)[:MESSAGE_LIMIT]
            raise _refusal(number(document.get("err")), message)
        case {"error": {"code": code, "message": message}}:
            message = str(message).replace(*renamed)[:MESSAGE_LIMIT]
            raise _buffer_error(number(code), message)
    raise _not_json(answer, text.replace(*renamed))


def _json(text: str) -> dict[str, object]:
    """Return Piwigo's JSON object, which PHP messages may surround; empty if there is none."""
    start = max(text.rfind('{"stat":'), text.rfind('{"jsonrpc"'), 0)
    try:
        document, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(number: int, message: str) -> BulkupError:
    """Return the error for Piwigo's error number and message."""
    said = message or number
    lower = message.lower()
    match number:
        case 401 if lower == "invalid api_key":
            return Blocked(run_failures.API_KEY())
        case 401 if lower == "access denied":
            return SessionLost(server_failures.SESSION_LOST(said=said))
        case 401 if lower == "formats are disabled":
            return FormatsOff(gallery_failures.FORMATS_OFF())
        case 401 if lower.startswith("unexpected format extension"):
            taken = re.sub(r'.*".*"', "", message, flags=re.DOTALL)
            listed = re.fullmatch(r" \(authorized extensions: (.+)\)", taken)
            return FormatRefused(
                gallery_failures.FORMAT_REFUSED(said=taken),
                endings=frozenset(listed[1].split(", ") if listed else ()),
            )
        case 403 if "token" in lower:
            return SessionLost(server_failures.SESSION_LOST(said=said))
        case 404 if lower == "image_id not found":
            return PhotoGone(server_failures.PHOTO_GONE(said=said))
        case 405 if "post" in lower:
            return TooLarge(server_failures.POST_LIMIT())
        case 501 if '"method"' in lower:
            return TooLarge(server_failures.POST_LIMIT())
        case 501:
            return NotOffered(server_failures.UNKNOWN_METHOD(said=said))
        case 415:
            return PhotoCorrupted(server_failures.TYPE_REFUSED(said=said))
        case 500 if "chunk file mismatched" in lower:
            return ChunkCorrupted(server_failures.CHUNK_DAMAGED())
        case 500 if "merged file mismatched" in lower:
            return PhotoCorrupted(server_failures.PHOTO_DAMAGED())
        case 500 if "upload_max_filesize" in lower:
            return TooLarge(server_failures.FILE_LIMIT())
        case 500 if lower.startswith("error while"):
            return AnswerLost(server_failures.MERGE_FAILED(said=said))
        case 500 if lower.startswith("error during buffer directory"):
            return Blocked(run_failures.BUFFER_FOLDER(said=said))
        case 500 if lower == "file already exists":
            return PhotoCorrupted(
                server_failures.KNOWN(said=said)
            )  # images.add: ask by MD5, else again without that check
        case 429:
            return RateLimited(server_failures.TOO_MANY(said=said))
        case 408 | 503:
            return Refused(server_failures.BUSY(said=said))
    return PhotoError(server_failures.REFUSED(said=said))


def _buffer_error(code: int, message: str) -> BulkupError:
    """Return the error for a `jsonrpc` answer of `pwg.images.upload`."""
    if code == 103:
        return TooLarge(server_failures.CHUNK_REFUSED(said=message.rstrip(".")))
    if code == 101:  # nothing was added to the buffer
        return Refused(server_failures.CHUNK_UNREAD(said=message.rstrip(".")))
    return Blocked(run_failures.BUFFER(said=message.rstrip(".")))


def plain(text: str) -> str:
    """Return the text on one line, without HTML and without leading PHP messages.

    If there is nothing else, the message of a fatal error is kept.
    """
    rest = re.sub(r"^(?:\s*<br />\s*<b>.*?</b>.*?<br />)+\s*", "", text, flags=re.DOTALL)
    text = rest or text.rpartition("<b>Fatal error</b>:")[2]
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def _not_json(answer: Answer, text: str) -> BulkupError:
    """Return the error for an answer that is not Piwigo's JSON, by its text, then its status."""
    words = plain(text[:10_000])
    if words.startswith(("forbidden file type", "unexpected file type")):
        return PhotoCorrupted(server_failures.TYPE_REFUSED(said=words[:100]))
    if words.startswith("[add_uploaded_file]"):
        return PhotoError(server_failures.NOT_IMAGE(said=words[:200]))
    said = f"HTTP {answer.status}" + (f", “{words[:80]}”" if words else ", no message")
    if (answer.status == 500 and not words) or "<b>Fatal error</b>" in text[:10_000]:
        return ServerCrashed(server_failures.PHP_DIED(said=said))
    return _by_status(answer, said)


def _by_status(answer: Answer, said: str) -> BulkupError:
    match answer.status:
        case 300 | 301 | 302 | 303 | 307 | 308:
            if TWO_FACTOR.search(answer.location):
                return Blocked(run_failures.TWO_FACTOR())
            target = answer.location[:MESSAGE_LIMIT] or "nowhere"
            return Blocked(run_failures.REDIRECT(target=target))
        case 400 | 495 | 496 if refusal := NGINX_CERTIFICATE.search(said):
            return Blocked(run_failures.CLIENT_CERTIFICATE(said=refusal[0]))
        case 401 if answer.authorized:
            return Blocked(run_failures.WEB_PASSWORD_REFUSED())
        case 401 if answer.challenge and "basic" not in answer.challenge.lower():
            scheme = plain(answer.challenge[:MESSAGE_LIMIT]).partition(" ")[0]
            return Blocked(run_failures.WEB_LOGIN(scheme=scheme))
        case 401:
            return Blocked(run_failures.WEB_PASSWORD())
        case 407:
            return Blocked(run_failures.PROXY_PASSWORD())
        case 411:
            return Blocked(run_failures.STREAMED(said=said))
        case 413 | 414:
            return TooLarge(server_failures.WEB_LIMIT(status=answer.status))
        case 429:
            return RateLimited(
                server_failures.TOO_MANY(said=said), retry_after_s=answer.retry_after_s
            )
        case 403 | 408 | 425:
            return Refused(server_failures.HELD_OFF(said=said), retry_after_s=answer.retry_after_s)
        case 404 | 410:
            return Outage(server_failures.NO_WS(said=said), retry_after_s=answer.retry_after_s)
        case 502 | 503 | 504 | 520 | 521 | 522 | 523 | 524 | 530:
            return Outage(
                server_failures.UNAVAILABLE(said=said), retry_after_s=answer.retry_after_s
            )
    return AnswerLost(server_failures.STRANGE(said=said))
