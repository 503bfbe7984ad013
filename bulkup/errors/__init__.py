"""The exceptions, by scope, and how a failure gets its words.

A `UsageError` is corrected by the user before any request, a `RunError` ends the run, a
`PhotoError` ends one photo, and a `Transient` error is worth another try: only `engine.retry` and
what it calls ever see one. The texts are `FailureKind` constants in `errors.local`,
`errors.gallery`, `errors.server` and `errors.run`; the table of failures in the documentation is
generated from them. Any other exception is a bug and stays a traceback. Imports nothing of the
rest.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar


def check_range(flag: str, value: int, *, least: int, most: int) -> None:
    """Raise `UsageError` where a number is out of its range."""
    if not least <= value <= most:
        raise UsageError(
            f"{flag} {value} is out of range", hint=f"Give a number from {least} to {most}."
        )


@dataclass(frozen=True, slots=True)
class FailureMessage:
    """A failure that has happened, in words: `code` names its class, empty where it has none."""

    message: str
    hint: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class FailureKind:
    """A class of failures: its `code` never changes, what happened, and what to do.

    The sentences hold names in braces where facts belong. Called with the facts, it returns the
    words of one failure.
    """

    code: str
    what: str
    remedy: str

    def __call__(self, **facts: object) -> FailureMessage:
        """Return the words of a failure. Raises `KeyError` where a fact is missing."""
        return FailureMessage(
            self.what.format_map(facts), self.remedy.format_map(facts), self.code
        )


class BulkupError(Exception):
    """Something went wrong that bulkup can put in words: what happened and what to do."""

    def __init__(self, failure: FailureMessage | str, *, hint: str = "") -> None:
        self.failure = FailureMessage(failure, hint) if isinstance(failure, str) else failure
        super().__init__(self.failure.message)

    def __str__(self) -> str:
        return self.message

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
        """Return the code of the failure's kind, empty if it has none."""
        return self.failure.code


class UsageError(BulkupError):
    """A flag, a file or a setting is wrong; nothing was sent."""


class RunError(BulkupError):
    """The run can't go on: log-in refused, not a Piwigo, album gone."""


class ServerUnavailable(RunError):
    """The server is away, for longer than it is waited for; another run may find it back."""


class TLSError(RunError):
    """No safe connection comes about: TLS fails, or the certificate is none to trust."""


class PhotoError(BulkupError):
    """One photo can't be brought in; the others go on."""


class NoSuchAlbum(PhotoError):
    """The gallery has no album of the name that was given."""


class PhotoChanged(PhotoError):
    """The file is not the one that was fingerprinted: it changed, shrank or vanished meanwhile."""


class PhotoGone(PhotoError):
    """The server has no photo of this number, or no longer."""


class FormatRefused(PhotoError):
    """The server takes no formats of photos, or none with this ending.

    `endings` are those that it takes, without a dot, none where that is not told.
    """

    def __init__(
        self,
        failure: FailureMessage | str,
        *,
        hint: str = "",
        endings: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(failure, hint=hint)
        self.endings = endings

    def takes(self, file: str) -> bool:
        """Tell whether it may take a file of this name, whose capitals do not count."""
        name = file.lower()
        return not self.endings or any(name.endswith(f".{ending}") for ending in self.endings)


class FormatsOff(FormatRefused):
    """The server takes no formats of photos at all."""


class NotOffered(BulkupError):
    """The server does not know the method asked for, or answers it in no usable way."""


class Transient(BulkupError):
    """Worth another try.

    `retry_after_s` is what the server asked for, in seconds. `untouched` says that the server is
    known to have kept nothing of the request, so that even an appending one may go again as it
    was; otherwise its fate is unknown.
    """

    untouched: ClassVar[bool] = False

    def __init__(
        self, failure: FailureMessage | str, *, hint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(failure, hint=hint)
        self.retry_after_s = retry_after_s


class AnswerLost(Transient):
    """No answer, half an answer, or one that does not tell whether the request was carried out."""


class TimedOut(AnswerLost):
    """The server did not answer in time."""


class ServerCrashed(AnswerLost):
    """PHP died over the request: an empty answer with status 500, or its words for it."""


class MergeFailed(AnswerLost):
    """The server holds every chunk of the photo and does not make a photo of them."""


class SendInterrupted(AnswerLost):
    """The connection broke before the whole chunk was out: the server can't have finished it."""


class Refused(Transient):
    """The server answered without touching anything: too busy, a stale token, a broken body."""

    untouched = True


class SessionLost(Refused):
    """The server no longer knows the session or its token; a new log-in mends it."""


class TooLarge(Refused):
    """The request is over one of the server's limits: smaller chunks may pass."""


class ChunkCorrupted(Refused):
    """A chunk arrived other than it was sent: damaged on the way, or over an unnamed limit.

    Once more may help; after that only smaller chunks may.
    """


class PhotoCorrupted(Transient):
    """What arrived is not what was sent; the server says so by its sums or by refusing the type.

    Nothing of the photo can be built on: it has to start anew.
    """


class Outage(Transient):
    """The server as a whole is away: 502, 503, 504, connection refused. Everybody waits for it."""


class RateLimited(Outage):
    """The server says that it is asked too much: nobody asks for a while."""

    untouched = True


class Unreachable(Outage):
    """No connection came about, so nothing was sent."""

    untouched = True


class HostUnknown(Unreachable):
    """The name of the server's host can't be resolved."""


@asynccontextmanager
async def one_error() -> AsyncIterator[None]:
    """Unwrap the group that a task group raises: a bug first, then what ended the run."""
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
