"""What is chosen from an archive: judged by a name, a path, a size and a time, before any reading.

Knows no disk. Paths are those of `patterns`.
"""

from dataclasses import dataclass
from typing import Final

from bulkup.kinds import SkipReason
from bulkup.patterns import Patterns

JUNK: Final = frozenset(
    {
        "@eadir", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot",
        "$recycle.bin", "__macosx", "lost+found", "system volume information",
        "thumbs.db", "ehthumbs.db", "desktop.ini",
    }
)  # fmt: skip
"""Lower-case names of what systems leave beside photos, as does every name with a dot first."""


ALL: Final = Patterns()


@dataclass(frozen=True, slots=True)
class Listing:
    """A file with paths, one a line: `-` is the standard input.

    They end with NUL instead if `from0`, or if the beginning of the list has one.
    """

    file: str
    from0: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to take of what is found; sizes in bytes, times in nanoseconds since 1970.

    A `listing` names files besides those that a walk finds.
    """

    patterns: Patterns = ALL
    default_excludes: bool = True
    follow_symlinks: bool = False
    newer_than_ns: int | None = None
    older_than_ns: int | None = None
    min_size: int = 0
    max_size: int | None = None
    listing: Listing | None = None

    def is_junk(self, name: str) -> bool:
        """Tell whether a file or folder of this name is no photo of anybody's."""
        return self.default_excludes and (name.startswith(".") or name.lower() in JUNK)

    def excludes(self, path: str) -> bool:
        """Tell whether patterns leave a file out, or all that may lie in a folder."""
        if path.endswith("/"):
            return not self.patterns.enter(path)
        return not self.patterns.take(path)

    def misfit(self, *, size: int, mtime_ns: int) -> SkipReason | None:
        """Return why a file of this size and time is left out, None if it is not."""
        if size < self.min_size or (self.max_size is not None and size > self.max_size):
            return SkipReason.SIZE
        too_old = self.newer_than_ns is not None and mtime_ns < self.newer_than_ns
        too_new = self.older_than_ns is not None and mtime_ns >= self.older_than_ns
        return SkipReason.AGE if too_old or too_new else None


EVERYTHING: Final = Choice()
"""All but what systems leave beside photos, and symbolic links."""
