"""The state of `bulkup gui`, which all pages show: the draft, the sign-in, and what runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anyio import to_thread
from anyio.abc import TaskGroup

from bulkup.app.settings import Account
from bulkup.engine.ports import Stop
from bulkup.errors import UsageError
from bulkup.gui.draft import Draft, DraftFile
from bulkup.gui.jobs import Job
from bulkup.gui.runs import Run, UploadRun, VerifyRun
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
    The `monitor` shows what `run` does: one task at a time that reads all photos, such as an
    upload; `stop` ends it gracefully. `upload` and `verification` are the last ones.
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
    run: Job = field(init=False)
    stop: Stop = field(default_factory=Stop)
    upload: UploadRun | None = None
    verification: VerifyRun | None = None

    def __post_init__(self) -> None:
        self.run = self.job()

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
        if self.run.running:
            raise UsageError(
                "another task is reading the photos",
                hint="Wait for its end, or stop it on its page.",
            )
        if isinstance(run, UploadRun):
            self.upload = run
        elif isinstance(run, VerifyRun):
            self.verification = run
        self.stop = run.stop
        self.run.start(run)

    def request_stop(self) -> None:
        """End what runs gracefully."""
        self.stop.set()
        for run in (self.upload, self.verification):
            if run is not None and run.running:
                run.interrupted()

    def job(self) -> Job:
        """Return a job, which ends with this process."""
        return Job(self.tasks)
