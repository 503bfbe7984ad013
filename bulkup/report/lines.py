"""Lines on their way to a file or pipe, written by a thread so that no slow disk holds up a run.

Knows a stream. What can't be written any more is told once, by the next line's `OSError`.
"""

import threading
from queue import SimpleQueue
from typing import Final, TextIO

from anyio import CancelScope, to_thread

MOST_WAITING: Final = 200_000


class LineWriter:
    """Writes lines to a stream, in order; `close` ends it. With `owned`, it closes the stream."""

    def __init__(self, stream: TextIO, *, owned: bool = False) -> None:
        self._stream = stream
        self._owned = owned
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._write, name="bulkup-lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Have a line written, that ends as it stands here.

        Raises `OSError` where an earlier one could not be written, or too many are waiting.
        """
        if self._failure is not None:
            raise self._failure
        if self._waiting.qsize() > MOST_WAITING:
            raise BlockingIOError(f"{MOST_WAITING:,} lines wait for whoever is to read them")
        self._waiting.put(line)

    async def close(self) -> None:
        """Write what is left, even under cancellation. Raises `OSError` where that fails."""
        self._waiting.put(None)
        with CancelScope(shield=True):
            await to_thread.run_sync(self._thread.join)
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        try:
            while (line := self._waiting.get()) is not None:
                self._stream.write(line)
                if self._waiting.empty():
                    self._stream.flush()
        except OSError as error:
            self._failure = error
        finally:
            self._end()

    def _end(self) -> None:
        try:
            if self._owned:
                self._stream.close()
            else:
                self._stream.flush()
        except OSError as error:
            self._failure = self._failure or error
