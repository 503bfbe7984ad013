"""Failures of the server's answers and of the connection to it; most are worth another try."""

from typing import Final

from bulkup.errors import FailureKind

# limits: what is sent gets smaller by itself

SMALLER: Final = "bulkup sends smaller chunks by itself; for larger ones"
WEB_LIMIT: Final = FailureKind(
    "request-over-limit",
    "the web server takes only smaller requests (HTTP {status})",
    f"{SMALLER}, raise nginx's client_max_body_size or Apache's LimitRequestBody.",
)
POST_LIMIT: Final = FailureKind(
    "post-over-limit",
    "the request is over the server's limit (PHP's post_max_size)",
    f"{SMALLER}, raise it in php.ini.",
)
FILE_LIMIT: Final = FailureKind(
    "file-over-limit",
    "the file is over the server's limit (PHP's upload_max_filesize)",
    f"{SMALLER}, raise it in php.ini.",
)
CHUNK_REFUSED: Final = FailureKind(
    "chunk-refused",
    "the server could not take the chunk ({said})",
    "bulkup sends smaller chunks by itself; if small ones fail too, PHP's folder for temporary "
    "files is full, or missing.",
)

# damage: the photo is sent anew, a few times

TYPE_REFUSED: Final = FailureKind(
    "wrong-type",
    "the server refuses the file: {said}",
    "Open the file: is it what its ending says, and whole? More types are allowed by Piwigo's "
    "upload_form_all_types and file_ext.",
)
CHUNK_DAMAGED: Final = FailureKind(
    "chunk-damaged",
    "a chunk was damaged on the way, or is over the server's limit",
    "Try a smaller --chunk-size; look for a proxy that changes uploads.",
)
PHOTO_DAMAGED: Final = FailureKind(
    "photo-damaged",
    "the photo was damaged on the way: the server's MD5 differs",
    "Run the same command again; if it stays, look for a proxy that changes uploads, or a fault "
    "of the memory here or there.",
)
KNOWN: Final = FailureKind(
    "known",
    "the server refuses: {said}",
    "Look for the photo in the gallery: its content is there, perhaps out of sight.",
)

# the server can't just now

SESSION_LOST: Final = FailureKind(
    "session-lost",
    "the server refuses: {said}",
    "bulkup logs in again by itself; if that does not help, something ends sessions early: look "
    "for a proxy that drops cookies, or for a second log-in that ends the first.",
)
SESSION_UNKEPT: Final = FailureKind(
    "session-unkept",
    "the server forgot the session as soon as it was made",
    "Cookies must get through, and the server must be able to store sessions.",
)
BUSY: Final = FailureKind(
    "busy",
    "the server refuses: {said}",
    "Run the same command again later, with a lower --concurrency.",
)
HELD_OFF: Final = FailureKind(
    "held-off",
    "the server, or a firewall before it, asks to wait ({said})",
    "Let the firewall pass ws.php, or give a lower --concurrency, and run again.",
)
TOO_MANY: Final = FailureKind(
    "too-many-requests",
    "the server asks to wait ({said})",
    "Run the same command again later, with a lower --concurrency.",
)
OTHER_UPLOAD: Final = FailureKind(
    "other-upload",
    "another upload is being completed just now",
    "Run the same command again when that has ended.",
)
AWAY: Final = FailureKind(
    "server-away",
    "the server is away ({said})",
    "Run the same command again when it is back; --patience waits longer.",
)
NO_WS: Final = FailureKind(
    "no-ws",
    "there is no ws.php ({said})",
    "Is Piwigo being updated, or moved? Run the same command again when it is back.",
)
PHP_DIED: Final = FailureKind(
    "php-died",
    "PHP died over the request ({said})",
    "Look into the server's PHP log: its memory_limit or a time limit may be short.",
)
MERGE_FAILED: Final = FailureKind(
    "merge-failed", "the server refuses: {said}", "Is the server's disk full?"
)
UNMERGED: Final = FailureKind(
    "unmerged",
    "the server holds the photo's chunks and makes no photo of them",
    "Is the server's disk full? Otherwise try --method upload.",
)
UNCONFIRMED: Final = FailureKind(
    "unconfirmed",
    "the server did not confirm the photo",
    "Run the same command again; if it stays, look into the server's PHP log.",
)
ALBUM_UNCONFIRMED: Final = FailureKind(
    "album-unconfirmed",
    "the server does not tell the number of the new album",
    "Run the same command again; if it stays, make the album in the gallery.",
)

# the way to the server

LINE_CHECK: Final = "Check the network; run the same command again."
UNKNOWN_HOST: Final = FailureKind(
    "unknown-host",
    "no connection to {url}: {reason}",
    "Check how the name of the host is spelled, and the network.",
)
UNREACHABLE: Final = FailureKind("unreachable", "no connection to {url}: {reason}", LINE_CHECK)
BROKEN: Final = FailureKind("connection-broke", "the connection broke: {reason}", LINE_CHECK)
HANDSHAKE: Final = FailureKind("tls-failed", "the TLS handshake failed: {reason}", LINE_CHECK)
TIMED_OUT: Final = FailureKind(
    "timed-out",
    "the server did not answer in time",
    "The line or the server is slow: give a lower --concurrency, or a smaller --chunk-size.",
)

# answers that nobody understands

STRANGE: Final = FailureKind(
    "strange-answer",
    "the server's answer is none of Piwigo's ({said})",
    "Open the address in a browser: something before Piwigo answers, or PHP fails.",
)
NOT_OFFERED: Final = FailureKind(
    "not-offered",
    "the server offers no {method}",
    "Is this Piwigo complete and up to date?",
)
UNKNOWN_METHOD: Final = FailureKind(
    "unknown-method",
    "the server refuses: {said}",
    "Is this Piwigo complete and up to date?",
)
SILENT: Final = FailureKind(
    "not-told",
    "the server does not tell {what}",
    "Is this Piwigo complete and up to date?",
)
REFUSED: Final = FailureKind(
    "refused",
    "the server refuses: {said}",
    "Look up these words of Piwigo's in its forum, or in the server's PHP log.",
)
IN_PART: Final = FailureKind(
    "in-part",
    "the server carried the request out in part only (HTTP {status})",
    "Check that the album still exists.",
)
PHOTO_GONE: Final = FailureKind(
    "photo-gone",
    "the server refuses: {said}",
    "Somebody has deleted the photo in the gallery; run the same command again.",
)
NOT_IMAGE: Final = FailureKind(
    "file-not-added",
    "the server refuses: {said}",
    "Somebody has deleted the photo in the gallery; run the same command again.",
)
