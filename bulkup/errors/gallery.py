"""Failures of what the gallery has, accepts or can do."""

from typing import Final

from bulkup.errors import FailureKind

# albums

NO_ALBUM: Final = FailureKind(
    "no-album",
    "there is no album “{path}”",
    "Check the spelling, or give --create-albums to create it.",
)
NO_FOLDER_ALBUM: Final = FailureKind(
    "no-folder-album", "there is no album “{path}”", "Upload again: that creates the album."
)
ALBUM_UNMADE: Final = FailureKind(
    "album-unmade",
    "the album “{name}” could not be created: {reason}",
    "Run the same command again.",
)

NO_UPLOAD_HERE: Final = FailureKind(
    "no-upload-here",
    "this account may not upload to album {album}",
    "bulkup albums lists the albums that it may upload to. Administrators grant others, in the "
    "Community plugin.",
)
NO_NEW_ALBUMS: Final = FailureKind(
    "no-new-albums",
    "this account may not create albums there",
    "Choose another --album, or ask an administrator to permit it in the Community plugin.",
)

NOT_SHARED: Final = FailureKind(
    "not-shared", "the gallery did not give that access", "Give access in the gallery."
)

# originals of another gallery

NOT_DOWNLOADED: Final = FailureKind(
    "not-downloaded",
    "the other gallery does not hand out its original: HTTP {status}",
    "Check that the photo opens there, and that its account may see originals.",
)
NOT_THE_ORIGINAL: Final = FailureKind(
    "not-the-original",
    "what the other gallery hands out is not the photo whose MD5 it has recorded",
    "Compare the file on that server with the photo that the gallery shows. If that gallery makes "
    "photos smaller on arrival, use --ignore-md5.",
)

# photos of other accounts, and quotas

NOT_OWN: Final = FailureKind(
    "not-own",
    "another account uploaded that photo, so this account may not change it",
    "An administrator can.",
)
ONLY_ADMINS: Final = FailureKind(
    "only-admins", "only administrators of the gallery may do that", "Log in as one."
)
NOT_LINKED: Final = FailureKind(
    "not-linked",
    "the gallery already has it as photo {photo}, which this account can't add to album {album}: "
    "{reason}",
    "Ask an administrator to add photo {photo} to the album.",
)
NOT_ADDED: Final = FailureKind(
    "not-added",
    "photo {photo} is in the gallery, but could not be added to album {album}: {reason}",
    "Run the same command again: that adds it.",
)
OVER_QUOTA: Final = FailureKind(
    "over-quota",
    "it is larger than what is left of the account's quota",
    "Ask an administrator for a larger quota, or delete photos in the gallery.",
)

# photos in transit

PERHAPS: Final = FailureKind(
    "perhaps-arrived",
    "the photo may or may not have arrived, and this server can't tell: {reason}",
    "Look for it in the gallery before you upload it again.",
)
UNNAMED: Final = FailureKind(
    "texts-missing",
    "the photo arrived as number {photo}, but its name and metadata did not: {reason}",
    "Set them in the gallery's administration.",
)
ARRIVED_DIFFERENT: Final = FailureKind(
    "arrived-different",
    "the photo that arrives at the server differs from the one that was sent",
    "Check the server's disk and memory, and any proxy in front of it.",
)
DAMAGED_THERE: Final = FailureKind(
    "damaged-there",
    "photo {photo} arrived damaged and can't be removed: {reason}",
    "Delete it in the gallery, then run the same command again.",
)
TWIN_CHANGED: Final = FailureKind(
    "twin-changed",
    "an identical file, which was sent instead of this one, changed during the upload",
    "Run the same command again.",
)
WRONG_MD5: Final = FailureKind(
    "wrong-md5",
    "the gallery takes it for photo {photo}, whose stored file is another one",
    "The MD5 of that photo is wrong there, or its file is damaged. Switch off “Detect and avoid "
    "duplicates during upload” in the gallery's configuration, then run the same command again.",
)

# files that have changed since they were uploaded

ANEW: Final = "To upload it as a separate photo, rename the file."
CHANGED: Final = FailureKind(
    "changed",
    "it has changed since it was uploaded as photo {photo}",
    f"--update replaces that photo. {ANEW}",
)
CANT_REPLACE: Final = FailureKind(
    "cant-replace",
    "it has changed, and this server can't replace the file of photo {photo}",
    f"It does not offer pwg.images.uploadAsync, or this account is no administrator. {ANEW}",
)
CANT_TELL: Final = FailureKind(
    "cant-tell",
    "it has changed, and this server can't tell whether it has the new content",
    f"The server must be able to find photos by their MD5. {ANEW}",
)
LOSES_FORMATS: Final = FailureKind(
    "loses-formats",
    "it has changed, and replacing photo {photo} would lose its other formats, such as {name}",
    "Give --raw-as-format too: that sends these formats again.",
)
LOSES_FORMAT: Final = FailureKind(
    "loses-format",
    "it has changed, and replacing photo {photo} would lose its other format {path}, which this "
    "run does not find beside it",
    f"Put that file back, and do not exclude it. {ANEW}",
)
IS_FORMAT: Final = FailureKind(
    "is-format",
    "it is already attached to photo {photo} as another format, and is not a photo itself",
    f"Give --raw-as-format, with the file next to that photo's file. {ANEW}",
)
LOSES_FOREIGN: Final = FailureKind(
    "loses-foreign",
    "it has changed, and replacing photo {photo} would lose its other formats "
    "({endings}), which bulkup did not attach",
    f"Save these formats, and delete them in the gallery. {ANEW}",
)
LOSES_REFUSED: Final = FailureKind(
    "loses-refused",
    "it has changed, and replacing photo {photo} would lose its other format {path}: {reason}",
    "{remedy}",
)
OUT_OF_REACH: Final = FailureKind(
    "out-of-reach",
    "it has changed, and the gallery does not show photo {photo} to this account",
    "The account must be allowed to see that photo.",
)
CHANGED_THERE: Final = FailureKind(
    "changed-there",
    "it has changed, and so has photo {photo} in the gallery: nothing is replaced",
    f"Somebody else may have replaced the file there. {ANEW}",
)
OTHER_PHOTO: Final = FailureKind(
    "other-photo",
    "it should have replaced photo {photo}, but became photo {other}",
    "Compare the two in the gallery and delete one of them.",
)
REPLACED_PERHAPS: Final = FailureKind(
    "replaced-perhaps",
    "it was sent to replace photo {photo}, but that can't be confirmed: {reason}",
    "Run the same command again.",
)
REPLACED_OTHERWISE: Final = FailureKind(
    "replaced-otherwise",
    "the gallery's file of photo {photo} differs from the one that was sent to replace it",
    "Look at the photo there. If the gallery resizes originals, nothing is wrong.",
)

# other formats of photos

FORMATS_OFF: Final = FailureKind(
    "formats-off",
    "this gallery does not accept other formats of photos (RAW and the like)",
    "Set $conf['enable_formats'] = true; in its local/config/config.inc.php.",
)
FORMAT_REFUSED: Final = FailureKind(
    "format-refused",
    "this gallery does not accept this file as a format of a photo{said}",
    "Add the extension to $conf['format_ext'] in its local/config/config.inc.php.",
)
NO_FORMATS: Final = FailureKind(
    "no-formats",
    "this server does not accept formats from this account, or does not offer pwg.images.upload",
    "Omit --raw-as-format, log in as an administrator, or update Piwigo.",
)
NO_MAIN: Final = FailureKind(
    "no-main",
    "its photo {name} is not in the gallery",
    "Upload that photo first, then run the same command again.",
)
FORMAT_TAKEN: Final = FailureKind(
    "format-taken",
    "another file is already the .{ending} of {name}",
    "A photo has at most one format of each extension: put this one next to a photo of its own.",
)
FORMAT_CHANGED: Final = FailureKind(
    "format-changed",
    "it has changed since it was attached to photo {photo}",
    "--update sends it again.",
)
FORMAT_OTHER: Final = FailureKind(
    "format-other",
    "another file was attached to photo {photo} as its .{ending}",
    "--update replaces it with this one.",
)
FORMAT_PERHAPS: Final = FailureKind(
    "format-perhaps",
    "another file is, or may be, the .{ending} of photo {photo}, which has another name there",
    "Look at the photo there: if it has no such format, attach this file in the gallery. "
    "Otherwise put it next to a photo of its own.",
)

# what `bulkup verify` finds

MISSING: Final = FailureKind("missing", "the gallery does not have it", "Upload it.")
ELSEWHERE: Final = FailureKind(
    "not-in-album",
    "photo {photo} is in the gallery, but not in album {album}",
    "Upload again: that adds it to the album.",
)
NO_PLACE: Final = FailureKind(
    "no-place", "photo {photo} is in the gallery, but {reason}", "{remedy}"
)
DIFFERING: Final = FailureKind(
    "differing",
    "the gallery's file of photo {photo} differs from this file",
    "Delete photo {photo} in the gallery, then upload again. If the gallery resizes "
    "originals, nothing is wrong.",
)
UNPLACED: Final = FailureKind(
    "unplaced",
    "photo {photo} has no position in the gallery, but its sources have one",
    "Run bulkup refresh for the same paths.",
)
NAMELESS: Final = FailureKind(
    "unasked",
    "this gallery can't find a photo by its MD5",
    "It must offer pwg.images.exist, and must not identify photos by file name.",
)
UNASKED_FORMAT: Final = FailureKind(
    "unasked-format",
    "it is a format of photo {photo}, and Piwigo does not report how it stores formats",
    "Look at the photo there, or exclude such files: --exclude.",
)
HIDDEN: Final = FailureKind(
    "hidden",
    "the gallery has photo {photo}, but does not show it to this account in album {album}",
    "It may await an administrator's approval. Without --album and --tree it is enough that the "
    "photo is in the gallery.",
)
UNREAD: Final = FailureKind(
    "unread",
    "the gallery knows the MD5 of photo {photo}, but can't read its file",
    "With --quick the MD5 is enough.",
)
UNLISTED: Final = FailureKind(
    "unlisted",
    "the gallery has photo {photo}, but can't list album {album}",
    "Without --album and --tree it is enough that the photo is in the gallery.",
)
UNCHECKED: Final = FailureKind("unchecked", "it could not be checked: {reason}", "{remedy}")

# how albums are shown, where `bulkup verify` finds that wrong

PUBLIC_ALBUM: Final = FailureKind(
    "public-album", "album {album} is public", "Make that album private in the gallery."
)
NO_ACCESS: Final = FailureKind(
    "no-access",
    "the private album {album} can't be seen by {names}",
    "Upload again with --private --share-with, or give access in the gallery.",
)
OTHER_ACCESS: Final = FailureKind(
    "other-access",
    "the private album {album} can be seen by {names}, too",
    "Take away their access in the gallery, or name them with --share-with.",
)
ALBUMS_UNSORTED: Final = FailureKind(
    "albums-unsorted",
    "the albums {where} are not sorted by name: “{first}” comes before “{second}”",
    "Sort them in the gallery's administration: an upload with --sort only places new albums.",
)

UNSORTED: Final = FailureKind(
    "unsorted",
    "the photos of album {album} are not sorted by {sort}: “{first}” comes before “{second}”",
    "Choose “Manual order” at {page}, and sort them there, or by the next upload to this album "
    "with --sort {sort}.",
)
OTHER_ORDER: Final = FailureKind(
    "other-order",
    "album {album} shows its photos in the order {order}, not by {sort}: “{first}” comes before "
    "“{second}”",
    "Choose “Manual order” at {page}.",
)
OTHER_COVER: Final = FailureKind(
    "other-cover",
    "the cover of album {album} is not photo {photo}: it is {cover}",
    "Set the cover on the page of photo {photo} in the gallery.",
)
ALBUM_UNCHECKED: Final = FailureKind(
    "album-unchecked", "album {album} could not be checked: {reason}", "{remedy}"
)
ALBUMS_UNCHECKED: Final = FailureKind(
    "albums-unchecked", "how albums are shown could not be checked: {reason}", "{remedy}"
)

# files that --after does not move, because the gallery may not have them

NO_NUMBER: Final = FailureKind(
    "no-number",
    "the gallery does not report the photo's number",
    "Look for the photo in the gallery, then move the file yourself.",
)
PERHAPS_NOT_IN_ALBUM: Final = FailureKind(
    "perhaps-not-in-album", "it may not be in album {album}", "Run the same command again."
)
CANT_COMPARE: Final = FailureKind(
    "cant-compare",
    "this gallery can't compare its file with this one",
    "Look at the photo in the gallery, then move the file yourself.",
)
LACKS_ORIGINAL: Final = FailureKind(
    "lacks-original",
    "photo {photo} is a JPEG made from it, and no longer has the file itself as a format",
    "Upload it again, with --convert.",
)
ONLY_JPEG: Final = FailureKind(
    "only-jpeg",
    "photo {photo} is a JPEG made from it, and the gallery has not got the file itself",
    "Move the file by --after move:DIR instead, or have the gallery accept such files as formats.",
)
STORED_OTHERWISE: Final = FailureKind(
    "stored-otherwise",
    "the gallery's file of photo {photo} differs from this file",
    "Check whether the gallery resizes originals. If not, delete that photo there and "
    "upload again.",
)
