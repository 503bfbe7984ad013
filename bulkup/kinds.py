"""The closed sets of words that events hold.

Knows nothing.
"""

from enum import StrEnum


class SkipReason(StrEnum):
    """Why a file is left out by rule; nothing is wrong with it."""

    JUNK = "junk"  # made by systems and cameras: Thumbs.db, @eaDir, ._IMG_1.jpg …
    EXCLUDED = "excluded"  # by the user's patterns
    SIZE = "size"  # not of the size that is wanted
    AGE = "age"  # not of the time that is wanted
    REPEATED = "repeated"  # the same file was found before, in another way
    SYMLINK = "symlink"
    SPECIAL = "special"  # a pipe, a socket, a device
    SIDECAR = "sidecar"  # it tells of a photo beside it: .xmp, .json
    TYPE = "type"  # the server does not take files with this ending


class Verdict(StrEnum):
    """What a look at the gallery says of a photo."""

    PRESENT = "present"  # in the gallery, in the album if one was named, and byte for byte
    MISSING = "missing"
    NOT_IN_ALBUM = "not-in-album"  # the gallery has it elsewhere
    DIFFERING = "differing"  # the stored file is not what its MD5 in the gallery says
    UNKNOWN = "unknown"  # this server can't tell
    FAILED = "failed"  # the file can't be read, or the question failed
