"""The commands that need no gallery: they rehearse on a stand-in for one.

Knows the command line library and what the commands are given.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def sandbox(
    *,
    port: int = 8080,
    host: str = "127.0.0.1",
    piwigo: str = "16.4.0",
    folder: Path | None = None,
    discard: bool = False,
    workers: int | None = None,
    start_workers: int | None = None,
    cpus: int | None = None,
    finish_time: float = 0.0,
    page_time: float = 0.0,
    exist_time: float = 0.0,
    gateway_timeout: float = 60.0,
) -> int:
    """Start a stand-in for a Piwigo server, to try bulkup on without a gallery.

    Its administrator is `admin` with the password `secret`, its album has number 1.

    Parameters
    ----------
    port
        Port to listen on; 0 takes a free one.
    host
        Address to listen on. Anything but loopback lets others in.
    piwigo
        Version of Piwigo to stand in for: 13.8.0, 14.5.0, 15.7.0, 16.4.0 or 17.0.0beta1.
    folder
        Keep the photos as files there; otherwise in memory.
    discard
        Keep only sums and sizes of the photos.
    workers
        Number of PHP workers to have; unlimited by default.
    start_workers
        Number of PHP workers at first; one more comes each second while requests wait.
    cpus
        How many workers compute at full speed at once; all by default.
    finish_time
        Seconds of work that a finished photo costs, most of them in a second worker. As many
        photos finishing at once as there are workers freeze the gallery, as they do a real one.
    page_time
        Seconds of work that a view of the front page costs.
    exist_time
        Seconds of work that it costs to look up 100,000 photos by their sums.
    gateway_timeout
        Seconds that the web server waits for PHP before it answers 504.
    """
    from bulkup.rehearsal import serve  # noqa: PLC0415 (heavy)

    return serve(
        port=port,
        host=host,
        version=piwigo,
        folder=folder,
        discard=discard,
        workers=workers,
        start_workers=start_workers,
        cpus=cpus,
        finish_s=finish_time,
        page_s=page_time,
        exist_s=exist_time,
        gateway_timeout_s=gateway_timeout,
    )


def demo(
    path: Annotated[Path | None, Parameter(help="Your own photos, instead of made ones.")] = None,
    /,
    *,
    keep: Annotated[
        bool, Parameter(help="Leave the server up at the end, to look at its page.", negative="")
    ] = False,
) -> int:
    """Rehearse: upload an archive to a sandbox server on this machine, and check every photo."""
    from bulkup.rehearsal import rehearse  # noqa: PLC0415 (heavy)

    return rehearse(path, keep=keep)
