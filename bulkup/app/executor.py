"""Opens what executes the work of a run: this machine, or the workers of a cluster."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bulkup.app.settings import Account, UploadSettings
from bulkup.engine.executor import Executor, LocalExecutor, Stopping
from bulkup.engine.retry import Recovery
from bulkup.events import Emit
from bulkup.source.metadata import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What other machines have to know of a run to have a hand in it.

    `method` is the way photos are sent. `limit` tells how many bytes a second may go out of all
    machines together, None: as many as their lines take. `ceiling` is the largest chunk that
    passes, in bytes, if an earlier run has found that out.
    """

    account: Account
    sending: UploadSettings
    labels: Labels
    method: str
    limit: Callable[[], int | None]
    ceiling: int | None = None


class ExecutorFactory(Protocol):
    """How to come by other machines' hands."""

    def __call__(
        self, run_settings: RunSettings, /, *, recovery: Recovery, emit: Emit, stop: Stopping
    ) -> AbstractAsyncContextManager[Executor]:
        """Lend them, and let them go at the end. Raises `RunError` where there are none."""


@asynccontextmanager
async def open_executor(
    executor_factory: ExecutorFactory | None,
    run_settings: RunSettings,
    *,
    recovery: Recovery,
    emit: Emit,
    stop: Stopping,
) -> AsyncIterator[Executor]:
    """Lend who reads and sends the photos: this machine if nobody else is hired."""
    if executor_factory is None:
        yield LocalExecutor()
        return
    async with executor_factory(run_settings, recovery=recovery, emit=emit, stop=stop) as executor:
        yield executor
