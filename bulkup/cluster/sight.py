"""Whether a worker sees the file that the coordinator means.

Knows the disk, and what is asked for.
"""

import os
from pathlib import Path
from stat import S_ISREG
from typing import Final

from anyio import to_thread

from bulkup.cluster.messages import Message
from bulkup.photos import Photo

SAME_NS: Final = 2 * 10**9
"""Times of a file that are no further apart may be one: not all file systems keep it exactly."""


class Unseen(Exception):
    """This worker does not see the file that is meant."""


async def look(order: Message) -> Photo:
    """Return the photo that is meant, as it is here. Raises `Unseen`."""
    return await to_thread.run_sync(_look, order)


def _look(order: Message) -> Photo:
    path = Path(order["where"])
    try:
        # a pipe in its place would make an ordinary open wait for its writer
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name"
        raise Unseen(f"{path}: {reason}") from None
    if not S_ISREG(status.st_mode):
        raise Unseen(f"{path} is no file there")
    if status.st_size != order["size"] or abs(status.st_mtime_ns - order["mtime_ns"]) > SAME_NS:
        raise Unseen(f"{path} is another file there, of {status.st_size:,} bytes")
    return Photo(path, status.st_size, status.st_mtime_ns)
