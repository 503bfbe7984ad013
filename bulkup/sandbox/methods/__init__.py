"""The methods of the web API by name; each module covers one topic."""

from collections.abc import Mapping

from bulkup.sandbox.calls import Method
from bulkup.sandbox.methods.albums import TAG_METHODS, album_methods
from bulkup.sandbox.methods.photos import PHOTO_METHODS
from bulkup.sandbox.methods.session import SESSION_METHODS
from bulkup.sandbox.methods.sharing import SHARING_METHODS
from bulkup.sandbox.methods.upload import upload_methods
from bulkup.sandbox.versions import Release


def methods_of(release: Release, *, only: set[str] | None) -> Mapping[str, Method]:
    """Return the methods that this release offers; with `only`, those of these names."""
    every = {
        **SESSION_METHODS,
        **upload_methods(release),
        **PHOTO_METHODS,
        **album_methods(release),
        **TAG_METHODS,
        **SHARING_METHODS,
    }
    names = only if only is not None else set(release.methods)
    return {name: method for name, method in every.items() if name in names}
