"""Passwords and API keys: from files, commands, the environment, a prompt or the key ring.

No secret is ever shown, logged or put into an argument.
"""

import getpass
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bulkup.errors import RunError, UsageError
from bulkup.errors import run as run_failures

COMMAND_S: Final = 60.0


def read_password(*, file: Path | None, command: str | None, variables: Mapping[str, str]) -> str:
    """Return the password from a file, a command, or `BULKUP_PASSWORD`, in this order.

    Empty if none is named. Raises `UsageError` where one is named and gives none.
    """
    if file is not None:
        return read_secret_file(file, flag="--password-file")
    if command is not None:
        return run_secret_command(command, flag="--password-command")
    return variables.get("BULKUP_PASSWORD", "")


def ask_password(prompt: str) -> str:
    """Return what is typed unseen, empty if nobody is there to type."""
    if sys.stdin is None or not sys.stdin.isatty():
        return ""
    try:
        return getpass.getpass(f"{prompt}: ")
    except EOFError:
        return ""


def read_typed(prompt: str) -> str:
    """Return what is typed unseen, or else the first line of the standard input.

    Raises `UsageError` where there is none.
    """
    if sys.stdin is not None and not sys.stdin.isatty():
        try:
            return _first_line(sys.stdin.readline(), source="the standard input")
        except UnicodeDecodeError:
            raise UsageError(
                "what comes in is not UTF-8 text", hint="Pipe the secret in as text."
            ) from None
    if typed := ask_password(prompt):
        return typed
    raise UsageError("nothing was typed", hint="Type the secret, or pipe it in.")


def read_secret_file(file: Path, *, flag: str) -> str:
    """Return the first line of a file. Raises `UsageError` where it can't be read or is empty."""
    return _first_line(_read(file, flag=flag), source=f"{flag} {file}")


def read_secret_lines(file: Path, *, flag: str) -> list[str]:
    """Return the lines of a file; blank ones, and those after `#`, are none.

    Raises `UsageError` where it can't be read or holds none.
    """
    lines = [line.strip() for line in _read(file, flag=flag).splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError(f"{flag} {file} is empty", hint="Write one secret a line.")
    return found


def _read(file: Path, *, flag: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{flag} {file}: {reason}", hint="Name a readable text file.") from None


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
    return check_api_key(key)


def is_api_key(text: str) -> bool:
    """Tell whether a secret has the form that Piwigo gives API keys."""
    return bool(re.fullmatch(r"pkid-[\w-]+:[!-~]+", text, flags=re.ASCII))


def check_api_key(key: str) -> str:
    """Return the key. Raises `UsageError` where it is there and has not the form of one."""
    if key and not is_api_key(key):
        raise UsageError(
            "the API key has not the form pkid-…:secret",
            hint="Join both parts that Piwigo shows when it makes a key by a colon.",
        )
    return key


def environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ


SERVICE: Final = "bulkup"
INSTALL: Final = "Install it: pip install 'bulkup[keyring]' (pipx inject bulkup keyring)."


def entry(url: str, user: str) -> str:
    """Return the name of an entry: the gallery's address, with the user if it is no API key."""
    return f"{url} {user}" if user else f"{url} (API key)"


def find(url: str, user: str) -> str:
    """Return the password of a user, or the gallery's API key for none; empty if it is not there.

    A key ring that is missing, locked or broken has nothing.
    """
    if importlib.util.find_spec("keyring") is None:
        return ""
    try:
        import keyring  # noqa: PLC0415 (heavy)

        return keyring.get_password(SERVICE, entry(url, user)) or ""
    except Exception:  # noqa: BLE001 (each system's key ring raises what it likes)
        return ""


def check_installed() -> None:
    """Raise `UsageError` where the library is not installed."""
    if importlib.util.find_spec("keyring") is None:
        raise UsageError("the key ring needs the package keyring", hint=INSTALL)


def keep(url: str, user: str, secret: str) -> str:
    """Store a secret and return what kind of key ring has it now.

    Raises `RunError` where none keeps it.
    """
    import keyring  # noqa: PLC0415 (heavy)

    try:
        keyring.set_password(SERVICE, entry(url, user), secret)
        kept = keyring.get_password(SERVICE, entry(url, user))
    except Exception as error:  # noqa: BLE001 (each system's key ring raises what it likes)
        raise _unusable(error) from None
    if kept != secret:
        raise _unusable("it has forgotten the secret at once")
    return str(keyring.get_keyring().name)


def forget(url: str, user: str) -> bool:
    """Remove a secret and tell whether there was one. Raises `RunError` where that fails."""
    import keyring  # noqa: PLC0415 (heavy)

    try:
        if keyring.get_password(SERVICE, entry(url, user)) is None:
            return False
        keyring.delete_password(SERVICE, entry(url, user))
    except Exception as error:  # noqa: BLE001 (each system's key ring raises what it likes)
        raise _unusable(error) from None
    return True


def _unusable(reason: object) -> RunError:
    text = " ".join(str(reason).split()) or type(reason).__name__
    return RunError(run_failures.KEY_RING(reason=text))
