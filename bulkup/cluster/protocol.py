"""Messages between coordinator and workers: lines of JSON with heartbeats, and path mapping."""

import json
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from itertools import count
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

from bulkup import errors
from bulkup.errors import BulkupError, FailureMessage, FormatRefused, Transient, UsageError
from bulkup.events import (
    ChunkSizeChanged,
    Event,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoArrived,
    PhotoFinished,
    PhotoFinishing,
    PhotoHashing,
    PhotoProgress,
    PhotoStarted,
    PhotoUploaded,
    Retrying,
)
from bulkup.source.metadata import Labels, Template

Message = dict[str, Any]

EVENTS: Final = {
    kind.__name__: kind
    for kind in (
        *(PhotoStarted, PhotoProgress, PhotoFinishing, PhotoFinished, PhotoArrived),
        *(PhotoHashing, PhotoUploaded, Retrying),
        *(OutageBegan, OutageEnded, ChunkSizeChanged, Noticed),
    )
}
"""What can happen on a worker."""


def of_event(event: Event) -> Message | None:
    """Return an event but for its path, None if it is none that workers tell."""
    name = type(event).__name__
    if name not in EVENTS:
        return None
    told = {each.name: getattr(event, each.name) for each in fields(event)}
    return {"is": name} | {key: value for key, value in told.items() if key != "path"}


def read_event(message: Message, *, path: Path | None) -> Event:
    """Return the event that a message tells of the photo `path`. Raises `KeyError` if none."""
    kind = EVENTS[message["is"]]
    told: Message = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in message.items()
        if key != "is"
    }
    if any(each.name == "path" for each in fields(kind)):
        told["path"] = path
    return kind(**told)


def of_error(error: BulkupError) -> Message:
    """Return an error by the name of what it is to others."""
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    message: Message = {"is": kind.__name__, **asdict(error.failure)}
    if isinstance(error, FormatRefused):
        message["endings"] = sorted(error.endings)
    if isinstance(error, Transient):
        message["retry_after_s"] = error.retry_after_s
    return message


def read_error(message: Message) -> BulkupError:
    """Return the error that a message tells."""
    kind = getattr(errors, str(message["is"]), BulkupError)
    if not (isinstance(kind, type) and issubclass(kind, BulkupError)):
        kind = BulkupError
    error = kind(FailureMessage(message["message"], message["hint"], message["code"]))
    if isinstance(error, FormatRefused):
        error.endings = frozenset(message["endings"])
    if isinstance(error, Transient):
        error.retry_after_s = message.get("retry_after_s")
    return error


def of_labels(labels: Labels) -> Message:
    """Return what photos get beside their bytes."""
    return asdict(labels) | {"title": labels.title and labels.title.text}


def read_labels(message: Message) -> Labels:
    """Return the labels that a message tells."""
    title = message["title"]
    told = {
        "title": None if title is None else Template(title, flag="--title"),
        "tags": tuple(message["tags"]),
    }
    return Labels(**(message | told))


LONGEST: Final = 16 * 1024 * 1024
"""Bytes of one message: a batch of a few hundred long paths is far below."""

BEAT_S: Final = 2.0
LEASE_S: Final = 8.0
"""A worker may go on for so long after it last sent a beat that was answered …"""

GONE_S: Final = 12.0
"""… and is taken for gone so long after it was last heard, which is later in any case."""


class Gone(Exception):
    """The other side is not there any more."""


class Channel:
    """What is said to one other side, and heard of it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._more = anyio.Event()
        self._closed = False
        self._asked: dict[int, _Question] = {}
        self._numbers = count(1)

    def tell(self, kind: str, /, **values: object) -> None:
        """Say something; whether it is heard is another matter."""
        self._lines.append(json.dumps({"kind": kind, **values}).encode() + b"\n")
        self._more.set()

    async def ask(self, kind: str, /, **values: object) -> Any:  # noqa: ANN401 (plain data)
        """Return the answer. Raises the error that is the answer, and `Gone`."""
        if self._closed:
            raise Gone
        number = next(self._numbers)
        self._asked[number] = question = _Question()
        self.tell(kind, ask=number, **values)
        try:
            await question.answered.wait()
        finally:
            del self._asked[number]
        if question.answer is None:
            raise Gone
        if error := question.answer.get("error"):
            raise read_error(error)
        return question.answer.get("value")

    def answer(
        self, message: Message, value: object = None, *, error: BulkupError | None = None
    ) -> None:
        """Answer what was asked; a message that asks nothing gets no answer."""
        if "ask" in message:
            told = None if error is None else of_error(error)
            self.tell("answer", to=message["ask"], value=value, error=told)

    async def listen(self, hear: Callable[[Message], None]) -> bool:
        """Have everything heard until the other side is gone; tell whether it has hung up.

        Otherwise it may be there still, and the line is broken.
        """
        lines = BufferedByteReceiveStream(self._stream)
        try:
            while True:
                message = _parsed(await lines.receive_until(b"\n", LONGEST))
                if message is None:
                    return False
                if message["kind"] == "answer":
                    to = message.get("to")  # anybody may have said that
                    if isinstance(to, int) and (question := self._asked.get(to)):
                        question.answer = message
                        question.answered.set()
                else:
                    hear(message)
        except (anyio.EndOfStream, anyio.IncompleteRead):
            return True
        except (
            anyio.DelimiterNotFound,
            anyio.BrokenResourceError,
            anyio.ClosedResourceError,
            ssl.SSLError,
        ):
            return False
        finally:
            self._closed = True
            for question in self._asked.values():
                question.answered.set()
            self._more.set()

    async def speak(self) -> None:
        """Send what is told, until the other side is gone."""
        while not self._closed:
            await self._more.wait()
            self._more = anyio.Event()
            lines, self._lines = self._lines, []
            if not lines:
                continue
            try:
                await self._stream.send(b"".join(lines))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
                return


class _Question:
    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.answer: Message | None = None


def _parsed(line: bytes) -> Message | None:
    """Return the message of a line, None where somebody else speaks."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(message, dict) and isinstance(message.get("kind"), str)
    return message if known else None


OFTEN_S: Final = 0.1
"""Nobody sees anything sooner on a screen."""


class EventBatcher:
    """Events that wait to be told."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._events: list[tuple[int | None, Message]] = []
        self._progress: dict[int, int] = {}

    def tell(self, event: Event, *, call: int | None = None) -> None:
        """Take in an event, of the photo of a call or of none."""
        message = of_event(event)
        if message is None:
            return
        if call is not None:
            if isinstance(event, PhotoProgress):
                if (index := self._progress.get(call)) is not None:
                    self._events[index] = (call, message)
                    return
                self._progress[call] = len(self._events)
            else:
                self._progress.pop(call, None)
        self._events.append((call, message))

    def flush(self) -> None:
        """Tell what waits."""
        if self._events:
            self._channel.tell("events", events=self._events)
            self._events = []
            self._progress.clear()

    async def flush_often(self) -> None:
        """Tell what waits, again and again, until cancelled."""
        while True:
            await anyio.sleep(OFTEN_S)
            self.flush()


HINT: Final = "Give the folder here and there, such as --map /mnt/nas1=/volume1/photos."


class PathMap:
    """Other names that folders have on workers. Raises `UsageError` where one says nothing."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._folder = os.getcwd()  # noqa: PTH109 (once: it may not be asked for later)
        self._pairs = sorted((_pair(text) for text in texts), key=_depth, reverse=True)

    def there(self, path: Path) -> str:
        """Return what workers call a file: the deepest folder that is named decides."""
        absolute = Path(os.path.normpath(Path(self._folder, path)))  # .. goes, links stay
        for here, there in self._pairs:
            if absolute.is_relative_to(here):
                rest = absolute.relative_to(here)
                windows = "\\" in there and "/" not in there
                return str((PureWindowsPath if windows else PurePosixPath)(there, *rest.parts))
        return str(absolute)


def _pair(text: str) -> tuple[Path, str]:
    here, sign, there = text.partition("=")
    if not (sign and here.strip() and there.strip()):
        raise UsageError(f"--map “{text}” names no two folders", hint=HINT)
    return Path(os.path.abspath(here)), there  # noqa: PTH100


def _depth(pair: tuple[Path, str]) -> int:
    return len(pair[0].parts)
