"""A step of the migration: what its page shows, and what its forms do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from aiohttp import web
from multidict import MultiDict, MultiMapping

from bulkup.gui.draft import command_text
from bulkup.gui.session import Session
from bulkup.gui.texts import Texts

SECRETS: Final = frozenset({"password", "api_key", "http_password", "form_token"})
"""Fields of forms that no page contains again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of a page: its query, the form that was sent, if any, and the language.

    With `live`, only the parts are shown that change while a task runs.
    """

    texts: Texts
    query: MultiMapping[str] = field(default_factory=MultiDict[str])
    form: MultiMapping[str] = field(default_factory=MultiDict[str])
    live: bool = False

    def given(self) -> Mapping[str, str]:
        """Return what was typed, without secrets, to show it again."""
        return {name: text for name, text in self.form.items() if name not in SECRETS}


class Step:
    """A step: a page at `/NAME`, rendered from `pages/NAME.html` with the texts below `NAME`.

    `needs` are the steps that must be done before: without them, the page leads there.
    """

    name: ClassVar[str]

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def needs(self) -> Sequence[str]:
        """The names of steps."""
        return ()

    @property
    def path(self) -> str:
        """The address of the page."""
        return f"/{self.name}"

    @property
    def done(self) -> bool:
        """Whether later steps can build on it."""
        return False

    @property
    def running(self) -> bool:
        """Whether the live part of the page changes by itself."""
        return False

    async def open(self) -> None:
        """Begin what goes on from the saved draft, when bulkup starts."""

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return what the template shows besides the session."""
        del visit
        return {}

    async def save(self, visit: Visit) -> str:
        """Do what a form says, and return the address of the next page.

        Raises `BulkupError`, which the page shows above the form.
        """
        del visit
        raise web.HTTPMethodNotAllowed("POST", ["GET"])

    def arguments(self) -> Sequence[str]:
        """Return the arguments of the command that does the same, none if there is none."""
        return self.session.draft.arguments()

    def command(self) -> str:
        """Return the command that does the same, quoted for a shell."""
        arguments = self.arguments()
        return command_text(arguments) if arguments else ""

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return further routes, such as downloads."""
        return ()
