"""The report: what came of the last upload, what to do about it, and the verification."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from anyio import to_thread

from bulkup.api import UploadOptions
from bulkup.errors import UsageError
from bulkup.events import FileNotMoved, PhotoChecked, PhotoFailed
from bulkup.gui.runs import (
    COUNTS,
    Run,
    UploadRun,
    VerifyRun,
    last_upload,
    open_failures,
    report_files,
)
from bulkup.gui.step import Step, Visit
from bulkup.gui.steps.run import phase_of, start_upload
from bulkup.output.html import Group, grouped
from bulkup.store.recorder import counts_of
from bulkup.store.run_history import Ending

GROUPS: Final = 30
"""Reasons that the page shows."""

Problem = FileNotMoved | PhotoChecked | PhotoFailed
DOWNLOADS: Final = {"upload": UploadRun.report, "verification": VerifyRun.report}
"""The reports by the names of their downloads."""

KEPT: Final = 1000
"""Files that it knows of, ten of each reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run: its phase or ending, counts, and the files that are not fine, by reason.

    `hidden` counts the files that are in no group.
    """

    phase: str
    counts: Sequence[tuple[str, int]]
    groups: Sequence[Group] = ()
    hidden: int = 0


class Report(Step):
    """The last upload, of this process or else by the ledger."""

    name = "report"

    @property
    def done(self) -> bool:
        """Whether a verification has found everything."""
        verification = self.session.verification
        return verification is not None and not verification.running and verification.state.ok

    @property
    def running(self) -> bool:
        """Whether a verification or an upload runs."""
        session = self.session
        return any(
            run is not None and run.running for run in (session.upload, session.verification)
        )

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the outcome of the upload, and the verification."""
        session, upload = self.session, self.session.upload
        verification = session.verification
        if upload is not None and upload.state.run is not None:
            outcome: Outcome | None = outcome_of(upload)
        else:
            outcome = None if visit.live else await self._past()
        downloads = await to_thread.run_sync(_downloads, session.file.folder)
        return {
            "upload": upload,
            "uploading": upload is not None and upload.running,
            "outcome": outcome,
            "downloads": downloads,
            "verification": verification,
            "verified": outcome_of(verification) if verification else None,
            "busy": session.running is not None,
        }

    async def save(self, visit: Visit) -> str:
        """Upload again what failed, or verify the photos, or stop that."""
        session, what = self.session, visit.form.get("do")
        verification = session.verification
        if what == "stop" and verification is not None and verification.running:
            session.abort()
        elif what == "again":
            self._check_ready()
            failed = await self._failed()
            if not failed:
                raise UsageError("no photo has failed", hint="Start the upload to go on with it.")
            start_upload(session, only=failed)
            return "/run"
        elif what == "verify" and not (verification and verification.running):
            self._check_ready()
            if session.account is not None:
                folder = session.file.folder
                session.start(VerifyRun(session.account, session.draft, folder=folder))
        return "/report"

    def arguments(self) -> Sequence[str]:
        """Return the arguments of the verification."""
        return self.session.draft.arguments("verify")

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the downloads."""
        for name, report in DOWNLOADS.items():
            for file in report_files(self.session.file.folder, report):
                download = f"{name}{file.suffix}"
                yield web.get(f"/report/{download}", _download(file, f"bulkup-{download}"))

    def _check_ready(self) -> None:
        if self.session.account is None:
            raise UsageError("you are not signed in", hint="Sign in to the gallery first.")

    async def _failed(self) -> set[Path]:
        upload, offer = self.session.upload, self.session.offer
        if upload is not None and upload.state.run is not None:
            return upload.failed()
        options = self.session.draft.options
        failures = await to_thread.run_sync(open_failures, options, offer.url if offer else "")
        return {failure.path for failure in failures}

    async def _past(self) -> Outcome | None:
        options, offer = self.session.draft.options, self.session.offer
        if offer is None:
            return None
        return await to_thread.run_sync(_past_outcome, options, offer.url)


def outcome_of(run: Run) -> Outcome:
    """Return the outcome of a run so far."""
    state = run.state
    counts = counts_of(state)
    problems: list[Problem] = [*state.failures, *state.bad_checks, *state.unmoved]
    groups = list(grouped(problems))[:GROUPS]
    known = sum(len(group.paths) for group in groups)
    return Outcome(
        phase=phase_of(run),
        counts=[(name, counts[name]) for name in COUNTS if counts.get(name)],
        groups=groups,
        hidden=state.failed + state.bad_verdicts + state.not_moved - known,
    )


def _past_outcome(options: UploadOptions, url: str) -> Outcome | None:
    past = last_upload(options, url)
    if past is None:
        return None
    failures = open_failures(options, url, most=KEPT)
    files = [
        PhotoFailed(path=each.path, size=0, reason=each.cause.reason, hint=each.cause.hint)
        for each in failures
    ]
    groups = list(grouped(files))[:GROUPS]
    known = sum(len(group.paths) for group in groups)
    endings = {Ending.DONE: "ended", Ending.FAILED: "failed", Ending.INTERRUPTED: "stopped"}
    return Outcome(
        phase="running" if past.running else endings.get(past.ending, "killed"),
        counts=[(name, past.counts[name]) for name in COUNTS if past.counts.get(name)],
        groups=groups,
        hidden=max(0, len(failures) - known, past.counts.get("failed", 0) - known),
    )


def _downloads(folder: Path) -> dict[str, list[str]]:
    """Return the kinds of files that there are of each report."""
    return {
        name: [file.suffix[1:] for file in report_files(folder, report) if file.is_file()]
        for name, report in DOWNLOADS.items()
    }


def _download(file: Path, name: str) -> Handler:
    async def send(_: web.Request) -> web.StreamResponse:
        if not await to_thread.run_sync(file.is_file):
            raise web.HTTPNotFound
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.FileResponse(file, headers=headers)

    return send
