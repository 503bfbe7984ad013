"""The bodies of requests: fields, and the bytes of one chunk, read while they are sent.

Knows files and multipart forms, and no sessions. The file is the photo as it was fingerprinted, or
the body breaks.
"""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Callable

from aiohttp import MultipartWriter, payload
from aiohttp.abc import AbstractStreamWriter

from bulkup.errors import BulkupError
from bulkup.photos import Chunk, Photo, read_chunk
from bulkup.piwigo.throttle import Throttle
from bulkup.piwigo.wire import Request

Progress = Callable[[int], None]
"""Takes the number of bytes of the photo's chunk that have gone out so far."""


class ChunkBody(payload.Payload):
    """The bytes of one chunk as a part of a multipart body: read while they are sent.

    `error` keeps what went wrong with the file, since aiohttp hides it behind one of its own, and
    `sent_whole` tells whether the last byte was handed to the system.
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
        super().__init__(photo, content_type="application/octet-stream")
        if request.encoded:
            self.set_content_disposition("form-data", name="data")
            self._size = (chunk.length + 2) // 3 * 4
        else:
            self.set_content_disposition("form-data", name="file", filename="blob")
            self._size = chunk.length
        self._photo = photo
        self._chunk = chunk
        self._encode = _Base64() if request.encoded else None
        self._idle_s = idle_s
        self._throttle = throttle
        self._progress = progress
        self.digest = hashlib.md5(usedforsecurity=False) if request.summed else None
        self.error: BulkupError | None = None
        self.sent_whole = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse: the content is streamed, never text."""
        raise TypeError(f"a chunk is not text in {encoding} ({errors})")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the chunk; no part of it may take longer than the idle time-out, once let out."""
        read = 0
        try:
            async for piece in read_chunk(self._photo, self._chunk, digest=self.digest):
                read += len(piece)
                last = read == self._chunk.length
                body = memoryview(self._encode.next(piece, last=last) if self._encode else piece)
                gone = 0
                while gone < len(body):
                    part = await self._throttle.take(len(body) - gone)
                    async with asyncio.timeout(self._idle_s):
                        await writer.write(body[gone : gone + part])
                    gone += part
                    self._progress(read - len(piece) + gone * len(piece) // len(body))
            self.sent_whole = True
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


class SumBody(payload.Payload):
    """The MD5 of a chunk in hex, as the part that follows it: known once it has gone out."""

    def __init__(self, body: ChunkBody) -> None:
        super().__init__(body, content_type="text/plain")
        self.set_content_disposition("form-data", name="chunk_sum")
        self._size = 32
        self._body = body

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the sum of what has been sent so far."""
        del encoding, errors
        return self._body.digest.hexdigest() if self._body.digest else ""

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the sum."""
        await writer.write(self.decode().encode())


def multipart(fields: tuple[tuple[str, str], ...], body: payload.Payload) -> MultipartWriter:
    """Return the form with these fields, the body, and after it the sum that it asks for."""
    form = MultipartWriter("form-data")
    for name, value in fields:
        part = payload.BytesPayload(value.encode(), content_type="text/plain; charset=utf-8")
        part.set_content_disposition("form-data", name=name)
        form.append_payload(part)
    form.append_payload(body)
    if isinstance(body, ChunkBody) and body.digest is not None:
        form.append_payload(SumBody(body))
    return form
