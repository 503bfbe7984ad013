"""What a photo's journey needs, on a worker: the run's one gate and its ledger are far away.

Knows what to ask the coordinator, and no server.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from typing import TypeVar

from bulkup.cluster.channel import Channel
from bulkup.cluster.messages import of_error
from bulkup.errors import BulkupError
from bulkup.journey import Server, Transfer
from bulkup.memory import Fact
from bulkup.pacing import Tail
from bulkup.photos import Photo

T = TypeVar("T")

_places = count(1)


class FarMemory:
    """The coordinator's ledger, for the photo of one call."""

    def __init__(self, channel: Channel, call: int) -> None:
        self._channel = channel
        self._call = call

    async def begin(self, name: str) -> None:
        """Keep a name."""
        await self._channel.ask("begin", call=self._call, name=name)

    async def end(self, name: str) -> None:
        """Forget a name."""
        await self._channel.ask("end", call=self._call, name=name)

    async def learn(self, fact: Fact, value: int) -> None:
        """Keep what was found out about the server."""
        await self._channel.ask("learn", call=self._call, fact=fact, value=value)


class NotingServer:
    """A server that notes which content of a file was sent last."""

    def __init__(self, server: Server) -> None:
        self.sent: tuple[Photo, str] | None = None
        self._server = server

    @property
    def repeats_formats(self) -> bool:
        """Whether a format that is sent again is one format still."""
        return self._server.repeats_formats

    def transfer(
        self,
        photo: Photo,
        *,
        md5: str,
        album: int,
        level: int,
        attempt: int,
        otherwise: bool,
        tail: Callable[[int], int],
        chunk_size: int,
        replaces: int | None = None,
        format_of: int | None = None,
    ) -> AbstractAsyncContextManager[Transfer]:
        """Begin an attempt to send a photo."""
        self.sent = (photo, md5)
        return self._server.transfer(
            photo,
            md5=md5,
            album=album,
            level=level,
            attempt=attempt,
            otherwise=otherwise,
            tail=tail,
            chunk_size=chunk_size,
            replaces=replaces,
            format_of=format_of,
        )

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the id of each MD5."""
        return await self._server.find(md5s)

    async def sweep(self, name: str) -> None:
        """Remove the half of a photo that is left under a name of ours."""
        await self._server.sweep(name)


class FarGate:
    """The coordinator's gate, for the photo of one call; the `tail` is of this worker's line.

    `sent` tells what is sent: what the photo is now, if it is another than it was, and its MD5.
    """

    def __init__(
        self,
        channel: Channel,
        call: int,
        *,
        tail: Tail,
        sent: Callable[[], tuple[list[int] | None, str]],
    ) -> None:
        self.tail = tail
        self._channel = channel
        self._call = call
        self._sent = sent

    @asynccontextmanager
    async def place(self) -> AsyncIterator["FarPlace"]:
        """Have one of the places lent."""
        number = next(_places)
        photo, md5 = self._sent()
        try:
            await self._channel.ask("enter", call=self._call, place=number, photo=photo, md5=md5)
            yield FarPlace(self._channel, number)
        finally:
            self._channel.tell("leave", place=number)


class FarPlace:
    """A place inside the coordinator's gate."""

    def __init__(self, channel: Channel, number: int) -> None:
        self._channel = channel
        self._number = number
        self._again = False

    async def renew(self) -> None:
        """Let others go first before another try, where the run's gate says so."""
        if self._again:
            await self._channel.ask("again", place=self._number)
        self._again = True

    async def measure(self, finish: Callable[[], Awaitable[T]]) -> T:
        """Return what one try to finish a photo returns, and tell how it went."""
        try:
            result = await finish()
        except BulkupError as error:
            # the answer comes when the run's gate has taken it in, perhaps after a sign of life
            await self._channel.ask("tried", place=self._number, error=of_error(error))
            raise
        self._channel.tell("tried", place=self._number, error=None)
        return result
