"""The paths that a run is given: whether they are there, and which of them a walk comes to anyway.

Knows names and the choice of files, and looks at no file but the paths themselves.
"""

from collections.abc import Sequence
from pathlib import Path

from bulkup.choice import EVERYTHING, Choice
from bulkup.errors import UsageError


def check_roots(roots: Sequence[Path], choice: Choice = EVERYTHING) -> list[Path]:
    """Return the roots without those that the walk over another one comes to anyway.

    Raises `UsageError` where one is not there.
    """
    for root in roots:
        try:
            root.stat()
        except OSError as error:
            raise UsageError(
                f"{root}: {error.strerror}", hint="Give a folder or a photo that is there."
            ) from None
    resolved = [root.resolve() for root in roots]
    return [
        root
        for i, root in enumerate(roots)
        if not any(
            _is_walked_from(other, resolved[i], choice) and (resolved[i] != other or j < i)
            for j, other in enumerate(resolved)
            if i != j
        )
    ]


def may_come_to(root: Path, folder: Path, choice: Choice) -> bool:
    """Tell whether the walk over the root may come to files in a folder, be it there or not."""
    if not folder.is_relative_to(root):
        return False
    names = folder.relative_to(root).parts
    places = ["/".join(names[:depth]) + "/" for depth in range(1, len(names) + 1)]
    return not any(map(choice.is_junk, names)) and not any(map(choice.excludes, places))


def _is_walked_from(root: Path, path: Path, choice: Choice) -> bool:
    """Tell whether the walk over the root comes to a path below it, and leaves out none of it."""
    if not path.is_relative_to(root):
        return False
    names = path.relative_to(root).parts
    places = ["/".join(names[:depth]) + "/" for depth in range(1, len(names) + 1)]
    if places and not path.is_dir():
        places[-1] = places[-1].removesuffix("/")
    return (
        not any(map(choice.is_junk, names))
        and not any(map(choice.excludes, places))
        and not (places and choice.patterns.opinion(places[-1]) is False)
    )
