"""Failures of files on this machine."""

from typing import Final

from bulkup.errors import FailureKind

EMPTY: Final = FailureKind(
    "empty", "the file is empty", "Look for an intact copy, or remove the file."
)
VANISHED: Final = FailureKind(
    "vanished", "the file has vanished", "If it was moved, run again on its new place."
)
UNREADABLE: Final = FailureKind(
    "unreadable", "the file can't be read: {reason}", "Check its permissions and the disk."
)
CHANGING: Final = FailureKind(
    "changing",
    "the file changes while it is read",
    "Wait until it is complete, then run again.",
)
SHORTER: Final = FailureKind(
    "shorter",
    "the file became shorter while it was read",
    "Wait until it is complete, then run again.",
)
UNSEEN: Final = FailureKind("unseen", "it can't be read: {reason}", "Check its permissions.")
DANGLING: Final = FailureKind(
    "dangling", "it can't be read: the link leads nowhere", "Mend it, or exclude it."
)
NOT_THERE: Final = FailureKind(
    "not-there",
    "it can't be read: {reason}",
    "Names in a list count as they stand, from the current folder on.",
)
IS_FOLDER: Final = FailureKind(
    "is-folder",
    "it can't be read: it is a folder",
    "Name the files in it, or give the folder itself to bulkup.",
)
NO_FOLDER: Final = FailureKind(
    "no-folder",
    "it lies in no folder that could be an album",
    "Give --album for what lies at the top.",
)
MAIN_UNREADABLE: Final = FailureKind(
    "main-unreadable",
    "its photo {name} can't be read: {reason}",
    "Bring that first, then run the same command again.",
)
NO_WORKER: Final = FailureKind(
    "no-worker",
    "no worker sees the file: {reason}",
    "Mount its folder on a worker; where it has another name there, say so: --map HERE=THERE.",
)

# files that stay in spite of --after

LEFT: Final = "Nothing is lost: the file is where it was. Mend that and run again, or move it."
CHANGED_SINCE: Final = FailureKind(
    "changed-since", "the file has changed since it was read", "Run again."
)
CANT_MOVE: Final = FailureKind("cant-move", "it can't be moved to {place}: {reason}", LEFT)
NAMES_USED_UP: Final = FailureKind(
    "names-used-up", "too many files are called like {target}", LEFT
)
CANT_TRASH: Final = FailureKind("cant-trash", "it can't be put into the trash: {reason}", LEFT)
OUT_OF_SIGHT: Final = FailureKind(
    "out-of-sight", "the file can't be found: {reason}", "Look whether somebody else moved it."
)
IS_LINK: Final = FailureKind(
    "is-link",
    "it is a symbolic link, not the photo itself",
    "Remove it yourself, if it is no longer needed.",
)
FOLDER_PROTECTED: Final = FailureKind(
    "folder-protected", "its folder may not be written to", "Is the disk write-protected?"
)
CHANGED_LATE: Final = FailureKind(
    "changed-late",
    "it changed at the last moment, and lies at {place} now",
    "Upload it from there.",
)
COPY_DIFFERS: Final = FailureKind("copy-differs", "its copy in {folder} is not the same", LEFT)
THERE_ALREADY: Final = FailureKind("there-already", "it lies in {folder} already", LEFT)
SAME_FILE: Final = FailureKind("same-file", "it is the same file as {other}", LEFT)
