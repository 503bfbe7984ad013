"""A Piwigo gallery in bulkup's words: its catalogue, and photos on their way to it.

Knows the method by which photos are sent. It never waits and never tries again: a failure is
raised, `recovery` decides.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Final

import anyio

from bulkup.errors import Damaged, NotOffered, PhotoError
from bulkup.failures import answers
from bulkup.photos import Photo, plan_chunks
from bulkup.piwigo.captions import Captions, Describe
from bulkup.piwigo.catalogue import Offer
from bulkup.piwigo.census import Census
from bulkup.piwigo.details import Details
from bulkup.piwigo.formats import FormatCatalogue
from bulkup.piwigo.methods import Method, Shipment, Upload
from bulkup.piwigo.results import image_id, number
from bulkup.piwigo.sessions import SessionPool
from bulkup.piwigo.transfer import Transfer, real_name
from bulkup.piwigo.wire import Fields, Request

PICTURES: Final = frozenset({"jpg", "jpeg", "png", "gif", "webp"})


class PiwigoServer(FormatCatalogue):
    """A gallery that somebody is logged in to."""

    def __init__(
        self,
        pool: SessionPool,
        *,
        offer: Offer,
        method: Method,
        describe: Describe | None = None,
        replacers: Sequence[Method] = (),
    ) -> None:
        super().__init__(pool, offer=offer)
        self.method = method
        self.census = Census(pool)
        self.captions = Captions(offer.methods, offer.version, describe)
        self.replaces = bool(replacers)
        self.takes_formats = not offer.methods or "pwg.images.upload" in offer.methods
        self.repeats_formats = number(offer.version.partition(".")[0]) >= 16
        self._replacers = replacers
        self._format_way: Method = Upload(renames=True)
        self._second_way: Method = Upload(renames=self.captions.can_set)
        self._blind = False
        self._names: dict[str, tuple[anyio.Lock, int]] = {}

    @asynccontextmanager
    async def transfer(
        self,
        photo: Photo,
        *,
        md5: str,
        album: int,
        level: int,
        attempt: int,
        chunk_size: int,
        otherwise: bool = False,
        tail: Callable[[int], int] = lambda _: 0,
        replaces: int | None = None,
        format_of: int | None = None,
    ) -> AsyncIterator[Transfer]:
        """Lend a session for one attempt, from 1 on, to send one photo; `otherwise`: by `upload`.

        What `replaces` the file of a photo goes in one of the ways that name the photo by its
        number, to be used where `self.replaces`, and under its real name: what is under a name of
        ours may be removed. A format (`format_of`) goes by `upload`, the only way for it, under a
        name of ours: the server looks at the ending only.

        `tail` tells how many bytes of a last chunk of so many are to be one by themselves.

        Where the server keeps chunks by name and the photo has to travel under its own, photos of
        one name wait for each other: the server would mix them up.

        Details go with the photo where the method takes them, but not where they depend on what
        the server makes of it, nor where nobody knows whether it has the photo already.
        """
        method = self._second_way if otherwise else self.method
        file = real_name(photo)
        details = await self.captions.of(photo) if format_of is None else Details()
        if replaces is not None:
            details = Details(date=details.date)  # the rest is kept by the server
        aside = details.depends or (bool(details) and self._blind)
        name = file if replaces is not None else ""
        if replaces is not None:
            method = self._replacers[-1 if otherwise else 0]
        elif format_of is not None:
            method = self._format_way
            name = method.sent_name(file.lower(), attempt=attempt)  # it takes .nef and not .NEF
        shipment = Shipment(
            file,
            name := name or method.sent_name(file, attempt=attempt, aside=aside),
            md5,
            album=album,
            level=level,
            attempt=attempt,
            details=details,
            replaces=replaces,
            format_of=format_of,
        )
        alone = nullcontext() if method.repeatable else self._alone(name)
        async with alone, self._pool.lease() as session:
            yield Transfer(
                photo,
                pool=self._pool,
                session=session,
                method=method,
                shipment=shipment,
                chunks=plan_chunks(photo.size, chunk_size=chunk_size, tail=tail),
                captions=self.captions,
            )

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each photo with one of these MD5s, None for absent.

        An MD5 that is missing in the answer is one that this server can't tell about.
        """
        found = await super().find(md5s)
        self._blind = self._blind or not found.keys() >= set(md5s)
        return found

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Give a photo that an earlier run has sent its real name and its details.

        May be repeated. Raises `NotOffered` where the server has no way to do that.
        """
        if not self.captions.can_set:
            raise NotOffered(answers.NOT_OFFERED(method="pwg.images.setInfo"))
        ask = self._pool.call
        details = await self.captions.of(photo)
        await self.captions.set(
            photo_id,
            details,
            photo=photo,
            tag_ids=await self.captions.tag_ids(details, ask=ask),
            stored=await self.captions.look(photo_id, ask=ask) if details else {},
            file=real_name(photo),
            ask=ask,
        )

    async def sweep(self, name: str) -> None:
        """Empty the server's buffer of `pwg.images.upload` for a name of ours.

        A request of one chunk empties the buffer first; no picture being in it, the server
        refuses and removes it (piwigo-api.md, 3.1). Galleries that take files of all types might
        keep it, so they are left alone. May be repeated.
        """
        if not (self.offer.endings or PICTURES) <= PICTURES:
            return
        fields: Fields = (("name", name), ("category", "1"), ("level", "8"))
        try:
            result = await self._pool.call(Request("pwg.images.upload", fields, token=True))
        except (PhotoError, Damaged, NotOffered):
            return
        if (photo_id := image_id(result)) is not None:
            await self.remove(photo_id)

    async def line_speed(self) -> float | None:
        """Return the bytes a second that the line takes, None where that can't be told."""
        return await self.census.line_speed()

    async def probe(self) -> None:
        """Ask for a sign of life. Raises `Transient` where there is none."""
        try:
            await self._pool.knock()
        except (NotOffered, PhotoError):
            return

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """Hold a name on the server to ourselves; a name nobody else has costs nothing."""
        lock, users = self._names.get(name, (anyio.Lock(), 0))
        self._names[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._names.pop(name)
            if users > 1:
                self._names[name] = (lock, users - 1)
