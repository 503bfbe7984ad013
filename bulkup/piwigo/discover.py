"""Where the gallery really lives: the address as typed, cleaned, and the redirects it answers.

Knows addresses only. It asks before any log-in, so that no password and no photo ever travels
through a redirect, and none to a host that the user did not name.
"""

import re
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from bulkup.errors import NotOffered, PhotoError, RunError, Transient, UsageError
from bulkup.failures import stops
from bulkup.piwigo.http import Session
from bulkup.piwigo.results import read_status
from bulkup.piwigo.wire import interpret

QUESTION: Final = "ws.php?format=json&method=pwg.session.getStatus"
HOPS: Final = 5
NO_HOST: Final = re.compile(r"""[\x00-\x20\s<>"\\^`{|}%]""")
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
PAGES: Final = re.compile(
    r"(?<=/)(index|picture|category|categories|tags|search|favorites|recent_pics|recent_cats"
    r"|most_visited|best_rated|list|identification|admin)/.*"
)
"""What a gallery may have below itself in addresses of pages, where it hides their `.php`."""

MISTAKEN: Final = (b"plain HTTP request was sent to HTTPS", b"speaking plain HTTP to an SSL")
"""What web servers say on a port that is for TLS."""


class _NoPiwigo(RunError):
    """Somebody answers there, and no Piwigo."""


def clean_url(url: str) -> str:
    """Return the gallery's base address, with a slash at its end, out of what people paste.

    Raises `UsageError` where it is no web address.
    """
    text = url.strip()
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit("x:"), None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or port == 0
        or NO_HOST.search(parts.netloc)
    ):
        shown = "what is given" if "@" in url else f"“{url}”"  # there may be a password in it
        raise UsageError(
            f"{shown} is no web address",
            hint="Give the address of the gallery's home page, like https://photos.example.org/.",
        )
    if parts.username or parts.password:
        raise UsageError(
            "the address holds a user name or a password",
            hint="Give them by --user and BULKUP_PASSWORD.",
        )
    return urlunsplit((parts.scheme, parts.netloc, _folder(parts.path), "", ""))


def _folder(path: str) -> str:
    """Return the gallery's folder: pages such as `index.php?/category/9` lie directly in it."""
    head, _, tail = path.partition(".php")
    if tail or path.endswith(".php"):
        path = head.rpartition("/")[0]
    return path.rstrip("/") + "/"


def is_local(url: str) -> bool:
    """Tell whether an address is one of this machine's own."""
    host = urlsplit(url).hostname or ""
    return host.startswith("127.") or host in {"localhost", "::1"}


def allowed(origin: str, target: str) -> bool:
    """Tell whether a redirect stays with the named host, and does not give up encryption."""
    try:
        a, b = urlsplit(origin), urlsplit(target)
        if a.hostname != b.hostname or "@" in b.netloc:
            return False
        if a.scheme == b.scheme:
            return _port(origin) == _port(target)
    except ValueError:  # of a port or a bracket
        return False
    return (a.scheme, b.scheme) == ("http", "https")


def _port(url: str) -> int:
    parts = urlsplit(url)
    return (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port


def scheme_hint(url: str) -> str:
    """Return what to try where nobody answers sensibly at an address: the other scheme."""
    if url.lower().startswith("http://"):
        return "A gallery with TLS needs https:// in front."
    return "A gallery without TLS needs http:// in front."


async def find_base(session: Session, url: str) -> str:
    """Return the base address under which the gallery answers, if need be above a page of its.

    Raises `RunError` where it redirects to another host or no Piwigo answers, and `Transient`
    where nobody does.
    """
    base = clean_url(url)
    try:
        return await _follow(session, base)
    except _NoPiwigo:
        above = PAGES.sub("", base)
        if above == base:
            raise
        try:
            return await _follow(session, above)
        except (RunError, Transient):
            pass  # what is at the address that the user knows is told
        raise


async def _follow(session: Session, base: str) -> str:
    """Return the base address to which redirects lead. Raises as `find_base` does."""
    for _ in range(HOPS):
        asked = urljoin(base, QUESTION)
        answer = await session.get(asked)
        if answer.status not in REDIRECTS:
            break
        try:
            target = urljoin(asked, answer.location)
        except ValueError:
            target = answer.location
        if not allowed(base, target):
            raise RunError(stops.OTHER_HOST(url=base, target=target.partition("ws.php")[0]))
        base = clean_url(target)
    try:
        read_status(interpret(answer))
    except (NotOffered, PhotoError, Transient) as error:
        if answer.status in {502, 503, 504}:
            raise
        if any(words in answer.body for words in MISTAKEN):
            raise RunError(stops.TLS_ONLY(url=base)) from None
        raise _NoPiwigo(stops.NO_PIWIGO(url=base, reason=error.message)) from None
    return base
