"""The start page: goes on with the draft, or starts anew."""

from collections.abc import Sequence

from bulkup.api import UploadOptions
from bulkup.gui.step import Step, Visit


class Overview(Step):
    """What has been chosen so far."""

    name = "overview"

    @property
    def path(self) -> str:
        """The start page's address."""
        return "/"

    @property
    def done(self) -> bool:
        """There is nothing to do here."""
        return True

    async def save(self, visit: Visit) -> str:
        """Forget all choices but the gallery."""
        del visit
        await self.session.change(paths=(), options=UploadOptions())
        return "/"

    def arguments(self) -> Sequence[str]:
        """There is no command for this."""
        return ()
