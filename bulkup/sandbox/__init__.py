"""A Piwigo-compatible server to try bulkup on and to test it with: real HTTP, rules by version.

It imports nothing of the rest: the uploader and this server were written from the same description
of Piwigo and meet only on the wire.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkup.sandbox.app import Sandbox
    from bulkup.sandbox.faults import Fault, Faults

__all__ = ["Fault", "Faults", "Sandbox"]


def __getattr__(name: str) -> object:
    """Import aiohttp only when a sandbox is wanted."""
    if name == "Sandbox":
        from bulkup.sandbox.app import Sandbox  # noqa: PLC0415 - imported when first wanted

        return Sandbox
    if name in {"Fault", "Faults"}:
        from bulkup.sandbox import faults  # noqa: PLC0415 - the same

        return getattr(faults, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
