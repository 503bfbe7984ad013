"""bulkup: migrates a whole photo archive into a Piwigo gallery, many photos at once.

For programs:

    report = await bulkup.upload(
        ["photos"],
        server=bulkup.Account(url="https://photos.example.org", user="admin", password=…),
        album=9,
        on_event=print,
    )

`bulkup.events` lists what can happen, `bulkup.errors` what is raised.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkup.api import Failure, Report, upload
    from bulkup.app.settings import Account
    from bulkup.engine.ports import Stop
    from bulkup.errors import BulkupError, RunError, UsageError

__version__ = "0.1.0"
__all__ = [
    "Account",
    "BulkupError",
    "Failure",
    "Report",
    "RunError",
    "Stop",
    "UsageError",
    "upload",
]

_HOMES = {
    "Account": "app.settings",
    "BulkupError": "errors",
    "Failure": "api",
    "Report": "api",
    "RunError": "errors",
    "Stop": "engine.ports",
    "UsageError": "errors",
    "upload": "api",
}

if not TYPE_CHECKING:  # a type checker is to know the names above only

    def __getattr__(name: str) -> object:
        """Import a name when it is first asked for: the command line has to answer at once."""
        if name not in _HOMES:
            raise AttributeError(f"module 'bulkup' has no attribute {name!r}")
        return getattr(import_module(f"bulkup.{_HOMES[name]}"), name)
