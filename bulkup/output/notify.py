"""Notifications of how a run ended, by apprise in a process of its own."""

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from anyio import CancelScope, fail_after, run_process

from bulkup.errors import UsageError
from bulkup.events import Emit, Event, Noticed
from bulkup.output.phrases import summary, verdict_words
from bulkup.output.state import RunState
from bulkup.output.text import count_text, printable

LIMIT_S: Final = 30.0
MESSENGER: Final = [sys.executable, "-P", "-m", "bulkup.output.notify"]
WHERE: Final = "https://appriseit.com/services names the services and their addresses."


@dataclass(slots=True)
class Service:
    """Somebody to tell; `name` holds no secret, `latest` is what was told last."""

    name: str
    address: str = field(repr=False)
    latest: tuple[str, str] = ("", "")


def services(addresses: Sequence[str]) -> list[Service]:
    """Return who is to be told. Raises `UsageError` where apprise is missing, or knows it not."""
    try:
        import apprise  # noqa: PLC0415 (heavy, and an extra)
    except ModuleNotFoundError:
        raise UsageError(
            "--notify needs the library apprise", hint="Install it: pip install 'bulkup[notify]'."
        ) from None
    quiet = logging.getLogger("apprise")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False  # it logs addresses
    found = []
    for number, address in enumerate(addresses, 1):
        scheme = re.match(r"[a-z][a-z0-9+.-]{0,30}(?=://)", address.strip().lower())
        name = scheme[0] if scheme else ""
        if not name or not apprise.Apprise().add(address.strip()):
            what = f"the {name}:// address" if name else "the address"
            raise UsageError(
                f"--notify: {what} (number {number}) is none that apprise understands", hint=WHERE
            )
        found.append(Service(name, address.strip()))
    return found


class Notifier:
    """A view that waits for the end: then it tells the services how the run ended.

    A service that takes longer than `limit_s` seconds is given up, and told through `notice`, as
    is any that fails.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        notice: Emit,
        clock: Callable[[], float],
        limit_s: float = LIMIT_S,
    ) -> None:
        self._services = services
        self._notice = notice
        self._clock = clock
        self._limit_s = limit_s
        self._state = RunState()

    async def __aenter__(self) -> Self:
        return self

    def emit(self, event: Event) -> None:
        """Take in what has happened."""
        self._state.apply(event, self._clock())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with CancelScope(shield=True):  # also whoever aborts a run wants to be told
            reasons = await asyncio.gather(*map(self._told, self._services))
        for service, reason in zip(self._services, reasons, strict=True):
            if reason:
                self._notice(
                    Noticed(
                        message=f"the notification by {service.name} {reason}",
                        hint="Try its address by itself: apprise -vv -b test ADDRESS.",
                    )
                )

    async def _told(self, service: Service) -> str:
        """Tell a service; return why that failed, nothing if it did not."""
        title = f"bulkup: {headline(self._state)}"
        message = body(self._state)
        grade = _grade(self._state)
        if service.latest == (title, message) and self._state.run is None:
            return ""  # a run that is tried again and again, and impossible as ever
        service.latest = (title, message)
        given = {"address": service.address, "title": title, "message": message, "grade": grade}
        try:
            with fail_after(self._limit_s):
                done = await run_process(
                    MESSENGER,
                    input=json.dumps(given).encode(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    start_new_session=True,  # a Ctrl-C is for the run
                )
        except TimeoutError:
            return f"took longer than {self._limit_s:.0f} s"
        except OSError as error:
            return f"failed: {error.strerror}"
        return "was not taken" if done.returncode else ""


def headline(state: RunState) -> str:
    """Return how a run ended in a line: '61 photos uploaded, 2 failed'."""
    if state.run is None:
        return "the run was impossible" if state.run_failed else "ended before it began"
    match state.run.task:
        case "verify":
            words = [f"{count_text(state.verdicts.total(), 'photo')} checked"]
            words += [words_of for words_of, _ in verdict_words(state)]
        case "dry-run":
            words = [f"{count_text(state.new, 'photo')} would be uploaded"]
        case _:
            words = [f"{count_text(state.uploaded, 'photo')} uploaded"]
    if state.failed:
        words.append(f"{state.failed:,} failed")
    if open_end := state.incomplete:
        words.append(f"{open_end:,} unfinished")
    if state.present and not state.uploaded:
        words.append(f"{state.present:,} already there")
    told = ", ".join(words)
    if state.interrupted:
        return f"interrupted: {told}"
    return f"broken off: {told}" if state.run_failed else told


def _grade(state: RunState) -> str:
    """Return how bad it is, in apprise's words."""
    if state.run_failed or state.run is None:
        return "failure"
    return "success" if state.ok else "warning"


def body(state: RunState) -> str:
    """Return what else there is to say: why the run could not go on, and its summary."""
    failure = state.run_failed
    lines = [printable(text) for text in (failure.reason, failure.hint) if text] if failure else []
    lines += [line.plain for line in summary(state)]
    return "\n".join(lines) or "Nothing was sent."


def deliver() -> int:
    """Deliver the notification that stdin holds as JSON, and return the exit code.

    This runs in a process of its own, which the run can kill if a service takes too long.
    """
    import apprise  # noqa: PLC0415 (an extra)

    given = json.load(sys.stdin)
    sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="bulkup", secure_logging=True))
    if not sender.add(given["address"]):
        return 1
    taken = sender.notify(
        given["message"],
        title=given["title"],
        notify_type=given["grade"],
        body_format=apprise.NotifyFormat.TEXT,
    )
    return 0 if taken else 1


if __name__ == "__main__":
    sys.exit(deliver())
