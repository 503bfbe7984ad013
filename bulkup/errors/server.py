"""Failures of the server's answers and of the connection to it; most are worth another try."""

from typing import Final

from bulkup.errors import FailureKind

# limits: bulkup then sends smaller chunks

SMALLER: Final = "bulkup sends smaller chunks by itself; for larger ones"
WEB_LIMIT: Final = FailureKind(
    "request-over-limit",
    "the web server accepts only smaller requests (HTTP {status})",
    f"{SMALLER}, raise nginx's client_max_body_size or Apache's LimitRequestBody.",
)
POST_LIMIT: Final = FailureKind(
    "post-over-limit",
    "the request exceeds the server's limit (PHP's post_max_size)",
    f"{SMALLER}, raise it in php.ini.",
)
FILE_LIMIT: Final = FailureKind(
    "file-over-limit",
    "the file exceeds the server's limit (PHP's upload_max_filesize)",
    f"{SMALLER}, raise it in php.ini.",
)
CHUNK_REFUSED: Final = FailureKind(
    "chunk-refused",
    "the server could not take the chunk ({said})",
    "bulkup sends smaller chunks by itself. If small ones fail too, PHP's folder for "
    "temporary files is full or missing.",
)

# damage: the photo is sent again, a few times

TYPE_REFUSED: Final = FailureKind(
    "wrong-type",
    "the server refuses the file: {said}",
    "Check that the file is intact and of the type that its extension says. Piwigo's "
    "settings upload_form_all_types and file_ext allow more types.",
)
CHUNK_DAMAGED: Final = FailureKind(
    "chunk-damaged",
    "a chunk was damaged in transit, or exceeds the server's limit",
    "Try a smaller --chunk-size, and look for a proxy that changes uploads.",
)
PHOTO_DAMAGED: Final = FailureKind(
    "photo-damaged",
    "the photo was damaged in transit: the server's MD5 differs",
    "Run the same command again. If it fails again, look for a proxy that changes "
    "uploads, or for faulty memory here or on the server.",
)
KNOWN: Final = FailureKind(
    "known",
    "the server refuses: {said}",
    "The gallery already has this content; it may be in a place that you can't see.",
)

# temporary conditions of the server

SESSION_LOST: Final = FailureKind(
    "session-lost",
    "the server refuses: {said}",
    "bulkup logs in again by itself. If that does not help, something ends sessions "
    "early: look for a proxy that drops cookies, or for a second log-in that ends the "
    "first one.",
)
SESSION_UNKEPT: Final = FailureKind(
    "session-unkept",
    "the server forgot the session immediately",
    "Check that cookies pass any proxy, and that the server can store sessions.",
)
CHUNK_UNREAD: Final = FailureKind(
    "chunk-unread",
    "the server could not read the chunk that it received ({said})",
    "Run the same command again. If it fails again, PHP's folder for temporary files is full or "
    "missing.",
)
BUSY: Final = FailureKind(
    "busy",
    "the server refuses: {said}",
    "Run the same command again later, with a lower --concurrency.",
)
HELD_OFF: Final = FailureKind(
    "held-off",
    "the server, or a firewall in front of it, asks to wait ({said})",
    "Exempt ws.php in the firewall, or give a lower --concurrency, and run again.",
)
TOO_MANY: Final = FailureKind(
    "too-many-requests",
    "the server asks to wait ({said})",
    "Run the same command again later, with a lower --concurrency.",
)
OTHER_UPLOAD: Final = FailureKind(
    "other-upload",
    "another upload is being completed",
    "Run the same command again when that upload has finished.",
)
UNAVAILABLE: Final = FailureKind(
    "server-unavailable",
    "the server is unavailable ({said})",
    "Run the same command again when it is back; --patience waits longer.",
)
NO_WS: Final = FailureKind(
    "no-ws",
    "there is no ws.php ({said})",
    "Check whether Piwigo is being updated or was moved. Run the same command again when "
    "it is back.",
)
PHP_DIED: Final = FailureKind(
    "php-died",
    "PHP crashed during the request ({said})",
    "Check the server's PHP log: memory_limit or a time limit may be too low.",
)
MERGE_FAILED: Final = FailureKind(
    "merge-failed", "the server refuses: {said}", "Check whether the server's disk is full."
)
UNMERGED: Final = FailureKind(
    "unmerged",
    "the server has the photo's chunks but does not assemble them",
    "Check whether the server's disk is full. Otherwise try --method upload.",
)
UNCONFIRMED: Final = FailureKind(
    "unconfirmed",
    "the server did not confirm the photo",
    "Run the same command again. If it fails again, check the server's PHP log.",
)
ALBUM_UNCONFIRMED: Final = FailureKind(
    "album-unconfirmed",
    "the server does not report the number of the new album",
    "Run the same command again. If it fails again, create the album in the gallery.",
)

# the connection to the server

LINE_CHECK: Final = "Check the network, then run the same command again."
UNKNOWN_HOST: Final = FailureKind(
    "unknown-host",
    "no connection to {url}: {reason}",
    "Check the spelling of the host name, and the network.",
)
UNREACHABLE: Final = FailureKind("unreachable", "no connection to {url}: {reason}", LINE_CHECK)
BROKEN: Final = FailureKind("connection-broke", "the connection broke: {reason}", LINE_CHECK)
PROXY_UNREACHABLE: Final = FailureKind(
    "proxy-unreachable",
    "no connection through the proxy {proxy}: {reason}",
    "Check --proxy, or HTTPS_PROXY and HTTP_PROXY; --proxy off connects directly.",
)
TIMED_OUT: Final = FailureKind(
    "timed-out",
    "the server did not answer in time",
    "The network or the server is slow: give a lower --concurrency, or a smaller --chunk-size.",
)
WORKER_LOST: Final = FailureKind(
    "worker-lost", "the worker that sent it was lost", "Run the same command again."
)

# answers that are not Piwigo's

STRANGE: Final = FailureKind(
    "strange-answer",
    "the server's answer is not one of Piwigo's ({said})",
    "Open the address in a browser: something in front of Piwigo answers, or PHP fails.",
)
NOT_OFFERED: Final = FailureKind(
    "not-offered",
    "the server does not offer {method}",
    "Check that this Piwigo is complete and up to date.",
)
UNKNOWN_METHOD: Final = FailureKind(
    "unknown-method",
    "the server refuses: {said}",
    "Check that this Piwigo is complete and up to date.",
)
NOT_REPORTED: Final = FailureKind(
    "not-reported",
    "the server does not report {what}",
    "Check that this Piwigo is complete and up to date.",
)
REFUSED: Final = FailureKind(
    "refused",
    "the server refuses: {said}",
    "Search for this message in Piwigo's forum, or check the server's PHP log.",
)
IN_PART: Final = FailureKind(
    "in-part",
    "the server completed only part of the request (HTTP {status})",
    "Check that the album still exists.",
)
PHOTO_GONE: Final = FailureKind(
    "photo-gone",
    "the server refuses: {said}",
    "The photo was deleted in the gallery; run the same command again.",
)
NOT_IMAGE: Final = FailureKind(
    "file-not-added",
    "the server refuses: {said}",
    "The photo was deleted in the gallery; run the same command again.",
)
