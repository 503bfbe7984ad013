"""What a worker tells of its photos on their way: many events in one message, progress once.

Knows events, and the channel that they go through.
"""

from typing import Final

import anyio

from bulkup.cluster.channel import Channel
from bulkup.cluster.messages import Message, of_event
from bulkup.events import Event, PhotoProgress

OFTEN_S: Final = 0.1
"""Nobody sees anything sooner on a screen."""


class Told:
    """Events that wait to be told."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._events: list[tuple[int | None, Message]] = []
        self._progress: dict[int, int] = {}

    def tell(self, event: Event, *, call: int | None = None) -> None:
        """Take in an event, of the photo of a call or of none."""
        message = of_event(event)
        if message is None:
            return
        if call is not None:
            if isinstance(event, PhotoProgress):
                if (index := self._progress.get(call)) is not None:
                    self._events[index] = (call, message)
                    return
                self._progress[call] = len(self._events)
            else:
                self._progress.pop(call, None)
        self._events.append((call, message))

    def flush(self) -> None:
        """Tell what waits."""
        if self._events:
            self._channel.tell("events", events=self._events)
            self._events = []
            self._progress.clear()

    async def flush_often(self) -> None:
        """Tell what waits, again and again, until cancelled."""
        while True:
            await anyio.sleep(OFTEN_S)
            self.flush()
