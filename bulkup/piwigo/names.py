"""Pure: names, titles and other texts as a Piwigo can hold them, and what it makes of them."""

import re
import unicodedata

UNSTORABLE = "�"
TAG = re.compile(r"""<(?!\s)(?:"[^"]*"|'[^']*'|[^>"'])*(?:>|$)""", re.ASCII)
"""What PHP takes for a tag; only blanks of ASCII are blanks to it."""


def storable(text: str, *, limit: int = 255) -> str:
    """Return the text as a Piwigo database can hold it: three-byte UTF-8, 255 characters.

    Everything else makes the server fail with an empty answer (piwigo-api.md, 3.1, Names). The
    file's ending is kept where the text is cut.
    """
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    text = without_emoji(text)
    text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    if len(text) <= limit:
        return text
    stem, dot, ending = text.rpartition(".")
    if not dot or len(ending) > 10:
        return text[:limit]
    return stem[: limit - len(ending) - 1] + dot + ending


def title_of(file: str) -> str:
    """Return the title that Piwigo gives a photo of this file name."""
    stem = file.rpartition(".")[0] or file
    return stem.replace("_", " ")


def is_sent_name(name: str) -> bool:
    """Tell whether a photo still has the name that it was sent under, or its title made of it."""
    return re.fullmatch(r"bulkup-[0-9a-f]{24}(?:\.\w+)?", name) is not None


def without_emoji(text: str) -> str:
    """Return the text as three-byte UTF-8 can say it."""
    return "".join(UNSTORABLE if ord(c) > 0xFFFF else c for c in text)


def cut(text: str, *, characters: int) -> str:
    """Return the text, or what of it fits into so many characters."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def cut_bytes(text: str, *, size: int) -> str:
    """Return the text, or what of it fits into so many bytes."""
    data = text.encode()
    if len(data) <= size:
        return text
    return data[: size - len("…".encode())].decode(errors="ignore").rstrip() + "…"


def unlike_html(text: str) -> str:
    """Return the text with a blank after each `<`, without which PHP takes it for a tag's start.

    What it takes for a tag it removes, and all the rest where the tag has no end.
    """
    return re.sub(r"<(?!\s)", "< ", text, flags=re.ASCII)


def stripped(name: str) -> str:
    """Return the name of an album as PHP's `strip_tags` leaves it: Piwigo 13 to 15 list it so."""
    return TAG.sub("", name)
