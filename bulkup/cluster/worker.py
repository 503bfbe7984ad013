"""What runs on a Dask worker: a task that comes for a batch, and the thread that works at it.

Knows Dask's worker only for its name and its certificates. Each process has one thread with an
event loop of its own for each run: Dask's loop is never held up, and sessions outlive tasks. A
task ends when the last photo of its batch is begun, so that the next batch is there in time.
"""

import asyncio
import threading
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Final

import anyio
from distributed import get_worker

from bulkup.cluster.hand import Hand
from bulkup.cluster.visiting import Unfit

LOOK_S: Final = 2.0
REACH_S: Final = 20.0
"""How long a connection to the coordinator may take to come about."""

_hands: dict[str, "Thread"] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where a run's workers come to, and what lets them in."""

    host: str
    port: int
    token: str = field(repr=False)


def turn(invitation: Invitation) -> str:
    """Come for a batch; return why this worker is unfit for the run, empty if it is not."""
    worker = get_worker()
    with _lock:
        thread = _hands.get(invitation.token)
        if thread is None or thread.over:
            tls = worker.security.get_connection_args("worker")["ssl_context"]
            encrypted = worker.address.startswith("tls://")
            thread = Thread(invitation, name=worker.address, tls=tls if encrypted else None)
            _hands[invitation.token] = thread
            thread.start()
    try:
        thread.ready.result()
        thread.turn()
    except Unfit as error:
        return str(error)
    except (CancelledError, asyncio.CancelledError, RuntimeError):
        return ""  # the coordinator is gone, or takes us for gone: it knows what to do
    return ""


class Thread(threading.Thread):
    """The thread of one run in this process."""

    def __init__(self, invitation: Invitation, *, name: str, tls: SSLContext | None) -> None:
        super().__init__(name="bulkup", daemon=True)
        self.ready: Future[None] = Future()
        self._invitation = invitation
        self._hand = Hand(name=name, token=invitation.token)
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.ready.done() and not self.is_alive()

    def turn(self) -> None:
        """Come for a batch, and wait until the last photo of it is begun."""
        if self._loop is None:
            raise CancelledError
        coming = self._hand.turn()
        try:
            begun = asyncio.run_coroutine_threadsafe(coming, self._loop)
            while not wait((begun,), LOOK_S).done:
                if not self.is_alive():  # nobody would ever tell
                    raise CancelledError
            begun.result()
        finally:
            coming.close()

    def run(self) -> None:
        """Work until the coordinator says good-bye, or is gone."""
        try:
            anyio.run(self._work)
        except Unfit as error:
            self._give_up(error)
        except OSError as error:
            where = f"{self._invitation.host}:{self._invitation.port}"
            why = str(error) or "no answer"
            self._give_up(Unfit(f"it can't reach the coordinator at {where}: {why}"))
        finally:
            self._give_up(CancelledError())
            with _lock:
                if _hands.get(self._invitation.token) is self:
                    del _hands[self._invitation.token]

    def _give_up(self, error: BaseException) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        host, port = self._invitation.host, self._invitation.port
        with anyio.fail_after(REACH_S):
            if self._tls is None:
                stream: anyio.abc.ByteStream = await anyio.connect_tcp(host, port)
            else:
                stream = await anyio.connect_tcp(
                    host, port, ssl_context=self._tls, tls_standard_compatible=False
                )
        await self._hand.work(stream, ready=lambda: self.ready.set_result(None))
