"""The methods of the web API by name.

Each module here knows one topic of Piwigo's web API; none knows HTTP.
"""

from collections.abc import Mapping

from bulkup.sandbox.calls import Method
from bulkup.sandbox.methods import (
    albums,
    chunks,
    formats,
    keys,
    lists,
    lounge,
    older,
    photos,
    session,
    tags,
    upload,
)
from bulkup.sandbox.versions import Release


def methods_of(release: Release, *, only: set[str] | None) -> Mapping[str, Method]:
    """List what this release answers; with `only`, nothing beside those names."""
    every = (
        session.methods()
        | keys.methods()
        | upload.methods(release)
        | chunks.methods(release)
        | older.methods()
        | formats.methods()
        | photos.methods()
        | lists.methods()
        | lounge.methods(release)
        | albums.methods(release)
        | tags.methods()
    )
    names = only if only is not None else set(release.methods)
    return {name: method for name, method in every.items() if name in names}
