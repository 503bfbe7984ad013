"""What the user wants to see of a run: validated options of the outputs and the monitor."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from bulkup.errors import UsageError, check_range

LOOPBACK: Final = "127.0.0.1"


SHORTEST_TOKEN: Final = 16


MAKE_ONE: Final = "`openssl rand -hex 16` makes one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """A host and a port, 0 for any that is free; the token is empty where none is asked for."""

    host: str
    port: int
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.token and not re.fullmatch(r"[!-~]+", self.token):
            raise UsageError(
                "the monitor's token holds blanks, or letters that no address can hold",
                hint=f"Take another one: {MAKE_ONE}.",
            )
        if self.token and len(self.token) < SHORTEST_TOKEN:
            raise UsageError(
                f"the monitor's token is shorter than {SHORTEST_TOKEN} characters",
                hint=f"Take a longer one, that nobody can guess: {MAKE_ONE}.",
            )
        if not self.token and not self.is_loopback:
            raise UsageError(
                f"--monitor {self.authority} can be reached by others, and there is no token",
                hint="Give --monitor-token-file, or set BULKUP_MONITOR_TOKEN "
                f"({MAKE_ONE}); or listen on {LOOPBACK}.",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name, which may mean anything

    @property
    def authority(self) -> str:
        """Host and port, as they stand in an address."""
        return f"{bracketed(self.host)}:{self.port}"


def parse_listen(text: str, *, token: str = "") -> Listen:
    """Return what a text such as `127.0.0.1:8765`, `8765` or `[::]:8765` means.

    Raises `UsageError` where it means nothing, or needs a token.
    """
    match = re.fullmatch(r"(?:(?P<host>\[[^\]]*\]|[^:\[\]]*):)?(?P<port>\d{1,5})", text.strip())
    if match is None or int(match["port"]) > 65535:
        raise _none(text)
    host = (match["host"] or LOOPBACK).lower()
    if host == "localhost":
        host = LOOPBACK  # both of its addresses would get ports of their own for port 0
    try:
        if host.startswith("["):
            host = str(ip_address(host[1:-1]))
        elif re.fullmatch(r"[\d.]+", host):
            ip_address(host)
    except ValueError:
        raise _none(text) from None
    if not re.fullmatch(r"[\w.:-]+", host, flags=re.ASCII):
        raise _none(text)
    return Listen(host=host, port=int(match["port"]), token=token)


def bracketed(host: str) -> str:
    """Return a host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _none(text: str) -> UsageError:
    return UsageError(
        f"--monitor “{text}” is no host with a port", hint=f"Give one like {LOOPBACK}:8765."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """What is told of a run, and where: `verbose` names each photo, `json` is for stdout.

    `quiet` 1 leaves failures, outages, warnings and the summary, 2 nothing. `report` is a file
    of one of the endings in `REPORTS`.
    A monitor listens on `listen`; `notify` are addresses of services, which hold secrets. When
    `max_errors` photos have failed, no other one is begun.
    """

    verbose: bool = False
    quiet: int = 0
    json: bool = False
    log_file: Path | None = None
    report: Path | None = None
    listen: Listen | None = None
    notify: tuple[str, ...] = field(default=(), repr=False)
    max_errors: int | None = None

    def __post_init__(self) -> None:
        if self.max_errors is not None:
            check_range("--max-errors", self.max_errors, least=1, most=2**31 - 1)
