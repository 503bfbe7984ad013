"""One attempt to send one photo over one session: chunks in order, the finish, the real names.

Knows what a finished photo still lacks and how to mend it; never tries again by itself.
"""

from collections.abc import Sequence

from bulkup.photos import Chunk, Photo
from bulkup.piwigo.http import Progress, Session
from bulkup.piwigo.methods import Method, Shipment, Upload
from bulkup.piwigo.sessions import SessionPool
from bulkup.piwigo.wire import Request, as_written, image_id, storable, title_of


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
        self._photo = photo
        self._pool = pool
        self._session = session
        self._method = method
        self._shipment = shipment
        self._answer: object = None

    async def send(self, chunk: Chunk, *, progress: Progress) -> None:
        """Send a chunk that is not the last; `progress` takes the bytes of it that went out."""
        await self._send(chunk, finishing=False, progress=progress)

    async def finish(self, *, progress: Progress) -> int | None:
        """Send the last chunk and return the photo's id, or None where the answer names none."""
        self._answer = await self._send(self.chunks[-1], finishing=True, progress=progress)
        return image_id(self._answer)

    async def settle(self, photo_id: int) -> None:
        """Give the finished photo its real file name and title, where it does not have them.

        What the server already had under another name (duplicate detection) keeps that name, and
        a title that the server took out of the file stays. May be repeated.
        """
        fields = self._names_to_mend(self._answer)
        if fields:
            fields = (
                ("image_id", str(photo_id)),
                *fields,
                ("single_value_mode", "replace"),
            )
            await self._pool.send(self._session, Request("pwg.images.setInfo", fields, token=True))

    def _names_to_mend(self, answer: object) -> tuple[tuple[str, str], ...]:
        file = real_name(self._photo)
        sent = self._shipment.sent_name
        if isinstance(self._method, Upload):
            if not self._method.renames or _is_duplicate(answer):
                return ()
            ours = not isinstance(answer, dict) or answer.get("name") in {None, title_of(sent)}
            return (("file", file), ("name", title_of(file))) if ours else (("file", file),)
        match answer:
            case {"file": str(stored), "name": title} if stored != file == as_written(stored):
                ours = title == title_of(stored)
            case None if set(file) & set("&<>\"'\\"):
                ours = True
            case _:
                return ()
        return (("file", file), ("name", title_of(file))) if ours else (("file", file),)

    async def _send(self, chunk: Chunk, *, finishing: bool, progress: Progress) -> object:
        return await self._pool.send(
            self._session,
            self._method.request(self._shipment, chunk),
            photo=self._photo,
            finishing=finishing,
            progress=progress,
        )


def real_name(photo: Photo) -> str:
    """Return the file name that the photo is to have in the gallery."""
    return storable(photo.path.name)


def _is_duplicate(answer: object) -> bool:
    """Tell whether the server took the photo for one it had: then the id is a string (14–17)."""
    return isinstance(answer, dict) and isinstance(answer.get("image_id"), str)
