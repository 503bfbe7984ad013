"""The state of `bulkup gui`, which all pages show: the draft, the sign-in, and what runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anyio import to_thread
from anyio.abc import TaskGroup

from bulkup.app.settings import Account
from bulkup.errors import UsageError
from bulkup.gui.draft import Draft, DraftFile
from bulkup.gui.jobs import Job
from bulkup.gui.runs import RehearsalRun, Run, UploadRun, VerifyRun
from bulkup.output.monitor.server import Monitor
from bulkup.piwigo.protocol import Offer


@dataclass(frozen=True, slots=True)
class FlagHelp:
    """The help text of a flag, and the group in which the command's help lists it."""

    text: str
    group: str


Elsewhere = Callable[[Sequence[str]], Mapping[str, str]]
SaveProfile = Callable[[str, Mapping[str, object]], Path]


@dataclass(slots=True, kw_only=True)
class Session:
    """What all pages share.

    `account` has the secrets, which nothing saves; it is None until the gallery has accepted it.
    `offer` is then what the gallery offers. `flags` are the help texts of the upload's flags, by
    the options' names. `elsewhere` returns what the command line adds to arguments from its config
    file and the environment: flags, each with its place. `save_profile` saves settings under a
    name, and returns the file.
    `unsaved` is why the draft could not be saved, `set_aside` where a file is that was no draft.
    One run at a time reads all photos; the last ones are `upload`, `verification` and `rehearsal`.
    The `monitor` shows the upload.
    """

    tasks: TaskGroup
    file: DraftFile
    flags: Mapping[str, FlagHelp]
    elsewhere: Elsewhere
    save_profile: SaveProfile
    monitor: Monitor
    draft: Draft = field(default_factory=Draft)
    account: Account | None = None
    offer: Offer | None = None
    unsaved: str = ""
    set_aside: str = ""
    _run: Job = field(init=False)
    upload: UploadRun | None = None
    verification: VerifyRun | None = None
    rehearsal: RehearsalRun | None = None

    def __post_init__(self) -> None:
        self._run = self.job()

    async def open(self) -> None:
        """Go on with the saved draft."""
        self.draft, aside = await to_thread.run_sync(self.file.read)
        self.set_aside = str(aside or "")

    async def change(self, **values: Any) -> None:  # noqa: ANN401 (fields of the draft)
        """Change fields of the draft, and save it."""
        self.draft = replace(self.draft, **values)
        try:
            await to_thread.run_sync(self.file.write, self.draft)
            self.unsaved = ""
        except OSError as error:
            self.unsaved = f"{error.filename}: {error.strerror}"

    async def sign_in(self, account: Account, offer: Offer) -> None:
        """Use an account that the gallery has accepted."""
        self.account, self.offer = account, offer
        await self.change(account=replace(account, password="", api_key="", http_password=""))

    def start(self, run: Run) -> None:
        """Start a run. Raises `UsageError` while another one is running."""
        if (other := self.running) is not None:
            raise UsageError(
                f"{other.name} is running, which reads the same photos",
                hint="Wait for its end, or stop it on its page.",
            )
        match run:
            case UploadRun():
                self.upload = run
            case VerifyRun():
                self.verification = run
            case RehearsalRun():
                self.rehearsal = run
        self._run.start(run)

    @property
    def running(self) -> Run | None:
        """The run that runs now."""
        runs = (self.upload, self.verification, self.rehearsal)
        return next((run for run in runs if run is not None and run.running), None)

    def abort(self) -> None:
        """End what runs without finishing the photos in flight."""
        if (run := self.running) is not None:
            run.aborted = True
            run.interrupted()
            self._run.abort()

    async def wait(self) -> None:
        """Wait for the end of what runs."""
        await self._run.wait()

    def job(self) -> Job:
        """Return a job, which ends with this process."""
        return Job(self.tasks)
