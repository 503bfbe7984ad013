"""Failures of what the gallery has, accepts or can do."""

from typing import Final

from bulkup.errors import FailureKind

# albums

NO_ALBUM: Final = FailureKind(
    "no-album",
    "there is no album “{path}”",
    "Check the spelling, or give --create-albums to have it made.",
)
NO_FOLDER_ALBUM: Final = FailureKind(
    "no-folder-album", "there is no album “{path}”", "Upload again: that makes it."
)
ALBUM_UNMADE: Final = FailureKind(
    "album-unmade",
    "the album “{name}” could not be made: {reason}",
    "Run the same command again.",
)

# photos on their way

PERHAPS: Final = FailureKind(
    "perhaps-arrived",
    "the photo may have arrived or not, and this server can't tell: {reason}",
    "Look for it in the gallery before you send it again.",
)
UNNAMED: Final = FailureKind(
    "texts-missing",
    "the photo arrived as number {photo}, but its name and texts did not: {reason}",
    "Mend them in the gallery's administration.",
)
ARRIVED_DIFFERENT: Final = FailureKind(
    "arrived-different",
    "what arrives at the server is not what was sent",
    "Look for a fault of the server's disk or memory, or of a proxy before it.",
)
DAMAGED_THERE: Final = FailureKind(
    "damaged-there",
    "photo {photo} arrived damaged and can't be removed: {reason}",
    "Delete it in the gallery, then run again.",
)
TWIN_CHANGED: Final = FailureKind(
    "twin-changed",
    "the file that was sent for this one changed on its way",
    "Run the same command again.",
)

# files that have changed since they were brought

ANEW: Final = "To bring it as a photo of its own, give the file another name."
CHANGED: Final = FailureKind(
    "changed",
    "it has changed since it was uploaded as photo {photo}",
    f"--update replaces that photo. {ANEW}",
)
CANT_REPLACE: Final = FailureKind(
    "cant-replace",
    "it has changed, and this server can't replace the file of photo {photo}",
    f"It offers no pwg.images.uploadAsync. {ANEW}",
)
CANT_TELL: Final = FailureKind(
    "cant-tell",
    "it has changed, and this server can't tell whether it has the new content",
    f"It must tell photos apart by their MD5. {ANEW}",
)
LOSES_FORMATS: Final = FailureKind(
    "loses-formats",
    "it has changed, and replacing photo {photo} would lose its other formats, such as {name}",
    "Give --raw-as-format too: that sends them again.",
)
LOSES_FORMAT: Final = FailureKind(
    "loses-format",
    "it has changed, and replacing photo {photo} would lose its other format {path}, which this "
    "run does not find beside it",
    f"Put that file back, and leave it out by no flag. {ANEW}",
)
IS_FORMAT: Final = FailureKind(
    "is-format",
    "it is another format of photo {photo} already, and no photo of its own",
    f"Give --raw-as-format, the file lying beside that photo's. {ANEW}",
)
LOSES_FOREIGN: Final = FailureKind(
    "loses-foreign",
    "it has changed, and replacing photo {photo} would lose its other formats ({endings}), which "
    "somebody else has attached",
    f"Save them, and delete them in the gallery. {ANEW}",
)
LOSES_REFUSED: Final = FailureKind(
    "loses-refused",
    "it has changed, and replacing photo {photo} would lose its other format {path}: {reason}",
    "{remedy}",
)
OUT_OF_REACH: Final = FailureKind(
    "out-of-reach",
    "it has changed, and the gallery does not let us look at photo {photo}",
    "Who uploads must be allowed to see it.",
)
CHANGED_THERE: Final = FailureKind(
    "changed-there",
    "it has changed, and so has photo {photo} in the gallery: nothing is replaced",
    f"Somebody else may have put another file there. {ANEW}",
)
OTHER_PHOTO: Final = FailureKind(
    "other-photo",
    "it was to replace photo {photo} and is photo {other} now",
    "Compare the two in the gallery and delete one of them.",
)
REPLACED_PERHAPS: Final = FailureKind(
    "replaced-perhaps",
    "it was sent to replace photo {photo}, which can't be confirmed: {reason}",
    "Run the same command again.",
)
REPLACED_OTHERWISE: Final = FailureKind(
    "replaced-otherwise",
    "what the gallery stores as photo {photo} is not what was sent to replace it",
    "Look at the photo there. If the gallery shrinks originals, nothing is wrong.",
)

# other formats of photos

FORMATS_OFF: Final = FailureKind(
    "formats-off",
    "this gallery takes no formats of photos (RAW and the like)",
    "Set $conf['enable_formats'] = true; in its local/config/config.inc.php.",
)
FORMAT_REFUSED: Final = FailureKind(
    "format-refused",
    "this gallery takes no such file as a format of a photo{said}",
    "Add the ending to $conf['format_ext'] in its local/config/config.inc.php.",
)
NO_FORMATS: Final = FailureKind(
    "no-formats",
    "this server takes no formats: it offers no pwg.images.upload",
    "Leave --raw-as-format out, or update Piwigo.",
)
NO_MAIN: Final = FailureKind(
    "no-main",
    "its photo {name} is not in the gallery",
    "Bring that first, then run the same command again.",
)
FORMAT_TAKEN: Final = FailureKind(
    "format-taken",
    "another file is the .{ending} of {name} already",
    "A photo has one format of each ending: give it a photo of its own.",
)
FORMAT_CHANGED: Final = FailureKind(
    "format-changed",
    "it has changed since it became a format of photo {photo}",
    "--update sends it again.",
)
FORMAT_OTHER: Final = FailureKind(
    "format-other",
    "another file became the .{ending} of photo {photo}",
    "--update sends this one in its place.",
)
FORMAT_PERHAPS: Final = FailureKind(
    "format-perhaps",
    "another file is, or may be, the .{ending} of photo {photo}, which is called otherwise there",
    "Look at the photo there: if it has none, attach this file in the gallery. Otherwise give it "
    "a photo of its own.",
)

# what `bulkup verify` finds

MISSING: Final = FailureKind(
    "missing", "the gallery does not have it", "Upload again: that brings it."
)
ELSEWHERE: Final = FailureKind(
    "not-in-album",
    "photo {photo} is in the gallery, but not in album {album}",
    "Upload again: that puts it into the album.",
)
NO_PLACE: Final = FailureKind(
    "no-place", "photo {photo} is in the gallery, but {reason}", "{remedy}"
)
DIFFERING: Final = FailureKind(
    "differing",
    "what the gallery stores as photo {photo} is not this file any more",
    "Delete photo {photo} in the gallery, then upload again. If the gallery shrinks originals, "
    "nothing is wrong.",
)
NAMELESS: Final = FailureKind(
    "unasked",
    "this gallery can't be asked for a photo by its MD5",
    "It must offer pwg.images.exist, and not tell photos apart by name.",
)
UNASKED_FORMAT: Final = FailureKind(
    "unasked-format",
    "it is a format of photo {photo}, and no gallery tells how it stores those",
    "Look at the photo there, or leave such files out: --exclude.",
)
UNREAD: Final = FailureKind(
    "unread",
    "the gallery has the MD5 of photo {photo}, but can't read its file",
    "With --quick the MD5 is enough.",
)
UNLISTED: Final = FailureKind(
    "unlisted",
    "the gallery has photo {photo}, but can't list album {album}",
    "Without --album and --tree it is enough to be in the gallery.",
)
UNCHECKED: Final = FailureKind("unchecked", "it could not be checked: {reason}", "{remedy}")

# files that stay in spite of --after, because the gallery is not sure to have them

NO_NUMBER: Final = FailureKind(
    "no-number",
    "the gallery does not tell its number",
    "Look for the photo in the gallery, then move the file yourself.",
)
PERHAPS_ASTRAY: Final = FailureKind(
    "perhaps-astray", "it may not be in album {album}", "Run the same command again."
)
CANT_COMPARE: Final = FailureKind(
    "cant-compare",
    "this gallery can't compare the file that it stores with it",
    "Look at the photo in the gallery, then move the file yourself.",
)
STORED_OTHERWISE: Final = FailureKind(
    "stored-otherwise",
    "what the gallery stores as photo {photo} is not this file",
    "Does the gallery shrink originals? Otherwise delete that photo there, and upload again.",
)
