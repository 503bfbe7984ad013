"""Passwords and API keys: from a file, a command, the environment or a prompt, never from a flag.

Knows where secrets may come from, and no server. None is ever shown.
"""

import getpass
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bulkup.errors import UsageError

COMMAND_S: Final = 60.0


def read_password(
    *,
    file: Path | None,
    command: str | None,
    variables: Mapping[str, str],
    user: str,
) -> str:
    """Return the password from a file, a command, `BULKUP_PASSWORD`, or a prompt, in this order.

    Raises `UsageError` where none of them gives one.
    """
    if file is not None:
        return read_secret_file(file, flag="--password-file")
    if command is not None:
        return run_secret_command(command, flag="--password-command")
    if password := variables.get("BULKUP_PASSWORD"):
        return password
    if sys.stdin.isatty():
        try:
            password = getpass.getpass(f"Password of {user}: ")
        except EOFError:
            password = ""
        if password:
            return password
    raise UsageError(
        "the password is missing",
        hint="Set BULKUP_PASSWORD, or give --password-file or --password-command.",
    )


def read_secret_file(file: Path, *, flag: str) -> str:
    """Return the first line of a file. Raises `UsageError` where it can't be read or is empty."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{flag} {file}: {reason}", hint="Name a readable text file.") from None
    return _first_line(text, source=f"{flag} {file}")


def run_secret_command(command: str, *, flag: str) -> str:
    """Return the first line that a shell command prints.

    Raises `UsageError` where it fails, prints nothing, or takes longer than a minute.
    """
    try:
        done = subprocess.run(  # noqa: S602 (the user's own command, as their shell would run it)
            command, shell=True, stdout=subprocess.PIPE, text=True, check=False, timeout=COMMAND_S
        )
    except (subprocess.TimeoutExpired, UnicodeDecodeError):
        raise UsageError(
            f"{flag} gives no password", hint="It must print one line of text within a minute."
        ) from None
    if done.returncode:
        raise UsageError(
            f"{flag} ended with exit code {done.returncode}",
            hint="Try the command by itself; it must print the password and exit with 0.",
        )
    return _first_line(done.stdout, source=flag)


def _first_line(text: str, *, source: str) -> str:
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise UsageError(f"{source} is empty", hint="Its first line must be the secret.")
    return line


def read_api_key(*, file: Path | None, variables: Mapping[str, str]) -> str:
    """Return the API key from a file or `BULKUP_API_KEY`, empty if there is none.

    Raises `UsageError` where it has not the form that Piwigo gives it.
    """
    if file is not None:
        key = read_secret_file(file, flag="--api-key-file").strip()
    else:
        key = variables.get("BULKUP_API_KEY", "").strip()
    if key and not re.fullmatch(r"pkid-[\w-]+:[!-~]+", key, flags=re.ASCII):
        raise UsageError(
            "the API key has not the form pkid-…:secret",
            hint="Join both parts that Piwigo shows when it makes a key by a colon.",
        )
    return key


def environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ
