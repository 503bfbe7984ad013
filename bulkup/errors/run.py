"""Failures that end a run, or prevent it from starting."""

from typing import Final

from bulkup.errors import FailureKind

# the address

NOT_REACHED: Final = FailureKind(
    "not-reached", "{url} can't be reached: {reason}", "Check the address and the network. {more}"
)
NO_ANSWER: Final = FailureKind(
    "no-answer", "{reason}", "Check the address and the network. {more}"
)
UNSAFE: Final = FailureKind(
    "unsafe",
    "no secure connection to {url}: {reason}",
    "Check the address: a gallery without TLS needs http:// in front of it.",
)
UNTRUSTED: Final = FailureKind(
    "untrusted",
    "no secure connection to {url}: {reason}",
    "If it is your own server, give its certificate with --ca-cert. --insecure skips the "
    "check, and lets anyone on the network read the password and the photos.",
)
OTHER_CERTIFICATE: Final = FailureKind(
    "certificate-of-another",
    "no secure connection to {url}: {reason}",
    "Give the address that the certificate is for as --url.",
)
OLD_CERTIFICATE: Final = FailureKind(
    "certificate-expired",
    "no secure connection to {url}: {reason}",
    "Renew the certificate, and check the clock of this machine.",
)
TLS_ONLY: Final = FailureKind(
    "tls-only",
    "{url} accepts TLS only",
    "A gallery with TLS needs https:// in front of its address.",
)
NO_ADDRESS: Final = FailureKind(
    "no-address", "{url} is not a web address", "An address looks like https://host/."
)
NO_PIWIGO: Final = FailureKind(
    "not-piwigo",
    "no Piwigo answers at {url}ws.php: {reason}",
    "Give the address of the gallery's home page as --url.",
)
ODD_PIWIGO: Final = FailureKind(
    "odd-piwigo",
    "{url} answers, but not like Piwigo: {reason}",
    "Give the address of the gallery's home page.",
)
OTHER_HOST: Final = FailureKind(
    "redirect-elsewhere",
    "{url} redirects to another server: {target}",
    "If you trust that server, give its address as --url. If it is a log-in page in front of the "
    "gallery, give with --header what lets programs pass.",
)
REDIRECT: Final = FailureKind(
    "redirect", "the server redirects to {target}", "If you trust that address, give it as --url."
)
WEB_PASSWORD: Final = FailureKind(
    "web-password",
    "the web server in front of Piwigo requires a password of its own (HTTP 401)",
    "Give --http-user, and set BULKUP_HTTP_PASSWORD or give --http-password-file.",
)
WEB_PASSWORD_REFUSED: Final = FailureKind(
    "web-password-refused",
    "the web server in front of Piwigo does not accept the HTTP password (HTTP 401)",
    "Check --http-user and BULKUP_HTTP_PASSWORD or --http-password-file, or your --header. They "
    "are those of the web server, not of Piwigo.",
)
WEB_LOGIN: Final = FailureKind(
    "web-login",
    "the web server in front of Piwigo requires a log-in of its own (HTTP 401, {scheme})",
    "bulkup supports Basic authentication (--http-user) and fixed headers (--header): allow one "
    "of them for ws.php.",
)
CLIENT_CERTIFICATE: Final = FailureKind(
    "client-certificate",
    "the web server requires a client certificate that it trusts ({said})",
    "Give it with --client-cert and --client-key. If you did, it may have expired: openssl x509 "
    "-noout -issuer -enddate -in FILE.",
)
PROXY_PASSWORD: Final = FailureKind(
    "proxy-password",
    "the proxy requires a user and a password that it accepts (HTTP 407)",
    "Set BULKUP_PROXY=http://USER:PASSWORD@HOST:PORT, with special characters as %XX. bulkup "
    "supports Basic authentication.",
)
PROXY_REFUSED: Final = FailureKind(
    "proxy-refused",
    "the proxy {proxy} refuses to connect to {url} (HTTP {status})",
    "Have it allow CONNECT to that host and port, or connect directly with --proxy off.",
)
STREAMED: Final = FailureKind(
    "no-streams",
    "the web server rejects streamed requests ({said})",
    "Allow chunked requests in the web server, or in the proxy in front of it.",
)

# log-in

LOGIN: Final = FailureKind(
    "login-refused",
    "log-in as {user} at {url} failed: {reason}",
    "Check the user name and the password. An account with two-factor log-in needs an API "
    "key (Piwigo 16 and later).",
)
API_KEY: Final = FailureKind(
    "api-key-refused",
    "the server does not accept the API key",
    "The key may be wrong, revoked or expired. Users create keys on their profile page.",
)
TWO_FACTOR: Final = FailureKind(
    "two-factor",
    "this account has two-factor log-in, which a program can't complete",
    "Create an API key on the account's profile page in the gallery, and give it with "
    "BULKUP_API_KEY or --api-key-file, or store it once with bulkup login.",
)
NO_KEYS: Final = FailureKind(
    "no-api-keys",
    "{url} does not support API keys",
    "Piwigo has them since version 16; give --user and a password instead.",
)
NO_ADMIN: Final = FailureKind(
    "not-admin",
    "{user} is not an administrator of {url}; the account's status is “{rank}”",
    "Log in as an administrator or webmaster, or as a user whom the Community plugin lets upload.",
)

NOT_PERMITTED: Final = FailureKind(
    "album-not-permitted",
    "this account may not upload to album {album} at {url}, or there is none",
    "bulkup albums lists the albums that it may upload to. Administrators grant others, in the "
    "Community plugin.",
)
QUOTA: Final = FailureKind(
    "quota",
    "the gallery takes no more photos of this account: {said}",
    "Ask an administrator for a larger quota, or delete photos in the gallery. Then run the same "
    "command again.",
)
NO_REFRESH: Final = FailureKind(
    "no-refresh",
    "the gallery does not let this account change the metadata of photos",
    "It must offer pwg.images.getInfo and pwg.images.setInfo. Log in as an administrator.",
)
NO_LEVEL: Final = FailureKind(
    "no-level",
    "this account can't set a privacy level: the Community plugin would make the photos public, "
    "or have them approved first",
    "Omit --level and the levels of a --metadata table, or log in as an administrator.",
)

# sharing

NO_SHARING: Final = FailureKind(
    "no-sharing",
    "albums can't be shared: {reason}",
    "Omit --share-with, and give access in the gallery.",
)
SHARING_NEEDS_ADMIN: Final = FailureKind(
    "sharing-needs-admin",
    "only administrators of the gallery may share albums",
    "Omit --share-with, or log in as an administrator.",
)
SHARE_UNKNOWN: Final = FailureKind(
    "share-unknown",
    "--share-with: {kinds} at {url} is named “{name}”",
    "Create it in the gallery, or check the spelling.",
)
SHARE_AMBIGUOUS: Final = FailureKind(
    "share-ambiguous",
    "--share-with: “{name}” is the name of a group and of a user",
    "Give group:{name} or user:{name}.",
)

# what the gallery offers

METHOD: Final = FailureKind(
    "method-missing",
    "{url} does not offer what --method {method} needs",
    "Omit --method. If that does not help, this Piwigo is too old.",
)
NO_METHOD: Final = FailureKind(
    "no-method",
    "it offers no way to upload photos",
    "This Piwigo may be too old, or its upload methods are disabled.",
)
METHOD_FAILED: Final = FailureKind(
    "method-failed",
    "the server does not accept photos by this method: {reason}",
    "Try another --method, and check that this Piwigo is complete and up to date.",
)
BUFFER_FOLDER: Final = FailureKind(
    "upload-folder",
    "the server refuses: {said}",
    "The server can't write to its upload folder: check its permissions and free space.",
)
BUFFER: Final = FailureKind(
    "upload-buffer",
    "the server can't store uploads: {said}",
    "Its folder upload/buffer must be writable and its disk must have free space.",
)
NO_SUCH_ALBUM: Final = FailureKind(
    "no-such-album",
    "there is no album {album} at {url}",
    "The number is in the album's address, index.php?/category/NUMBER, and in the output "
    "of bulkup albums. If {album} is the album's name, give --album /{album}.",
)
NO_ALBUM_NAMED: Final = FailureKind(
    "no-album-named", "{reason}", "Check the spelling: bulkup albums lists all names."
)
ALBUM_LIST_FAILED: Final = FailureKind(
    "album-list-failed",
    "the gallery does not list its albums: {reason}",
    "Try again later, and check that this Piwigo is up to date.",
)
ALBUMS_UNLISTED: Final = FailureKind(
    "albums-unlisted",
    "the gallery does not list its albums: {reason}",
    "Give the number of an album, and omit --tree.",
)
ALBUMS_UNMADE: Final = FailureKind(
    "albums-unmade",
    "the gallery does not let bulkup create albums: {reason}",
    "Create them in the gallery, or omit --create-albums and --tree.",
)
START_FAILED: Final = FailureKind("start-failed", "{reason}", "Run the same command again.")
GONE: Final = FailureKind(
    "gone-too-long",
    "the server has been unavailable for {seconds:.0f} s: {reason}",
    "Run the same command again when it is back.",
)

# this machine

KEY_RING: Final = FailureKind(
    "key-ring",
    "the system's key ring can't be used: {reason}",
    "Unlock it, or use a file that only you can read: --password-file FILE, or password_command "
    "in a profile.",
)
NO_TEMPORARY: Final = FailureKind(
    "no-temporary",
    "no folder for temporary files can be made: {reason}",
    "Free some disk space, or set TMPDIR to a folder on another disk.",
)
LEDGER_BUSY: Final = FailureKind(
    "ledger-busy",
    "another run for {url} is using the ledger {file}",
    "Wait until it ends, or give this run another --ledger.",
)
LEDGER_FAILS: Final = FailureKind(
    "ledger-fails",
    "the ledger {file} can't be used: {reason}",
    "Free disk space or make the file writable, or give another --ledger. --no-ledger works "
    "without one.",
)
LEDGER_UNREAD: Final = FailureKind(
    "ledger-unread",
    "the ledger {file} can't be read: {reason}",
    "Make it readable, or give another --ledger. The next upload sets a damaged ledger aside.",
)
LEDGER_NEWER: Final = FailureKind(
    "ledger-newer",
    "the ledger {file} was written by a newer bulkup",
    "Update bulkup, or give another --ledger. Deleting the ledger only costs time.",
)
LEDGER_FOREIGN: Final = FailureKind(
    "ledger-foreign",
    "{file} is not a ledger of bulkup but another program's database",
    "Give another --ledger.",
)
LIST_UNREAD: Final = FailureKind(
    "list-unread", "{name} can't be read: {reason}", "Fix that and run the same command again."
)
LIST_ODD: Final = FailureKind(
    "list-odd",
    "{name} is not a list of paths: a line is longer than any path",
    "It must contain one path per line, or paths that each end with a NUL.",
)
LIST_ABSOLUTE: Final = FailureKind(
    "list-absolute",
    "the list has an absolute path, {path}: all its folders would become albums or tags",
    "List paths relative to the current folder. To retry what failed, run the same upload again: "
    "it skips what the gallery has.",
)
LIST_UTF16: Final = FailureKind(
    "list-utf16",
    "{name} is UTF-16 text",
    "Save it as UTF-8; in PowerShell: Out-File -Encoding utf8.",
)
UNWATCHED: Final = FailureKind(
    "unwatched",
    "the folders can't be watched: {reason}",
    "Give --poll, which scans them at intervals.",
)

WOULD_MIX_MD5S: Final = FailureKind(
    "would-mix-md5s",
    "Piwigo {version} may give an MD5 to the wrong photo, so it is not asked to compute any",
    "Update Piwigo to 15.4 or later first.",
)

# other machines

CLUSTER_UNREACHED: Final = FailureKind(
    "cluster-unreached",
    "the Dask scheduler at {address} can't be reached: {reason}",
    "Check its address, and its certificates if it uses TLS.",
)
CLUSTER_EMPTY: Final = FailureKind(
    "cluster-empty",
    "the Dask scheduler at {address} has no workers",
    "Start at least one: dask worker {address}",
)
CLUSTER_GONE: Final = FailureKind(
    "cluster-gone",
    "the Dask scheduler at {address} {what}",
    "Run the same command again when it is back: nothing is lost.",
)
CLUSTER_UNFIT: Final = FailureKind(
    "cluster-unfit", "no Dask worker can take part: {reason}", "Fix that on the workers."
)
