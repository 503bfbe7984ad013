"""Validated options of the outputs and of the monitor."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from bulkup.errors import UsageError, check_range

LOOPBACK: Final = "127.0.0.1"


MIN_TOKEN: Final = 16


MAKE_ONE: Final = "`openssl rand -hex 16` generates one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """A host, a port to listen on (0 for any free one) and a token (empty for none).

    `flag` is named in errors.
    """

    host: str
    port: int
    token: str = field(default="", repr=False)
    flag: str = "--monitor"

    def __post_init__(self) -> None:
        if self.token and not re.fullmatch(r"[!-~]+", self.token):
            raise UsageError(
                "the monitor's token contains spaces or characters that an address can't contain",
                hint=f"Use another token: {MAKE_ONE}.",
            )
        if self.token and len(self.token) < MIN_TOKEN:
            raise UsageError(
                f"the monitor's token is shorter than {MIN_TOKEN} characters",
                hint=f"Use a longer one that is hard to guess: {MAKE_ONE}.",
            )
        if not self.token and not self.is_loopback:
            raise UsageError(
                f"--monitor {self.authority} is reachable from other machines, and has no token",
                hint="Give --monitor-token-file, or set BULKUP_MONITOR_TOKEN "
                f"({MAKE_ONE}); or listen on {LOOPBACK}.",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name, which may resolve to any address

    @property
    def authority(self) -> str:
        """Host and port as in a URL."""
        return f"{bracketed(self.host)}:{self.port}"


def parse_listen(text: str, *, token: str = "") -> ListenAddress:
    """Return the address given as `127.0.0.1:8765`, `8765` or `[::]:8765`.

    Raises `UsageError` if it is not an address, or needs a token.
    """
    match = re.fullmatch(r"(?:(?P<host>\[[^\]]*\]|[^:\[\]]*):)?(?P<port>\d{1,5})", text.strip())
    if match is None or int(match["port"]) > 65535:
        raise _no_address(text)
    host = (match["host"] or LOOPBACK).lower()
    if host == "localhost":
        host = LOOPBACK  # with port 0, its IPv4 and IPv6 addresses would get different ports
    try:
        if host.startswith("["):
            host = str(ip_address(host[1:-1]))
        elif re.fullmatch(r"[\d.]+", host):
            ip_address(host)
    except ValueError:
        raise _no_address(text) from None
    if not re.fullmatch(r"[\w.:-]+", host, flags=re.ASCII):
        raise _no_address(text)
    return ListenAddress(host=host, port=int(match["port"]), token=token)


def bracketed(host: str) -> str:
    """Return a host as in a URL."""
    return f"[{host}]" if ":" in host else host


def _no_address(text: str) -> UsageError:
    return UsageError(
        f"--monitor “{text}” is not a host with a port", hint=f"Give one like {LOOPBACK}:8765."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The outputs of a run: `verbose` lists each photo, `json` writes events to stdout.

    With `quiet` 1, only failures, outages, warnings and the summary are shown; with 2, nothing.
    `report` is a .csv, .jsonl or .html file. The monitor listens on `listen`. `notify` holds
    addresses of services, which contain secrets. When `max_errors` photos have failed, no other
    photo is started.
    """

    verbose: bool = False
    quiet: int = 0
    json: bool = False
    log_file: Path | None = None
    report: Path | None = None
    listen: ListenAddress | None = None
    notify: tuple[str, ...] = field(default=(), repr=False)
    max_errors: int | None = None

    def __post_init__(self) -> None:
        if self.max_errors is not None:
            check_range("--max-errors", self.max_errors, least=1, most=2**31 - 1)
