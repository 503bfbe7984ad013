"""Multipart request bodies, among them the streamed chunk of a photo, and the bandwidth limit."""

import asyncio
import hashlib
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import lru_cache
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import anyio
from aiohttp import BytesPayload, MultipartWriter, hdrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from bulkup.errors import BulkupError
from bulkup.piwigo.protocol import Fields, Request
from bulkup.source.photos import Chunk, Photo, read_chunk

if TYPE_CHECKING:
    from multidict import CIMultiDict

PART: Final = 256 * 1024
"""Maximum bytes of a photo in one write, which has to end within the idle time-out, even on a slow
connection."""

GATHERED: Final = 64 * 1024
"""Maximum bytes that `GatheringWriter` joins into one write."""

COPIED: Final = 16 * 1024
"""Maximum bytes of the last of them that are copied for that."""

IDLE_S: Final = 60.0
"""Default idle time-out of a write, in seconds."""

Progress = Callable[[int], None]
"""Takes the number of bytes of the photo's chunk that were sent so far."""


class Form(MultipartWriter):
    """A `multipart/form-data` body of text fields; parts with other content can be added.

    Every write to the network has to end within `idle_s` seconds, or `TimeoutError` is raised.
    `ended` is set just before the last bytes are written: until then, the server can't have
    received the whole body.
    """

    def __init__(self, fields: Fields, *, idle_s: float = IDLE_S) -> None:
        super().__init__("form-data", token_hex(16))  # faster than its own UUID
        self._idle_s = idle_s
        self.ended = False
        for name, text in fields:
            self.append_payload(_text_part(name, text))

    def add(self, name: str, content: Payload, *, filename: str = "") -> None:
        """Append a part. Like a browser, send a content type only with files."""
        _describe(content, name, filename)
        self.append_payload(content)

    async def write(self, writer: AbstractStreamWriter, close_boundary: bool = True) -> None:
        """Send the body."""
        self.ended = False
        gathering = GatheringWriter(writer, idle_s=self._idle_s)
        await super().write(gathering, close_boundary)
        self.ended = True
        await gathering.drain()


def _describe(content: Payload, name: str, filename: str = "") -> None:
    content.headers.clear()
    content.headers[hdrs.CONTENT_DISPOSITION] = f'form-data; name="{name}"'
    if filename:
        content.headers[hdrs.CONTENT_DISPOSITION] += f'; filename="{filename}"'
        content.headers[hdrs.CONTENT_TYPE] = "application/octet-stream"


class _TextPart(BytesPayload):
    """A field, whose header is encoded only once: `MultipartWriter` wants it twice per request."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text.encode())
        _describe(self, name)
        self._head = super()._binary_headers

    @property
    def _binary_headers(self) -> bytes:
        return self._head


@lru_cache(maxsize=64)
def _text_part(name: str, text: str) -> _TextPart:
    # most fields are the same in all requests, and sending does not change a part
    return _TextPart(name, text)


class GatheringWriter(AbstractStreamWriter):
    """Joins small writes, of which `MultipartWriter` makes five for each field.

    They are sent on `drain`, and by the write after the one that made them exceed `GATHERED`
    bytes. If the last piece is a large one, it follows without being copied.
    """

    def __init__(self, writer: AbstractStreamWriter, *, idle_s: float) -> None:
        self._writer = writer
        self._idle_s = idle_s
        self._pieces: list[bytes | bytearray | memoryview] = []
        self._size = 0

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Keep the bytes for the next write, or for `drain`: they may be the last ones."""
        if self._size > GATHERED:
            await self.drain()
        self._pieces.append(chunk)
        self._size += len(chunk)

    async def drain(self) -> None:
        """Write what has been gathered."""
        if not self._pieces:
            return
        pieces, self._pieces = self._pieces, []
        exceeding = pieces.pop() if len(pieces[-1]) > COPIED else b""
        self._size = 0
        async with asyncio.timeout(self._idle_s):
            if pieces:
                await self._writer.write(b"".join(pieces))
            if exceeding:
                await self._writer.write(exceeding)

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Write the last bytes."""
        await self.drain()
        await self._writer.write_eof(chunk)

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Enable compression of the body."""
        self._writer.enable_compression(encoding, strategy)

    def enable_chunking(self) -> None:
        """Enable chunked transfer encoding."""
        self._writer.enable_chunking()

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        """Write the headers of the message."""
        await self._writer.write_headers(status_line, headers)


class StreamedPayload(Payload):
    """A part of `size` bytes that are only known while they are written."""

    def __init__(self, size: int) -> None:
        super().__init__(None)
        self._size: int = size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: the content is never held as a whole."""
        raise TypeError(f"a streamed part can't be decoded ({encoding}, {errors})")


SLICE_S: Final = 1 / 16
"""How long the bytes that are sent at once take at the limit, in seconds."""

LEAST: Final = 1024
"""Minimum bytes sent at once: at low limits, every request in flight has to make progress."""


class Throttle:
    """A bandwidth limit for all uploads; `limit` returns it in bytes a second, None for none.

    The limit is read again for each slice, so a change also applies to tasks that are waiting. In
    any period at most the limit and two slices are sent; a slice started before a change counts at
    the limit of that time.
    """

    def __init__(
        self,
        limit: Callable[[], int | None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._turn = anyio.Lock()  # first come, first served
        self._free_at = float("-inf")

    async def take(self, wanted: int) -> int:
        """Wait as long as necessary and return how many of the wanted bytes may be sent now."""
        if self._limit() is None:
            return wanted
        async with self._turn:
            if (wait_s := self._free_at - self._clock()) > 0:
                await self._sleep(wait_s)
            if (limit := self._limit()) is None:
                return wanted
            taken = min(wanted, max(LEAST, int(limit * SLICE_S)))
            # make up for a sleep that lasted too long, by up to a slice
            begin = max(self._free_at, self._clock() - SLICE_S)
            self._free_at = begin + taken / limit
            return taken


class ChunkForm(Form):
    """A method call with the bytes of one chunk.

    `progress` gets the last bytes once the whole body is written. `error` is what went wrong with
    the file, which aiohttp wraps in an error of its own.
    """

    def __init__(
        self,
        photo: Photo,
        *,
        request: Request,
        chunk: Chunk,
        idle_s: float,
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        super().__init__((("method", request.method), *request.fields), idle_s=idle_s)
        digest = hashlib.md5(usedforsecurity=False) if request.summed else None
        content = ChunkPayload(
            photo,
            chunk,
            encoded=request.encoded,
            digest=digest,
            throttle=throttle,
            progress=progress,
        )
        if request.encoded:
            self.add("data", content)
        else:
            self.add("file", content, filename="blob")
        if digest:
            self.add("chunk_sum", SumPayload(digest))
        self._length = chunk.length
        self._progress = progress
        self.error: BulkupError | None = None

    async def write(self, writer: AbstractStreamWriter, close_boundary: bool = True) -> None:
        """Send the body, reading the file meanwhile."""
        try:
            await super().write(writer, close_boundary)
        except BulkupError as error:
            self.error = error
            raise
        self._progress(self._length)


class ChunkPayload(StreamedPayload):
    """The bytes of a chunk, read from the photo while they are sent.

    They are added to `digest`, and sent in base64 if `encoded`.
    """

    def __init__(
        self,
        photo: Photo,
        chunk: Chunk,
        *,
        encoded: bool,
        digest: "hashlib._Hash | None",
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        super().__init__((chunk.length + 2) // 3 * 4 if encoded else chunk.length)
        self._digest = digest
        self._photo = photo
        self._chunk = chunk
        self._encoded = encoded
        self._throttle = throttle
        self._progress = progress

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the chunk in slices as large as the throttle permits, `PART` at most.

        Each slice but the last is written at once. Raises as `read_chunk` does.
        """
        read, rest = 0, b""
        async for piece in read_chunk(self._photo, self._chunk, digest=self._digest):
            before, read = read, read + len(piece)
            body = memoryview(piece)
            if self._encoded:
                data = rest + piece
                whole = len(data) if read == self._chunk.length else len(data) // 3 * 3
                rest, body = data[whole:], memoryview(b64encode(data[:whole]))
            sent = 0
            while sent < len(body):
                size = await self._throttle.take(min(PART, len(body) - sent))
                await writer.write(body[sent : sent + size])
                sent += size
                if read < self._chunk.length or sent < len(body):
                    await writer.drain()
                    self._progress(before + sent * len(piece) // len(body))


class SumPayload(StreamedPayload):
    """An MD5 in hex, of the bytes that were sent before it."""

    def __init__(self, digest: "hashlib._Hash") -> None:
        super().__init__(32)
        self._digest = digest

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the sum."""
        await writer.write(self._digest.hexdigest().encode())
