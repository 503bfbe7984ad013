"""One attempt to send one photo over one session: chunks in order, the finish, the real names.

Knows what a finished photo still lacks and how to mend it; never tries again by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bulkup.errors import BulkupError, Lost, Unmerged
from bulkup.photos import Chunk, Photo
from bulkup.piwigo.bodies import Progress
from bulkup.piwigo.http import Session
from bulkup.piwigo.methods import Method, Shipment, is_sent_name
from bulkup.piwigo.names import storable
from bulkup.piwigo.results import image_id, read_held
from bulkup.piwigo.sessions import SessionPool
from bulkup.piwigo.wire import Fields, Request


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server said to a chunk: which ones it holds, and the photo if it made it."""

    held: frozenset[int] = frozenset()
    photo_id: int | None = None


class Transfer:
    """One attempt to send one photo over one session: chunks in order, then `finish`, `settle`."""

    def __init__(
        self,
        photo: Photo,
        *,
        pool: SessionPool,
        session: Session,
        method: Method,
        shipment: Shipment,
        chunks: Sequence[Chunk],
    ) -> None:
        self.chunks = chunks
        self.repeatable = method.repeatable
        self.alias = shipment.sent_name if is_sent_name(shipment.sent_name) else ""
        self.remains = "" if method.repeatable or len(chunks) == 1 else shipment.sent_name
        self._photo = photo
        self._pool = pool
        self._session = session
        self._method = method
        self._shipment = shipment
        self._answer: object = None

    async def send(self, chunk: Chunk, *, progress: Progress) -> Receipt:
        """Send a chunk that is not the last; `progress` takes the bytes of it that went out."""
        self._answer = await self._send(chunk, finishing=False, progress=progress)
        return Receipt(read_held(self._answer), image_id(self._answer))

    async def finish(self, chunk: Chunk, *, progress: Progress) -> int:
        """Send the last chunk and return the photo's id.

        Raises `Unmerged` where the server holds all chunks and names no photo, and `Lost` where
        it names none otherwise.
        """
        self._answer = None
        self._answer = answer = await self._send(chunk, finishing=True, progress=progress)
        if (photo_id := image_id(answer)) is not None:
            return photo_id
        if len(read_held(answer)) == chunk.count:
            raise Unmerged("the server holds the photo's chunks and makes no photo of them")
        raise Lost("the server did not confirm the photo")

    async def settle(self, photo_id: int) -> None:
        """Give the finished photo its real file name and title, where it lacks them.

        May be repeated.
        """
        fields = self._method.names_to_mend(self._shipment, self._answer)
        if fields:
            await self._pool.send(self._session, rename(photo_id, fields))

    async def _send(self, chunk: Chunk, *, finishing: bool, progress: Progress) -> object:
        result: object = None
        for request in self._method.requests(self._shipment, chunk, finishing=finishing):
            try:
                result = await self._pool.send(
                    self._session,
                    request,
                    photo=self._photo,
                    finishing=finishing,
                    progress=progress,
                )
            except BulkupError as error:  # the server knows the photo by its alias, the user not
                sent, real = self._shipment.sent_name, self._shipment.file
                error.message = error.message.replace(sent, real)
                raise
        return result


def rename(photo_id: int, fields: Fields) -> Request:
    """Return the request that sets names of a photo, whatever it is called now."""
    return Request(
        "pwg.images.setInfo",
        (("image_id", str(photo_id)), *fields, ("single_value_mode", "replace")),
        token=True,
    )


def real_name(photo: Photo) -> str:
    """Return the file name that the photo is to have in the gallery."""
    return storable(photo.path.name)
