"""What the desk knows of each worker that is with it, and what the workers tell of themselves.

Knows what is said, and decides nothing about photos.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import anyio
from anyio import CancelScope
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bulkup.cluster.channel import GONE_S, Channel
from bulkup.cluster.messages import Message, of_labels
from bulkup.cluster.waiting import Call
from bulkup.cluster.zone import local_zone
from bulkup.events import Emit, Event, Noticed, OutageBegan, OutageEnded
from bulkup.hands import Errand
from bulkup.recovery import Sleep

MOST_SAID: Final = 10_000
"""So many notices are remembered, to say each once."""


@dataclass(eq=False, slots=True)
class Link:
    """One worker's process: its name, when it was `heard`, and the calls that it has in hand.

    `still` is the last time of holding everybody that it has said to send nothing for; `parting`
    tells that it is not listened to any more.
    """

    channel: Channel
    heard: float
    worker: str = ""
    still: int = 0
    parting: bool = False
    scope: CancelScope = field(default_factory=CancelScope)
    calls: dict[int, Call] = field(default_factory=dict)
    _places: dict[int, MemoryObjectSendStream[Message]] = field(default_factory=dict)
    _share: int | None = None

    @property
    def sends(self) -> bool:
        """Whether it has photos to send, and not only to read."""
        return any(call.job is not None for call in self.calls.values())

    async def expire(self, clock: Callable[[], float], sleep: Sleep) -> None:
        """Part with the worker when it has not been heard for too long."""
        while (left_s := self.heard + GONE_S - clock()) > 0:
            await sleep(left_s)
        self.part()

    def part(self) -> None:
        """Listen to the worker no longer."""
        self.parting = True
        self.scope.cancel()

    def place(self, message: Message) -> MemoryObjectReceiveStream[Message]:
        """Return what the worker will say of a place in the gate that it asks for."""
        say, said = anyio.create_memory_object_stream[Message](4)
        self._places[message["place"]] = say
        return said

    def say(self, message: Message) -> None:
        """Pass on what the worker says of a place."""
        if (say := self._places.get(message["place"])) is not None:
            if message["kind"] != "leave":
                with suppress(anyio.BrokenResourceError):  # nobody waits for that any more
                    say.send_nowait(message)
                return
            del self._places[message["place"]]
            say.close()

    def close(self) -> None:
        """Have it known that nothing more will be said."""
        for say in self._places.values():
            say.close()
        self._places.clear()

    def give(self, share: int | None) -> None:
        """Let the worker send so many bytes a second, None: as many as it can."""
        if share != self._share:
            self._share = share
            self.channel.tell("share", limit=share)


def errand_message(errand: Errand, *, trusted: bool, ca_cert: str) -> Message:
    """Return what a worker has to know; the secrets among it only if it can be `trusted`.

    `ca_cert` are the certificates that are trusted besides its system's, as text.
    """
    account, sending = errand.account, errand.sending
    secrets = {"password": account.password, "api_key": account.api_key} if trusted else {}
    return {
        "url": account.url,
        "user": account.user,
        "by_key": bool(account.api_key),
        **secrets,
        "ca_cert": ca_cert,
        "insecure": account.insecure,
        "concurrency": sending.concurrency,
        "method": errand.method,
        "retries": sending.retries,
        "patience_s": sending.patience_s,
        "chunk_size": sending.chunk_size,
        "ceiling": errand.ceiling,
        "labels": of_labels(errand.labels),
        "zone": local_zone(),
    }


class Remarks:
    """What workers tell of themselves, told on as of one machine."""

    def __init__(self, emit: Emit, *, clock: Callable[[], float]) -> None:
        self._emit = emit
        self._clock = clock
        self._said: set[str] = set()
        self._away: dict[Link, float] = {}
        self._kept: dict[Link, Sequence[Sequence[str]]] = {}

    def tell(self, link: Link, event: Event) -> None:
        """Tell of an event that concerns no photo: an outage is one for all workers."""
        match event:
            case OutageBegan():
                if not self._away:
                    self._emit(event)
                self._away.setdefault(link, self._clock())
            case OutageEnded():
                self._back(link)
            case Noticed(message=message):
                if message not in self._said and len(self._said) < MOST_SAID:
                    self._said.add(message)
                    self._emit(event)
            case _:
                self._emit(event)

    def parted(self, link: Link) -> None:
        """Take in that a worker has gone."""
        self._back(link)

    def _back(self, link: Link) -> None:
        began = min(self._away.values(), default=0.0)
        if self._away.pop(link, None) is not None and not self._away:
            self._emit(OutageEnded(seconds=self._clock() - began))

    def keep(self, link: Link, remarks: Sequence[Sequence[str]]) -> None:
        """Keep what a worker would remark at its end, in place of what it said before."""
        self._kept[link] = remarks

    def all(self) -> Iterable[tuple[str, str]]:
        """Return what there is to remark at the end of the run, each thing once."""
        said = {message: hint for told in self._kept.values() for message, hint in told}
        return said.items()
