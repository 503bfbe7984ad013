"""The bodies of requests: fields, and the bytes of one chunk, read while they are sent.

The file is the photo as it was fingerprinted, or the body breaks.
"""

import asyncio
import hashlib
import secrets
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Callable
from typing import Final

from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter

from bulkup.errors import BulkupError
from bulkup.piwigo.protocol import Fields, Request
from bulkup.piwigo.throttle import Throttle
from bulkup.source.photos import Chunk, Photo, read_chunk

PART: Final = 256 * 1024
"""Bytes of a photo that have to go out within the idle time-out: more would be too much to ask of
a thin line."""

JOINED: Final = 64 * 1024
"""So many bytes at most go out in one piece with what stands before and behind them."""

IDLE_S: Final = 60.0
"""How long no piece may go out on, in seconds, unless it is said otherwise."""

Progress = Callable[[int], None]
"""Takes the number of bytes of the photo's chunk that have gone out so far."""


class Form(payload.Payload):
    """A multipart form: fields, then one part of `size` bytes, which a subclass writes.

    `name` and `filename` are those of that part; without the latter it is a field like the others.
    If `summed`, the field `chunk_sum` follows, as `sum` tells it then. Everything around the part
    goes out in two pieces, or in one with it: aiohttp's own form takes five for each field.
    `ended` tells whether the last byte may have gone out; until then, nothing can arrive whole. No
    piece may take longer than `idle_s` to go out.
    """

    def __init__(
        self,
        fields: Fields,
        *,
        name: str,
        filename: str = "",
        size: int,
        summed: bool = False,
        idle_s: float = IDLE_S,
    ) -> None:
        boundary = secrets.token_hex(16)
        super().__init__(fields, content_type=f"multipart/form-data; boundary={boundary}")
        part = f'--{boundary}\r\nContent-Disposition: form-data; name="%s"'
        head = "".join(f"{part % field}\r\n\r\n{value}\r\n" for field, value in fields)
        head += part % name
        if filename:
            head += f'; filename="{filename}"\r\nContent-Type: application/octet-stream'
        self._head = f"{head}\r\n\r\n".encode()
        self._sum_head = f"\r\n{part % 'chunk_sum'}\r\n\r\n".encode() if summed else b""
        self._end = f"\r\n--{boundary}--\r\n".encode()
        sum_size = len(self._sum_head) + 32 if summed else 0
        self._idle_s = idle_s
        self._held = self._head
        self.ended = False
        self._size = len(self._head) + size + sum_size + len(self._end)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: the content is streamed, never text."""
        raise TypeError(f"a form with a file is not text in {encoding} ({errors})")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the form."""
        self._held, self.ended = self._head, False
        await self.write_part(writer)

    async def put(
        self, writer: AbstractStreamWriter, content: bytes | memoryview, *, last: bool
    ) -> None:
        """Send bytes of the part, and what stands before its first and behind its `last` ones."""
        head, self._held = self._held, b""
        async with asyncio.timeout(self._idle_s):
            if len(content) > JOINED:
                if head:
                    await writer.write(head)
                await writer.write(content)
                head, content = b"", b""
            end = b""
            if last:
                end = (self._sum_head + self.sum.encode() if self._sum_head else b"") + self._end
                self.ended = True
            if data := b"".join((head, content, end)):
                await writer.write(data)

    @abstractmethod
    async def write_part(self, writer: AbstractStreamWriter) -> None:
        """Put the bytes of the part, the `last` ones as such."""

    @property
    def sum(self) -> str:
        """The MD5 of the part in hex, once it has gone out."""
        return ""


class ChunkBody(Form):
    """The call of a method with the bytes of one chunk, read while they are sent.

    `error` keeps what went wrong with the file, since aiohttp hides it behind one of its own.
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
        super().__init__(
            (("method", request.method), *request.fields),
            name="data" if request.encoded else "file",
            filename="" if request.encoded else "blob",
            size=(chunk.length + 2) // 3 * 4 if request.encoded else chunk.length,
            summed=request.summed,
            idle_s=idle_s,
        )
        self._photo = photo
        self._chunk = chunk
        self._encode = _Base64() if request.encoded else None
        self._throttle = throttle
        self._progress = progress
        self._digest = hashlib.md5(usedforsecurity=False) if request.summed else None
        self.error: BulkupError | None = None

    @property
    def sum(self) -> str:
        """The MD5 of the bytes that have gone out."""
        return self._digest.hexdigest() if self._digest else ""

    async def write_part(self, writer: AbstractStreamWriter) -> None:
        """Send the chunk; no part of it may take longer than the idle time-out, once let out."""
        read = 0
        try:
            async for piece in read_chunk(self._photo, self._chunk, digest=self._digest):
                read += len(piece)
                last = read == self._chunk.length
                body = memoryview(self._encode.next(piece, last=last) if self._encode else piece)
                gone = 0
                while gone < len(body):
                    part = await self._throttle.take(min(PART, len(body) - gone))
                    end = last and gone + part == len(body)
                    await self.put(writer, body[gone : gone + part], last=end)
                    gone += part
                    self._progress(read - len(piece) + gone * len(piece) // len(body))
        except BulkupError as error:
            self.error = error
            raise


class _Base64:
    """Encodes pieces of any length to one base64 text."""

    def __init__(self) -> None:
        self._rest = b""

    def next(self, piece: bytes, *, last: bool) -> bytes:
        """Return the text of all whole triples so far, of everything if it is the last piece."""
        piece = self._rest + piece
        whole = len(piece) if last else len(piece) // 3 * 3
        self._rest = piece[whole:]
        return b64encode(piece[:whole])
