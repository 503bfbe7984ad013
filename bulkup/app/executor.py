"""bulkup.app.executor."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bulkup.app.settings import Account, Sending
from bulkup.engine.executor import Hands, OwnHands, Stopping
from bulkup.engine.retry import Recovery
from bulkup.events import Emit
from bulkup.source.metadata import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What other machines have to know of a run to have a hand in it.

    `method` is the way photos are sent. `limit` tells how many bytes a second may go out of all
    machines together, None: as many as their lines take. `ceiling` is the largest chunk that
    passes, in bytes, if an earlier run has found that out.
    """

    account: Account
    sending: Sending
    labels: Labels
    method: str
    limit: Callable[[], int | None]
    ceiling: int | None = None


class Hire(Protocol):
    """How to come by other machines' hands."""

    def __call__(
        self, errand: Errand, /, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> AbstractAsyncContextManager[Hands]:
        """Lend them, and let them go at the end. Raises `RunError` where there are none."""


@asynccontextmanager
async def hired(
    hire: Hire | None, errand: Errand, *, recovery: Recovery, emit: Emit, stop: Stopping
) -> AsyncIterator[Hands]:
    """Lend who reads and sends the photos: this machine if nobody else is hired."""
    if hire is None:
        yield OwnHands()
        return
    async with hire(errand, recovery=recovery, emit=emit, stop=stop) as hands:
        yield hands
