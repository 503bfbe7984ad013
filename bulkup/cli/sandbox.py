"""The `sandbox` and `demo` commands and their flags."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bulkup.cli.flags import flag, group

GALLERY = group("Sandbox")
LOAD = group("Simulated load")
KEEPING = group("At the end")


def sandbox(
    *,
    port: Annotated[
        int,
        flag("Port to listen on; 0 takes a free one.", group=GALLERY, variable="BULKUP_PORT"),
    ] = 8080,
    host: Annotated[
        str,
        flag(
            "Address to listen on. Anything but loopback lets others in.",
            group=GALLERY,
            variable="BULKUP_HOST",
        ),
    ] = "127.0.0.1",
    piwigo: Annotated[
        str,
        flag(
            "Version of Piwigo to stand in for: 13.8.0, 14.5.0, 15.7.0, 16.4.0 or 17.0.0beta1.",
            group=GALLERY,
            variable="BULKUP_PIWIGO",
            metavar="VERSION",
        ),
    ] = "16.4.0",
    folder: Annotated[
        Path | None,
        flag(
            "Keep the photos as files there; otherwise in memory.",
            group=GALLERY,
            variable="BULKUP_FOLDER",
        ),
    ] = None,
    discard: Annotated[
        bool,
        flag("Keep only sums and sizes of photos.", group=GALLERY, variable="BULKUP_DISCARD"),
    ] = False,
    workers: Annotated[
        int | None,
        flag(
            "Number of PHP workers to have; unlimited by default.",
            group=LOAD,
            variable="BULKUP_WORKERS",
        ),
    ] = None,
    start_workers: Annotated[
        int | None,
        flag(
            "Number of PHP workers at first; one more comes each second while requests wait.",
            group=LOAD,
            variable="BULKUP_START_WORKERS",
        ),
    ] = None,
    cpus: Annotated[
        int | None,
        flag(
            "How many workers compute at full speed at once; all by default.",
            group=LOAD,
            variable="BULKUP_CPUS",
        ),
    ] = None,
    finish_time: Annotated[
        float,
        flag(
            "Seconds of work that a finished photo costs, most of them in a second worker. As "
            "many photos finishing at once as there are workers freeze the gallery, as they do a "
            "real one.",
            group=LOAD,
            variable="BULKUP_FINISH_TIME",
            metavar="SECONDS",
        ),
    ] = 0.0,
    page_time: Annotated[
        float,
        flag(
            "Seconds of work that a view of the front page costs.",
            group=LOAD,
            variable="BULKUP_PAGE_TIME",
            metavar="SECONDS",
        ),
    ] = 0.0,
    exist_time: Annotated[
        float,
        flag(
            "Seconds of work that it costs to look up 100,000 photos by their sums; by that its "
            "workers are counted.",
            group=LOAD,
            variable="BULKUP_EXIST_TIME",
            metavar="SECONDS",
        ),
    ] = 0.14,
    gateway_timeout: Annotated[
        float,
        flag(
            "Seconds that the web server waits for PHP before it answers 504.",
            group=LOAD,
            variable="BULKUP_GATEWAY_TIMEOUT",
            metavar="SECONDS",
        ),
    ] = 60.0,
) -> int:
    """Start a stand-in for a Piwigo server, to try bulkup on without a gallery.

    Its administrator is `admin` with the password `secret`, its album has number 1.
    """
    from bulkup.app.demo import serve  # noqa: PLC0415 (heavy)

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
        bool,
        flag(
            "Leave the server up at the end, to look at its page.",
            group=KEEPING,
            variable="BULKUP_KEEP",
        ),
    ] = False,
) -> int:
    """Rehearse: upload an archive to a sandbox server on this machine, and check every photo."""
    from bulkup.app.demo import run_demo  # noqa: PLC0415 (heavy)

    return run_demo(path, keep=keep)
