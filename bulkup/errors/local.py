"""Failures of files on this machine."""

from typing import Final

from bulkup.errors import FailureKind

EMPTY: Final = FailureKind(
    "empty", "the file is empty", "Look for an intact copy, or remove the file."
)
VANISHED: Final = FailureKind(
    "vanished", "the file has vanished", "If it was moved, run again with its new path."
)
UNREADABLE: Final = FailureKind(
    "unreadable", "the file can't be read: {reason}", "Check its permissions and the disk."
)
CHANGING: Final = FailureKind(
    "changing",
    "the file changed while it was being read",
    "Wait until it is complete, then run again.",
)
SHORTER: Final = FailureKind(
    "shorter",
    "the file became shorter while it was being read",
    "Wait until it is complete, then run again.",
)
UNSEEN: Final = FailureKind("unseen", "it can't be read: {reason}", "Check its permissions.")
DANGLING: Final = FailureKind(
    "dangling", "it can't be read: the symbolic link is broken", "Fix the link, or exclude it."
)
NOT_THERE: Final = FailureKind(
    "not-there",
    "it can't be read: {reason}",
    "Paths in a list are used literally, relative to the current folder.",
)
IS_FOLDER: Final = FailureKind(
    "is-folder",
    "it can't be read: it is a folder",
    "List the files in it, or pass the folder itself to bulkup.",
)
CANT_WRITE: Final = FailureKind(
    "cant-write",
    "it can't be downloaded to {place}: {reason}",
    "Free some disk space, or set TMPDIR to a folder with more, and run again.",
)
NO_FOLDER: Final = FailureKind(
    "no-folder",
    "it is not in a folder that could become an album",
    "Give --album for files at the top level.",
)
MAIN_UNREADABLE: Final = FailureKind(
    "main-unreadable",
    "its photo {name} can't be read: {reason}",
    "Upload that photo first, then run the same command again.",
)
CANT_CONVERT: Final = FailureKind(
    "cant-convert",
    "it can't be converted to JPEG: {reason}",
    "Check whether other programs can open it, and get an intact copy.",
)
NO_SPOOL: Final = FailureKind(
    "no-spool",
    "its JPEG can't be written to {folder}: {reason}",
    "Free some space there, or set TMPDIR to a folder on another disk. Then run again.",
)
NO_WORKER: Final = FailureKind(
    "no-worker",
    "no worker can read the file: {reason}",
    "Mount its folder on a worker. If the folder has another path there, give --map HERE=THERE.",
)

# zip archives and their members

ZIP_BROKEN: Final = FailureKind(
    "zip-broken",
    "it is not an intact zip archive: {reason}",
    "Download or copy it again. Photos in other archives are uploaded.",
)
ZIP_ENCRYPTED: Final = FailureKind(
    "zip-encrypted",
    "it is encrypted in its zip archive",
    "Unpack the archive with its password, then run again with the folder.",
)
ZIP_METHOD: Final = FailureKind(
    "zip-method",
    "its zip archive compresses it by method {method}, which can't be read",
    "Unpack the archive, then run again with the folder.",
)
ZIP_NAME: Final = FailureKind(
    "zip-name",
    "its name leads out of its zip archive or is invalid: {name!r}",
    "Nothing is read under such names. Unpack the archive with care if you trust it.",
)
ZIP_OVERLAP: Final = FailureKind(
    "zip-overlap",
    "its data overlaps other data in its zip archive",
    "The archive is damaged, or made to harm. Get an intact copy.",
)
ZIP_BOMB: Final = FailureKind(
    "zip-bomb",
    "it would unpack from {packed:,} to {size:,} bytes, which no photo does",
    "If you trust the archive, unpack it and run again with the folder.",
)
ZIP_DAMAGED: Final = FailureKind(
    "zip-damaged", "its data in the zip archive is damaged", "Get an intact copy of the archive."
)
ZIP_TWICE: Final = FailureKind(
    "zip-twice",
    "its zip archive has another file of the same name: {name}",
    "The first one is uploaded. Unpack the archive to get both, under two names.",
)

# files that --after could not move

LEFT: Final = (
    "Nothing is lost: the file is where it was. Fix that and run again, or move it yourself."
)
CHANGED_SINCE: Final = FailureKind(
    "changed-since", "the file has changed since it was read", "Run the same command again."
)
CANT_MOVE: Final = FailureKind("cant-move", "it can't be moved to {place}: {reason}", LEFT)
NAMES_USED_UP: Final = FailureKind("names-used-up", "too many files are named {target}", LEFT)
CANT_TRASH: Final = FailureKind("cant-trash", "it can't be moved to the trash: {reason}", LEFT)
OUT_OF_SIGHT: Final = FailureKind(
    "out-of-sight", "the file can't be found: {reason}", "Check whether another program moved it."
)
IN_ARCHIVE: Final = FailureKind(
    "in-archive",
    "it is in a zip archive, which --after can't move it out of",
    "Delete the archive once bulkup verify finds all its photos.",
)
IS_LINK: Final = FailureKind(
    "is-link",
    "it is a symbolic link, not the photo itself",
    "Remove it yourself if you no longer need it.",
)
FOLDER_PROTECTED: Final = FailureKind(
    "folder-protected",
    "its folder is not writable",
    "Check its permissions, and whether the disk is write-protected.",
)
CHANGED_LATE: Final = FailureKind(
    "changed-late",
    "it changed while it was being moved, and is at {place} now",
    "Upload it from there.",
)
COPY_DIFFERS: Final = FailureKind("copy-differs", "its copy in {folder} differs from it", LEFT)
THERE_ALREADY: Final = FailureKind("there-already", "it is already in {folder}", LEFT)
SAME_FILE: Final = FailureKind("same-file", "it is the same file as {other}", LEFT)
