"""bulkup: uploads a whole photo archive to a Piwigo gallery, many photos at once.

For programs:

    report = await bulkup.upload(
        ["photos"],
        account=bulkup.Account(url="https://photos.example.org", user="admin", password=…),
        options=bulkup.UploadOptions(album=9),
        on_event=print,
    )

`bulkup.events` lists the events, `bulkup.errors` the exceptions.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkup.api import (
        Failure,
        RefreshOptions,
        Report,
        UploadOptions,
        VerifyOptions,
        from_piwigo,
        refresh,
        upload,
        verify,
    )
    from bulkup.app.settings import Account
    from bulkup.engine.context import Stop
    from bulkup.errors import BulkupError, RunError, UsageError

__version__ = "0.1.0"
__all__ = [
    "Account",
    "BulkupError",
    "Failure",
    "RefreshOptions",
    "Report",
    "RunError",
    "Stop",
    "UploadOptions",
    "UsageError",
    "VerifyOptions",
    "from_piwigo",
    "refresh",
    "upload",
    "verify",
]

_HOMES = {
    "Account": "app.settings",
    "BulkupError": "errors",
    "Failure": "api",
    "RefreshOptions": "api",
    "Report": "api",
    "RunError": "errors",
    "Stop": "engine.context",
    "UploadOptions": "api",
    "UsageError": "errors",
    "VerifyOptions": "api",
    "from_piwigo": "api",
    "refresh": "api",
    "upload": "api",
    "verify": "api",
}

if not TYPE_CHECKING:  # hidden from type checkers, which would accept any name

    def __getattr__(name: str) -> object:
        """Import a name on first use, to keep the command line's start-up fast."""
        if name not in _HOMES:
            raise AttributeError(f"module 'bulkup' has no attribute {name!r}")
        return getattr(import_module(f"bulkup.{_HOMES[name]}"), name)
