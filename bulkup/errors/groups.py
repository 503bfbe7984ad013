"""Unwraps the exception groups of task groups."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from bulkup.errors import RunError


@asynccontextmanager
async def one_error() -> AsyncIterator[None]:
    """Unwrap the group that a task group raises: a bug first, then what ended the run."""
    try:
        yield
    except BaseExceptionGroup as group:
        # who sends to a stage that ends by an error may notice before being cancelled
        _, causes = group.split(anyio.BrokenResourceError)
        run_errors, bugs = (causes or group).split(RunError)
        if bugs is not None or run_errors is None:
            raise
        error: BaseException = run_errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
