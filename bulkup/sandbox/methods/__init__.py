"""The methods of the web API by name.

Each module here knows one topic of Piwigo's web API; none knows HTTP.
"""

from collections.abc import Mapping

from bulkup.sandbox.calls import Method
from bulkup.sandbox.methods.albums import album_methods
from bulkup.sandbox.methods.photos import list_methods, photo_methods
from bulkup.sandbox.methods.session import key_methods, session_methods
from bulkup.sandbox.methods.tags import tag_methods
from bulkup.sandbox.methods.upload import (
    chunk_methods,
    format_methods,
    legacy_methods,
    lounge_methods,
    upload_methods,
)
from bulkup.sandbox.versions import Release


def methods_of(release: Release, *, only: set[str] | None) -> Mapping[str, Method]:
    """List what this release answers; with `only`, nothing beside those names."""
    every = (
        session_methods()
        | key_methods()
        | upload_methods(release)
        | chunk_methods(release)
        | legacy_methods()
        | format_methods()
        | photo_methods()
        | list_methods()
        | lounge_methods(release)
        | album_methods(release)
        | tag_methods()
    )
    names = only if only is not None else set(release.methods)
    return {name: method for name, method in every.items() if name in names}
