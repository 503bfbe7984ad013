"""The command line as it may be shown to anybody: without what could hold a secret.

Knows the words by which such flags are named, and no flag by itself.
"""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

HIDDEN: Final = "…"
TELLTALE: Final = re.compile(r"password|passphrase|secret|token|key|auth|notify|command|header")
FILE: Final = re.compile(r"-(file|path)$")
"""The name of a file is no secret, whatever lies in it."""


def again(arguments: Sequence[str]) -> str:
    """Return the command of these arguments, as a shell takes it.

    The values of flags that are named like a secret are left out, and of addresses the user, the
    password and the query.
    """
    return " ".join(["bulkup", *map(_quoted, _shown(arguments))])


def _shown(arguments: Sequence[str]) -> Iterator[str]:
    hide, flags_end = False, False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        is_flag = argument.startswith("--") and not flags_end
        flags_end = flags_end or argument == "--"
        if hide and not is_flag:
            hide = False
            yield HIDDEN
        elif is_flag and TELLTALE.search(name) and not FILE.search(name):
            hide = not equals
            yield f"{name}={HIDDEN}" if equals else name
        elif is_flag and equals:
            yield f"{name}={_address(value)}"
        else:
            hide = False
            yield _address(argument)


def _address(text: str) -> str:
    """Return an address without what could let somebody in; anything else as it is."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return HIDDEN
    query = HIDDEN if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, HIDDEN if parts.fragment else ""))


def _quoted(argument: str) -> str:
    r"""Return the argument for a shell; what can't be seen in it as escapes: $'a\x1b.jpg'."""
    if argument.isprintable():
        return shlex.quote(argument)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}"
        for byte in os.fsencode(argument)
    )
    return f"$'{escaped}'"
