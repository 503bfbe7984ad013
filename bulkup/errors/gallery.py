"""Failures of one photo that lie in what the gallery has, takes or can do.

Knows words only.
"""

from typing import Final

from bulkup.errors import Kind

# albums

NO_ALBUM: Final = Kind(
    "no-album",
    "there is no album “{path}”",
    "Check the spelling, or give --create-albums to have it made.",
)
NO_FOLDER_ALBUM: Final = Kind(
    "no-folder-album", "there is no album “{path}”", "Upload again: that makes it."
)
ALBUM_UNMADE: Final = Kind(
    "album-unmade",
    "the album “{name}” could not be made: {reason}",
    "Run the same command again.",
)

# photos on their way

PERHAPS: Final = Kind(
    "perhaps-arrived",
    "the photo may have arrived or not, and this server can't tell: {reason}",
    "Look for it in the gallery before you send it again.",
)
UNNAMED: Final = Kind(
    "texts-missing",
    "the photo arrived as number {photo}, but its name and texts did not: {reason}",
    "Mend them in the gallery's administration.",
)
ARRIVED_DIFFERENT: Final = Kind(
    "arrived-different",
    "what arrives at the server is not what was sent",
    "Look for a fault of the server's disk or memory, or of a proxy before it.",
)
DAMAGED_THERE: Final = Kind(
    "damaged-there",
    "photo {photo} arrived damaged and can't be removed: {reason}",
    "Delete it in the gallery, then run again.",
)
TWIN_CHANGED: Final = Kind(
    "twin-changed",
    "the file that was sent for this one changed on its way",
    "Run the same command again.",
)

# files that have changed since they were brought

ANEW: Final = "To bring it as a photo of its own, give the file another name."
CHANGED: Final = Kind(
    "changed",
    "it has changed since it was uploaded as photo {photo}",
    f"--update replaces that photo. {ANEW}",
)
CANT_REPLACE: Final = Kind(
    "cant-replace",
    "it has changed, and this server can't replace the file of photo {photo}",
    f"It offers no pwg.images.uploadAsync. {ANEW}",
)
CANT_TELL: Final = Kind(
    "cant-tell",
    "it has changed, and this server can't tell whether it has the new content",
    f"It must tell photos apart by their MD5. {ANEW}",
)
LOSES_FORMATS: Final = Kind(
    "loses-formats",
    "it has changed, and replacing photo {photo} would lose its other formats, such as {name}",
    "Give --raw-as-format too: that sends them again.",
)
LOSES_FORMAT: Final = Kind(
    "loses-format",
    "it has changed, and replacing photo {photo} would lose its other format {path}, which this "
    "run does not find beside it",
    f"Put that file back, and leave it out by no flag. {ANEW}",
)
IS_FORMAT: Final = Kind(
    "is-format",
    "it is another format of photo {photo} already, and no photo of its own",
    f"Give --raw-as-format, the file lying beside that photo's. {ANEW}",
)
LOSES_FOREIGN: Final = Kind(
    "loses-foreign",
    "it has changed, and replacing photo {photo} would lose its other formats ({endings}), which "
    "somebody else has attached",
    f"Save them, and delete them in the gallery. {ANEW}",
)
LOSES_REFUSED: Final = Kind(
    "loses-refused",
    "it has changed, and replacing photo {photo} would lose its other format {path}: {reason}",
    "{remedy}",
)
OUT_OF_REACH: Final = Kind(
    "out-of-reach",
    "it has changed, and the gallery does not let us look at photo {photo}",
    "Who uploads must be allowed to see it.",
)
CHANGED_THERE: Final = Kind(
    "changed-there",
    "it has changed, and so has photo {photo} in the gallery: nothing is replaced",
    f"Somebody else may have put another file there. {ANEW}",
)
OTHER_PHOTO: Final = Kind(
    "other-photo",
    "it was to replace photo {photo} and is photo {other} now",
    "Compare the two in the gallery and delete one of them.",
)
REPLACED_PERHAPS: Final = Kind(
    "replaced-perhaps",
    "it was sent to replace photo {photo}, which can't be confirmed: {reason}",
    "Run the same command again.",
)
REPLACED_OTHERWISE: Final = Kind(
    "replaced-otherwise",
    "what the gallery stores as photo {photo} is not what was sent to replace it",
    "Look at the photo there. If the gallery shrinks originals, nothing is wrong.",
)

# other formats of photos

FORMATS_OFF: Final = Kind(
    "formats-off",
    "this gallery takes no formats of photos (RAW and the like)",
    "Set $conf['enable_formats'] = true; in its local/config/config.inc.php.",
)
FORMAT_REFUSED: Final = Kind(
    "format-refused",
    "this gallery takes no such file as a format of a photo{said}",
    "Add the ending to $conf['format_ext'] in its local/config/config.inc.php.",
)
NO_FORMATS: Final = Kind(
    "no-formats",
    "this server takes no formats: it offers no pwg.images.upload",
    "Leave --raw-as-format out, or update Piwigo.",
)
NO_MAIN: Final = Kind(
    "no-main",
    "its photo {name} is not in the gallery",
    "Bring that first, then run the same command again.",
)
FORMAT_TAKEN: Final = Kind(
    "format-taken",
    "another file is the .{ending} of {name} already",
    "A photo has one format of each ending: give it a photo of its own.",
)
FORMAT_CHANGED: Final = Kind(
    "format-changed",
    "it has changed since it became a format of photo {photo}",
    "--update sends it again.",
)
FORMAT_OTHER: Final = Kind(
    "format-other",
    "another file became the .{ending} of photo {photo}",
    "--update sends this one in its place.",
)
FORMAT_PERHAPS: Final = Kind(
    "format-perhaps",
    "another file is, or may be, the .{ending} of photo {photo}, which is called otherwise there",
    "Look at the photo there: if it has none, attach this file in the gallery. Otherwise give it "
    "a photo of its own.",
)

# what `bulkup verify` finds

MISSING: Final = Kind("missing", "the gallery does not have it", "Upload again: that brings it.")
ELSEWHERE: Final = Kind(
    "not-in-album",
    "photo {photo} is in the gallery, but not in album {album}",
    "Upload again: that puts it into the album.",
)
NO_PLACE: Final = Kind("no-place", "photo {photo} is in the gallery, but {reason}", "{remedy}")
DIFFERING: Final = Kind(
    "differing",
    "what the gallery stores as photo {photo} is not this file any more",
    "Delete photo {photo} in the gallery, then upload again. If the gallery shrinks originals, "
    "nothing is wrong.",
)
NAMELESS: Final = Kind(
    "unasked",
    "this gallery can't be asked for a photo by its MD5",
    "It must offer pwg.images.exist, and not tell photos apart by name.",
)
UNASKED_FORMAT: Final = Kind(
    "unasked-format",
    "it is a format of photo {photo}, and no gallery tells how it stores those",
    "Look at the photo there, or leave such files out: --exclude.",
)
UNREAD: Final = Kind(
    "unread",
    "the gallery has the MD5 of photo {photo}, but can't read its file",
    "With --quick the MD5 is enough.",
)
UNLISTED: Final = Kind(
    "unlisted",
    "the gallery has photo {photo}, but can't list album {album}",
    "Without --album and --tree it is enough to be in the gallery.",
)
UNCHECKED: Final = Kind("unchecked", "it could not be checked: {reason}", "{remedy}")

# files that stay in spite of --after, because the gallery is not sure to have them

NO_NUMBER: Final = Kind(
    "no-number",
    "the gallery does not tell its number",
    "Look for the photo in the gallery, then move the file yourself.",
)
PERHAPS_ASTRAY: Final = Kind(
    "perhaps-astray", "it may not be in album {album}", "Run the same command again."
)
CANT_COMPARE: Final = Kind(
    "cant-compare",
    "this gallery can't compare the file that it stores with it",
    "Look at the photo in the gallery, then move the file yourself.",
)
STORED_OTHERWISE: Final = Kind(
    "stored-otherwise",
    "what the gallery stores as photo {photo} is not this file",
    "Does the gallery shrink originals? Otherwise delete that photo there, and upload again.",
)
