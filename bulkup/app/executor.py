"""Opens the executor of a run: this machine, or the workers of a cluster."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from anyio import to_thread

from bulkup.app.settings import Account
from bulkup.engine.context import Stop
from bulkup.engine.executor import Executor, LocalExecutor, open_converter
from bulkup.engine.retry import Recovery
from bulkup.errors import UsageError
from bulkup.events import Emit
from bulkup.piwigo.protocol import Offer
from bulkup.source.convert import CONVERTIBLE, check_converter
from bulkup.source.metadata import Labels, Metadata


def no_limit() -> None:
    """Return None: no bandwidth limit."""


def nothing_stated(_: Path) -> None:
    """Return None: no metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What other machines need to know about a run.

    `method` is the upload method, None where files are only fingerprinted. `chunk_size` is the
    user's; `ceiling` is the largest chunk that passes, if an earlier run found it; both in bytes.
    `limit` returns the bandwidth limit of all machines together in bytes a second. `zips` are the
    zip archives that are uploaded as one tree. `stated` returns what only this machine knows of a
    photo, None if it knows nothing of any; it may read files. Both functions stay here. `reads`
    is which kinds of IPTC texts the gallery reads itself, as far as known.
    """

    account: Account
    method: str | None
    concurrency: int
    retries: int
    patience_s: float
    chunk_size: int | None = None
    ceiling: int | None = None
    labels: Labels = field(default_factory=Labels)
    zips: Sequence[Path] = ()
    reads: Mapping[str, bool] = field(default_factory=dict)
    limit: Callable[[], int | None] = no_limit
    stated: Callable[[Path], Metadata | None] | None = None


class ExecutorFactory(Protocol):
    """Opens the executor of other machines."""

    def __call__(
        self, run_settings: RunSettings, /, *, recovery: Recovery, emit: Emit, stop: Stop
    ) -> AbstractAsyncContextManager[Executor]:
        """Open it, and close it at the end. Raises `RunError` where there are no machines."""


def open_executor(
    executor_factory: ExecutorFactory | None,
    run_settings: RunSettings,
    *,
    converts: bool,
    sends: bool = True,
    recovery: Recovery,
    emit: Emit,
    stop: Stop,
) -> AbstractAsyncContextManager[Executor]:
    """Open the executor of a run, this machine if there is no factory.

    If it `converts` photos, it keeps the JPEGs only if it `sends` them.
    """
    if converts:
        return open_converter(sends=sends)
    if executor_factory is None:
        return nullcontext(LocalExecutor())
    return executor_factory(run_settings, recovery=recovery, emit=emit, stop=stop)


async def check_convert(*, converts: bool, executor_factory: ExecutorFactory | None) -> None:
    """Raise `UsageError` where photos are to be converted and can't be."""
    if not converts:
        return
    if executor_factory is not None:
        raise UsageError(
            "--convert does not work with --dask: only this machine converts photos",
            hint="Leave out one of them.",
        )
    await to_thread.run_sync(check_converter)


def accepted_endings(
    offer: Offer, *, converts: bool
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Return the endings of the files to upload, None for all, and of those sent as JPEG."""
    if offer.endings is None:
        return None, frozenset()
    converted = CONVERTIBLE - offer.endings if converts else frozenset()
    return offer.endings | converted, converted
