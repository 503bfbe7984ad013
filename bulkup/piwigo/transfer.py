"""One attempt to send one photo over one session: chunks in order, the finish, names and details.

Knows what a finished photo still lacks and how to mend it; never tries again by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bulkup.errors import BulkupError, Lost, Unmerged
from bulkup.failures import answers
from bulkup.photos import Chunk, Photo
from bulkup.piwigo.bodies import Progress
from bulkup.piwigo.captions import Captions
from bulkup.piwigo.details import Stored
from bulkup.piwigo.http import Session
from bulkup.piwigo.methods import SPOILT, Method, Shipment
from bulkup.piwigo.names import is_sent_name, storable
from bulkup.piwigo.results import image_id, read_held
from bulkup.piwigo.sessions import SessionPool
from bulkup.piwigo.wire import Request


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server said to a chunk: which ones it holds, and the photo if it made it."""

    held: frozenset[int] = frozenset()
    photo_id: int | None = None


class Transfer:
    """One attempt to send one photo over one session.

    First `prepare`, then the chunks in order, then `finish`, then `settle`.
    """

    def __init__(
        self,
        photo: Photo,
        *,
        pool: SessionPool,
        session: Session,
        method: Method,
        shipment: Shipment,
        chunks: Sequence[Chunk],
        captions: Captions,
    ) -> None:
        self.chunks = chunks
        self.repeatable = method.repeatable
        self.alias = shipment.alias
        self.remains = "" if method.repeatable or len(chunks) == 1 else shipment.sent_name
        self._photo = photo
        self._pool = pool
        self._session = session
        self._method = method
        self._shipment = shipment
        self._captions = captions
        self._answer: object = None

    async def prepare(self) -> None:
        """Make what the server needs before the photo: its tags. May be repeated."""
        ids = await self._captions.tag_ids(self._shipment.details, ask=self._ask)
        self._shipment = replace(self._shipment, tag_ids=ids)

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
            raise Unmerged(answers.UNMERGED())
        raise Lost(answers.UNCONFIRMED())

    async def settle(self, photo_id: int) -> None:
        """Give the finished photo its real name and its details, where it lacks them.

        What the server had before stays as it is. May be repeated.
        """
        shipment = self._shipment
        if shipment.format_of is not None:
            return
        if shipment.replaces is not None:
            await self._amend(photo_id)
            return
        stored = await self._stored(photo_id)
        if stored is None:
            return
        await self._captions.set(
            photo_id,
            shipment.details,
            photo=self._photo,
            tag_ids=shipment.tag_ids,
            stored=stored,
            file=shipment.file if shipment.alias else "",
            ask=self._ask,
        )

    async def _amend(self, photo_id: int) -> None:
        """Give a photo that got another file that file's name, where the server spoilt it.

        The server has also read the date out of the file, over which what a sidecar says wins.
        """
        shipment = self._shipment
        details, spoilt = shipment.details, not SPOILT.isdisjoint(shipment.file)
        if not spoilt and not details.date:
            return
        told = await self._captions.look(photo_id, ask=self._ask) if details.date else {}
        await self._captions.set(
            photo_id,
            details,
            photo=self._photo,
            tag_ids=(),
            stored={"name": "kept", "date_creation": told.get("date_creation")},
            file=shipment.file if spoilt else "",
            ask=self._ask,
        )

    async def _stored(self, photo_id: int) -> Stored | None:
        """Return what is known of the photo as it is stored, None if it is not the one we sent.

        The server is asked where the answer to the finish was lost, or where it tells too little.
        """
        details, answer = self._shipment.details, self._answer
        told: Stored = answer if isinstance(answer, dict) else {}
        known = isinstance(told.get("image_id"), str)  # perhaps from an earlier attempt of ours
        lost = answer is None and bool(details or self.alias)
        if (known or lost or details.depends) and "file" not in told:
            told = await self._captions.look(photo_id, ask=self._ask) or told
            self._answer = told  # once: later it would tell what we have set
        file = str(told.get("file", "" if known else self.alias))
        return told if is_sent_name(file) or not (known or self.alias) else None

    async def _ask(self, request: Request) -> object:
        return await self._pool.send(self._session, request)

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
                error.told = replace(error.told, message=error.message.replace(sent, real))
                raise
        return result


def real_name(photo: Photo) -> str:
    """Return the file name that the photo is to have in the gallery."""
    return storable(photo.path.name)
