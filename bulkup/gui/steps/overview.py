"""The start page: goes on with the draft, or starts anew."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from anyio import to_thread

from bulkup.api import UploadOptions
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit


class Overview(Step):
    """What has been chosen so far."""

    name = "overview"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._saved: dict[str, Path] = {}

    @property
    def path(self) -> str:
        """The start page's address."""
        return "/"

    @property
    def done(self) -> bool:
        """There is nothing to do here."""
        return True

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return where a profile has just been saved, if one was."""
        name = visit.query.get("profile", "")
        return {"profile": name if name in self._saved else "", "saved": self._saved}

    async def save(self, visit: Visit) -> str:
        """Save a profile, or forget all choices but the gallery."""
        if (name := visit.form.get("profile")) is not None:
            settings = self.session.draft.settings()
            file = await to_thread.run_sync(self.session.save_profile, name.strip(), settings)
            self._saved[name.strip()] = file
            return f"/?profile={quote(name.strip())}"
        await self.session.change(paths=(), options=UploadOptions())
        return "/"

    def arguments(self) -> Sequence[str]:
        """There is no command for this."""
        return ()
