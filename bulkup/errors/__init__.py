"""The exceptions, by scope, and the texts of failures.

A `UsageError` is corrected by the user before any request, a `RunError` ends the run, a
`PhotoError` ends one photo, and a `Transient` error is worth another try, which `engine.retry`
decides. Any other exception is a bug and ends with a traceback.

The texts are `FailureKind` constants in `errors.local`, `errors.gallery`, `errors.server` and
`errors.run`; the reference's table of failures is generated from them. Imports no other module of
bulkup.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar


def check_range(flag: str, value: int, *, least: int, most: int) -> None:
    """Raise `UsageError` if a number is out of its range."""
    if not least <= value <= most:
        raise UsageError(
            f"{flag} {value} is out of range", hint=f"Give a number from {least} to {most}."
        )


def count_text(count: int, one: str, many: str = "") -> str:
    """Return the count with its noun: 1 photo, 1,204 photos."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@dataclass(frozen=True, slots=True)
class FailureMessage:
    """The text of a failure: what happened, what to do, and the code of its kind, if any."""

    message: str
    hint: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class FailureKind:
    """A kind of failure: a `code` that never changes, what happened, and what to do.

    The texts are format strings. Called with the facts, the kind returns the message of a failure.
    """

    code: str
    what: str
    remedy: str

    def __call__(self, **facts: object) -> FailureMessage:
        """Return the message of a failure. Raises `KeyError` if a fact is missing."""
        return FailureMessage(
            self.what.format_map(facts), self.remedy.format_map(facts), self.code
        )


class BulkupError(Exception):
    """A failure that bulkup can explain: what happened and what to do."""

    def __init__(self, failure: FailureMessage | str, *, hint: str = "") -> None:
        self.failure = FailureMessage(failure, hint) if isinstance(failure, str) else failure
        super().__init__(self.failure.message)

    @property
    def message(self) -> str:
        """What happened."""
        return self.failure.message

    @property
    def hint(self) -> str:
        """What to do."""
        return self.failure.hint

    @property
    def code(self) -> str:
        """The code of the failure's kind, empty if it has none."""
        return self.failure.code


class UsageError(BulkupError):
    """A flag, a file or a setting is wrong; nothing was sent."""


class RunError(BulkupError):
    """The run can't continue: log-in refused, not a Piwigo, album deleted."""


class ServerUnavailable(RunError):
    """The server was unavailable for longer than --patience; a later run may succeed."""


class TLSError(RunError):
    """No secure connection is possible: TLS fails, or the certificate is not trusted."""


class PhotoError(BulkupError):
    """One photo can't be uploaded; the run continues with the others."""


class NoSuchAlbum(PhotoError):
    """The gallery has no album of the given name."""


class PhotoChanged(PhotoError):
    """The file changed, shrank or vanished after it was fingerprinted."""


class PhotoGone(PhotoError):
    """The server has no photo of this number, or no longer."""


class FormatRefused(PhotoError):
    """The server accepts no formats of photos, or none with this extension.

    `endings` are the extensions that it accepts, without a dot; empty if they are unknown.
    """

    def __init__(
        self, failure: FailureMessage | str, *, endings: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(failure)
        self.endings = endings

    def takes(self, file: str) -> bool:
        """Return whether the server may accept a file of this name, ignoring case."""
        name = file.lower()
        return not self.endings or any(name.endswith(f".{ending}") for ending in self.endings)


class FormatsOff(FormatRefused):
    """The server accepts no formats of photos at all."""


class NotOffered(BulkupError):
    """The server does not have the requested method, or gives no usable answer to it."""


class Transient(BulkupError):
    """A failure that is worth another try.

    `retry_after_s` is the pause that the server asked for, in seconds. `untouched` says that the
    server is known to have kept nothing of the request, so that even a request that appends
    data may be repeated unchanged; otherwise that is unknown.
    """

    untouched: ClassVar[bool] = False

    def __init__(
        self, failure: FailureMessage | str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(failure)
        self.retry_after_s = retry_after_s


class AnswerLost(Transient):
    """No answer, half an answer, or one that leaves open whether the request was carried out."""


class TimedOut(AnswerLost):
    """The server did not answer in time."""


class ServerCrashed(AnswerLost):
    """PHP crashed during the request: an empty answer with status 500, or its error message."""


class MergeFailed(AnswerLost):
    """The server has every chunk of the photo but does not assemble them."""


class SendInterrupted(AnswerLost):
    """The connection broke before the whole chunk was sent: the server can't have finished it."""


class Refused(Transient):
    """The server refused without changing anything: too busy, a stale token, a broken body."""

    untouched = True


class Blocked(Refused):
    """A refusal that may concern every request: a redirect, a refused log-in, a full disk.

    `engine.retry` raises its failure as `RunError` once there is proof that it does.
    """


class SessionLost(Refused):
    """The server no longer knows the session or its token: a new log-in is needed."""


class TooLarge(Refused):
    """The request exceeds one of the server's limits: smaller chunks may pass."""


class ChunkCorrupted(Refused):
    """A chunk arrived changed: damaged in transit, or over a limit that is not reported.

    One more try may help; after that, only smaller chunks may.
    """


class PhotoCorrupted(Transient):
    """The photo arrived changed: the server's checksums differ, or it refuses the file's type.

    No part of it is usable: it has to be sent from the beginning.
    """


class Outage(Transient):
    """The whole server is unavailable: 502, 503, 504, connection refused. Every task waits."""


class RateLimited(Outage):
    """The server reports too many requests: no task sends one for a while."""

    untouched = True


class Unreachable(Outage):
    """No connection was made, so nothing was sent."""

    untouched = True


class HostUnknown(Unreachable):
    """The server's host name can't be resolved."""


class ProxyUnreachable(Unreachable):
    """The proxy in between can't be reached, or does not reach the server."""


@asynccontextmanager
async def one_error() -> AsyncIterator[None]:
    """Raise what ended the run instead of the task group's exception group, except for bugs."""
    import anyio  # noqa: PLC0415 (heavy; wrong flags are reported without it)

    try:
        yield
    except BaseExceptionGroup as group:
        # a task that sends to a stage that failed may notice that before it is cancelled
        _, causes = group.split(anyio.BrokenResourceError)
        run_errors, bugs = (causes or group).split(RunError)
        if bugs is not None or run_errors is None:
            raise
        error: BaseException = run_errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
