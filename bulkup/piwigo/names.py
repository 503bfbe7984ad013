"""Pure: file names and titles as a Piwigo can hold them, and as it changes them."""

import re
import unicodedata
from html import unescape


def storable(text: str, *, limit: int = 255) -> str:
    """Return the text as a Piwigo database can hold it: three-byte UTF-8, 255 characters.

    Everything else makes the server fail with an empty answer (piwigo-api.md, 3.1, Names). The
    file's ending is kept where the text is cut.
    """
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    text = "".join("�" if ord(c) > 0xFFFF else c for c in text)
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


def as_written(stored: str) -> str:
    """Return a name as it was sent, from what Piwigo made of it: entities and backslashes."""
    return re.sub(r"\\(.)", r"\1", unescape(stored))


def stripped(name: str) -> str:
    """Return the name of an album as PHP's `strip_tags` leaves it: Piwigo 13 to 15 list it so."""
    return re.sub(r"""<(?!\s)(?:"[^"]*"|'[^']*'|[^>"'])*(?:>|$)""", "", name)
