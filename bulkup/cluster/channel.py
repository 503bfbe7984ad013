"""A connection between coordinator and worker: one JSON object to a line, both ways at once.

Knows streams of bytes, and not what is said. What waits to go out goes out together.
"""

import json
import ssl
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

from bulkup.cluster.messages import Message, of_error, read_error
from bulkup.errors import BulkupError

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
