"""The clock of the running event loop, set forward: long waits end at once, and in order."""

import asyncio


def skip(seconds: float) -> None:
    """Let that much time pass for whatever the running event loop waits for."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]
