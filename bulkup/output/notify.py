"""Notifications of how a run ended, by apprise in a separate process."""

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from anyio import CancelScope, fail_after, run_process

from bulkup.errors import UsageError, count_text
from bulkup.events import Emit, Noticed
from bulkup.output.phrases import summary, verdict_words
from bulkup.output.sinks import StateReport
from bulkup.output.state import RunState
from bulkup.output.text import printable

LIMIT_S: Final = 30.0
DELIVERY: Final = [sys.executable, "-P", "-m", "bulkup.output.notify"]
ADDRESSES: Final = "https://appriseit.com/services lists the services and their addresses."


@dataclass(slots=True)
class Service:
    """A service to notify; `name` contains no secret, `latest` is its last notification."""

    name: str
    address: str = field(repr=False)
    latest: tuple[str, str] = ("", "")


def services(addresses: Sequence[str]) -> list[Service]:
    """Return the services to notify.

    Raises `UsageError` if apprise is not installed or does not know a service.
    """
    try:
        import apprise  # noqa: PLC0415 (heavy, and an extra)
    except ModuleNotFoundError:
        raise UsageError(
            "--notify needs the library apprise", hint="Install it: pip install 'bulkup[notify]'."
        ) from None
    quiet = logging.getLogger("apprise")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False  # it logs addresses, which contain secrets
    found = []
    for number, address in enumerate(addresses, 1):
        scheme = re.match(r"[a-z][a-z0-9+.-]{0,30}(?=://)", address.strip().lower())
        name = scheme[0] if scheme else ""
        if not name or not apprise.Apprise().add(address.strip()):
            what = f"the {name}:// address" if name else "the address"
            raise UsageError(
                f"--notify: apprise does not know {what} (number {number})", hint=ADDRESSES
            )
        found.append(Service(name, address.strip()))
    return found


class Notifier(StateReport):
    """An output that notifies the services at the end of a run.

    A service that fails, or takes longer than `limit_s` seconds, is reported by `notice`.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        notice: Emit,
        clock: Callable[[], float],
        limit_s: float = LIMIT_S,
    ) -> None:
        super().__init__(clock=clock)
        self._services = services
        self._notice = notice
        self._limit_s = limit_s

    async def __aexit__(self, *_: object) -> None:
        with CancelScope(shield=True):  # also after an aborted run
            reasons = await asyncio.gather(*map(self._notify, self._services))
        for service, reason in zip(self._services, reasons, strict=True):
            if reason:
                self._notice(
                    Noticed(
                        message=f"the notification to {service.name} {reason}",
                        hint="Try its address by itself: apprise -vv -b test ADDRESS.",
                    )
                )

    async def _notify(self, service: Service) -> str:
        """Notify a service; return why that failed, empty if it did not."""
        title = f"bulkup: {headline(self.state)}"
        message = body(self.state)
        grade = _grade(self.state)
        if service.latest == (title, message) and self.state.run is None:
            return ""  # a run repeated by `watch` that fails in the same way
        service.latest = (title, message)
        given = {"address": service.address, "title": title, "message": message, "grade": grade}
        try:
            with fail_after(self._limit_s):
                done = await run_process(
                    DELIVERY,
                    input=json.dumps(given).encode(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    start_new_session=True,  # Ctrl-C is meant for the run only
                )
        except TimeoutError:
            return f"took longer than {self._limit_s:.0f} s"
        except OSError as error:
            return f"failed: {error.strerror}"
        return "was rejected" if done.returncode else ""


def headline(state: RunState) -> str:
    """Return how a run ended in a line: '61 photos uploaded, 2 failed'."""
    if state.run is None:
        return "the run could not start" if state.run_failed else "ended before it started"
    match state.run.task:
        case "verify":
            words = [f"{count_text(state.verdicts.total(), 'photo')} checked"]
            words += [words_of for words_of, _ in verdict_words(state)]
        case "refresh" | "refresh-dry-run":
            words = [f"{state.changed:,} of {count_text(state.refreshed, 'photo')} to change"]
            if state.run.task == "refresh":
                words = [f"{count_text(state.changed, 'photo')} changed"]
            words += [f"{state.kept:,} kept"] if state.kept else []
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
    text = ", ".join(words)
    if state.interrupted:
        return f"interrupted: {text}"
    return f"aborted: {text}" if state.run_failed else text


def _grade(state: RunState) -> str:
    """Return the severity as apprise names it."""
    if state.run_failed or state.run is None:
        return "failure"
    return "success" if state.ok else "warning"


def body(state: RunState) -> str:
    """Return the text: why the run could not continue, and its summary."""
    failure = state.run_failed
    lines = [printable(text) for text in (failure.reason, failure.hint) if text] if failure else []
    lines += [line.plain for line in summary(state)]
    return "\n".join(lines) or "Nothing was sent."


def deliver() -> int:
    """Deliver the notification that is read from stdin as JSON, and return the exit code.

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
