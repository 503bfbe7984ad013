"""Failures that end a run, or keep it from starting."""

from typing import Final

from bulkup.errors import FailureKind

# the address

NOT_REACHED: Final = FailureKind(
    "not-reached", "{url} can't be reached: {reason}", "Check the address and the network. {more}"
)
NO_ANSWER: Final = FailureKind(
    "no-answer",
    "{reason}",
    "Check the address and the network. {more}",
)
UNSAFE: Final = FailureKind(
    "unsafe",
    "no safe connection to {url}: {reason}",
    "Check the address: a gallery without TLS needs http:// in front.",
)
UNTRUSTED: Final = FailureKind(
    "untrusted",
    "no safe connection to {url}: {reason}",
    "If it is a server of your own, name the file of its certificate by --ca-cert; --insecure "
    "believes any server, and so anybody on the way.",
)
OTHER_CERTIFICATE: Final = FailureKind(
    "certificate-of-another",
    "no safe connection to {url}: {reason}",
    "Give the address that the certificate is made for as --url.",
)
OLD_CERTIFICATE: Final = FailureKind(
    "certificate-expired",
    "no safe connection to {url}: {reason}",
    "Have the certificate renewed, and check the clock of this machine.",
)
TLS_ONLY: Final = FailureKind(
    "tls-only", "{url} speaks TLS only", "A gallery with TLS needs https:// in front."
)
NO_ADDRESS: Final = FailureKind(
    "no-address", "{url} is no web address", "It looks like https://host/."
)
NO_PIWIGO: Final = FailureKind(
    "not-piwigo",
    "no Piwigo answers at {url}ws.php: {reason}",
    "Give the address of the gallery's home page as --url.",
)
ODD_PIWIGO: Final = FailureKind(
    "odd-piwigo",
    "{url} answers, but not as a Piwigo does: {reason}",
    "Give the address of the gallery's home page.",
)
OTHER_HOST: Final = FailureKind(
    "redirect-elsewhere",
    "{url} redirects to another server: {target}",
    "If you trust it, give that address as --url.",
)
REDIRECT: Final = FailureKind(
    "redirect",
    "the server redirects to {target}",
    "Give the address that it redirects to, if you trust it, as --url.",
)
WEB_PASSWORD: Final = FailureKind(
    "web-password",
    "the web server in front of Piwigo asks for a password of its own (HTTP 401)",
    "bulkup can't log in there: let it reach ws.php without that.",
)
STREAMED: Final = FailureKind(
    "no-streams",
    "the web server refuses streamed requests ({said})",
    "Allow chunked requests in the web server, or in the proxy before it.",
)

# who logs in

LOGIN: Final = FailureKind(
    "login-refused",
    "log-in as {user} at {url} failed: {reason}",
    "Check user and password. An account with two-factor log-in needs an API key (Piwigo 16 and "
    "later).",
)
API_KEY: Final = FailureKind(
    "api-key-refused",
    "the server does not accept the API key",
    "It may be wrong, revoked or out of date; users make keys in their profile.",
)
TWO_FACTOR: Final = FailureKind(
    "two-factor",
    "this account has two-factor log-in, which no program passes",
    "Make an API key on the account's profile page in the gallery, and give it by BULKUP_API_KEY "
    "or --api-key-file, or store it once by bulkup login.",
)
NO_KEYS: Final = FailureKind(
    "no-api-keys",
    "{url} knows no API keys",
    "They come with Piwigo 16; give --user and a password instead.",
)
NO_ADMIN: Final = FailureKind(
    "not-admin",
    "{user} is no administrator of {url} but of the status “{rank}”",
    "Uploading needs an administrator or webmaster.",
)

# what the gallery can do

METHOD: Final = FailureKind(
    "method-missing",
    "{url} does not offer what --method {method} needs",
    "Leave --method out; where that does not help, Piwigo is too old.",
)
NO_METHOD: Final = FailureKind(
    "no-method",
    "it offers no way to upload photos",
    "Its Piwigo may be too old, or these methods are switched off.",
)
METHOD_FAILED: Final = FailureKind(
    "method-failed",
    "the server does not take photos this way: {reason}",
    "Try another --method; is this Piwigo complete and up to date?",
)
BUFFER_FOLDER: Final = FailureKind(
    "upload-folder",
    "the server refuses: {said}",
    "The server can't write its upload folder.",
)
BUFFER: Final = FailureKind(
    "upload-buffer",
    "the server can't keep uploads: {said}",
    "Its folder upload/buffer must be writable and its disk not full.",
)
NO_SUCH_ALBUM: Final = FailureKind(
    "no-such-album",
    "there is no album {album} at {url}",
    "The number stands in the album's address, index.php?/category/NUMBER, and in what bulkup "
    "albums lists. Is {album} its name, bring photos to --album /{album}.",
)
NO_ALBUM_NAMED: Final = FailureKind(
    "no-album-named", "{reason}", "Check the spelling: bulkup albums prints the names of all."
)
ALBUMS_UNTOLD: Final = FailureKind(
    "albums-untold",
    "the gallery does not list its albums: {reason}",
    "Try again later; a Piwigo of our days lists them.",
)
ALBUMS_UNLISTED: Final = FailureKind(
    "albums-unlisted",
    "the gallery does not list its albums: {reason}",
    "Give the number of an album, and no --tree.",
)
ALBUMS_UNMADE: Final = FailureKind(
    "albums-unmade",
    "the gallery makes no albums for others: {reason}",
    "Make them in the gallery, or leave out --create-albums and --tree.",
)
DOOR_SHUT: Final = FailureKind("door-shut", "{reason}", "Run the same command again.")
GONE: Final = FailureKind(
    "gone-too-long",
    "the server has been away for {seconds:.0f} s: {reason}",
    "Run the same command again when it is back.",
)

# this machine

KEY_RING: Final = FailureKind(
    "key-ring",
    "the system's key ring can't be used: {reason}",
    "Unlock it, or use a file that only you can read: --password-file FILE, or password_command "
    "in a profile.",
)
LEDGER_BUSY: Final = FailureKind(
    "ledger-busy",
    "another run is at work for {url} with the ledger {file}",
    "Wait for its end, or give this one a --ledger of its own.",
)
LEDGER_FAILS: Final = FailureKind(
    "ledger-fails",
    "the ledger {file} can't be used: {reason}",
    "Make room or permit writing there, or give another --ledger. With --no-ledger bulkup does "
    "without.",
)
LEDGER_UNREAD: Final = FailureKind(
    "ledger-unread",
    "the ledger {file} can't be read: {reason}",
    "Permit reading it, or give another --ledger; the next upload sets a damaged one aside.",
)
LEDGER_NEWER: Final = FailureKind(
    "ledger-newer",
    "the ledger {file} was written by a newer bulkup",
    "Update bulkup, or give another --ledger; deleting it costs time only.",
)
LEDGER_FOREIGN: Final = FailureKind(
    "ledger-foreign",
    "{file} is no ledger of bulkup but another program's database",
    "Give another --ledger.",
)
LIST_UNREAD: Final = FailureKind(
    "list-unread", "{name} can't be read: {reason}", "Mend it and run the same command again."
)
LIST_ODD: Final = FailureKind(
    "list-odd",
    "{name} holds no paths: one is longer than any can be",
    "It must name a file a line, or end each name with a NUL.",
)
LIST_UTF16: Final = FailureKind(
    "list-utf16",
    "{name} is UTF-16 text",
    "Write it as UTF-8, in PowerShell by Out-File -Encoding utf8.",
)
UNWATCHED: Final = FailureKind(
    "unwatched", "the folders can't be watched: {reason}", "--poll looks again and again."
)

# other machines

CLUSTER_UNREACHED: Final = FailureKind(
    "cluster-unreached",
    "the Dask scheduler at {address} can't be reached: {reason}",
    "Check its address, and its certificates if it has some.",
)
CLUSTER_EMPTY: Final = FailureKind(
    "cluster-empty",
    "the Dask scheduler at {address} has no workers",
    "Start some: dask worker {address}",
)
CLUSTER_GONE: Final = FailureKind(
    "cluster-gone",
    "the Dask scheduler at {address} {what}",
    "Run the same command again when it is back: nothing is lost.",
)
CLUSTER_UNFIT: Final = FailureKind(
    "cluster-unfit", "no Dask worker can take part: {reason}", "Mend that on the workers."
)
