"""The upload: starts it, shows it live, pauses and stops it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from anyio import to_thread

from bulkup.gui.runs import Run, UploadRun, last_upload
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit
from bulkup.store.run_history import PastRun

PHASES: Final = (
    *("idle", "starting", "running", "waiting", "pausing", "paused", "stopping", "aborting"),
    *("ended", "stopped", "failed"),
)


def start_upload(session: Session, *, only: Collection[Path] | None = None) -> None:
    """Upload the photos of the draft. Raises `UsageError` while another task is running."""
    if session.account is not None:
        session.start(
            UploadRun(
                session.account,
                session.draft,
                folder=session.file.folder,
                monitor=session.monitor,
                only=only,
            )
        )


class RunStep(Step):
    """The upload, of which one runs at a time; it goes on without a browser."""

    name = "run"

    @property
    def needs(self) -> Sequence[str]:
        """What an upload needs; one that runs is shown without it."""
        return () if self.running else ("gallery", "sources", "albums")

    @property
    def done(self) -> bool:
        """Whether an upload has come to its end."""
        upload = self.session.upload
        return upload is not None and upload.state.ended is not None and not upload.running

    @property
    def running(self) -> bool:
        """Whether an upload runs."""
        upload = self.session.upload
        return upload is not None and upload.running

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the phase of the upload, and the last one by the ledger."""
        upload = self.session.upload
        return {
            "phase": phase_of(upload),
            "upload": upload,
            "failure": upload.state.run_failed if upload else None,
            "past": None if upload or visit.live else await self._past(),
        }

    async def save(self, visit: Visit) -> str:
        """Start the upload, or control it; what no longer fits is ignored."""
        upload, what = self.session.upload, visit.form.get("do")
        if upload is None or not upload.running:
            if what == "start":
                start_upload(self.session)
        elif what == "pause":
            upload.pause()
        elif what == "resume":
            upload.resume()
        elif what == "stop":
            upload.end()
        elif what == "abort":
            self.session.abort()
        return "/run"

    async def _past(self) -> PastRun | None:
        offer = self.session.offer
        if offer is None:
            return None
        return await to_thread.run_sync(last_upload, self.session.draft.options, offer.url)


def phase_of(run: Run | None) -> str:
    """Return the phase of a run, as in the texts."""
    if run is None:
        return "idle"
    state = run.state
    if not run.running:
        if state.run_failed or state.run is None:
            return "failed"
        if state.interrupted or state.ended is None:
            return "stopped"
        return "ended"
    if run.aborted:
        return "aborting"
    if run.stop.wanted:
        return "stopping"
    if run.stop.paused:
        return "pausing" if state.in_flight else "paused"
    if state.outage:
        return "waiting"
    return "running" if state.run else "starting"
