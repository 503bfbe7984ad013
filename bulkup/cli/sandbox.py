"""The `sandbox` and `demo` commands and their flags."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bulkup.cli.command import command
from bulkup.cli.flags import flag, flags


@flags("Sandbox")
@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFlags:
    """The simulated gallery."""

    port: Annotated[int, flag("Port to listen on; 0 picks a free one.")] = 8080
    host: Annotated[
        str, flag("Address to listen on. Other machines can connect unless it is loopback.")
    ] = "127.0.0.1"
    piwigo: Annotated[
        str,
        flag(
            "Piwigo version to simulate: 13.8.0, 14.5.0, 15.7.0, 16.4.0 or 17.0.0beta1.",
            metavar="VERSION",
        ),
    ] = "16.4.0"
    folder: Annotated[
        Path | None, flag("Store photos as files in this folder. Default: in memory.")
    ] = None
    discard: Annotated[bool, flag("Keep only checksums and sizes of photos.")] = False
    use_iptc: Annotated[
        bool,
        flag("Read titles, descriptions and keywords from IPTC data, as with Piwigo's use_iptc."),
    ] = False


@flags("Simulated load")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFlags:
    """The speed of the simulated server."""

    workers: Annotated[int | None, flag("Number of PHP workers. Default: unlimited.")] = None
    start_workers: Annotated[
        int | None,
        flag("PHP workers at start; one more starts each second while requests wait."),
    ] = None
    cpus: Annotated[
        int | None, flag("Number of workers that can run at full speed at once. Default: all.")
    ] = None
    finish_time: Annotated[
        float,
        flag(
            "Seconds of work to finish a photo, most of it in a second worker. Finishing as many "
            "photos at once as there are workers blocks the gallery, as on a real server.",
            metavar="SECONDS",
        ),
    ] = 0.0
    page_time: Annotated[
        float, flag("Seconds of work to show the front page.", metavar="SECONDS")
    ] = 0.0
    exist_time: Annotated[
        float,
        flag(
            "Seconds of work to look up 100,000 photos by checksum, which bulkup uses to count "
            "PHP workers.",
            metavar="SECONDS",
        ),
    ] = 0.14
    gateway_timeout: Annotated[
        float,
        flag(
            "Seconds that the web server waits for PHP before it answers 504.", metavar="SECONDS"
        ),
    ] = 60.0


@command
def sandbox(*, gallery: SandboxFlags = SandboxFlags(), load: LoadFlags = LoadFlags()) -> int:
    """Run a simulated Piwigo server."""
    from bulkup.app.demo import serve

    return serve(**asdict(gallery), **asdict(load))


@flags("Demo")
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFlags:
    """What happens at the end of the demo."""

    keep: Annotated[bool, flag("Keep the server running, to look at its page.")] = False


@command
def demo(
    path: Annotated[
        Path | None, Parameter(help="Folder of your own photos. Default: generated pictures.")
    ] = None,
    /,
    *,
    options: DemoFlags = DemoFlags(),
) -> int:
    """Upload photos to a sandbox server."""
    from bulkup.app.demo import run_demo

    return run_demo(path, keep=options.keep)
