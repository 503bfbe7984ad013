"""Passwords and API keys: from files, commands, the environment, a prompt or the key ring.

Secrets are never displayed, logged or passed as arguments.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bulkup.app.settings import Account
from bulkup.errors import RunError, UsageError
from bulkup.errors import run as run_failures

COMMAND_S: Final = 60.0


def read_password(
    *,
    file: Path | None,
    command: str | None,
    variables: Mapping[str, str],
    flag: str = "--password",
) -> str:
    """Return the password from a file, a command, or `BULKUP_PASSWORD`, in this order.

    Empty if there is none. Another `flag` than `--password` has other flags and another variable.
    Raises `UsageError` where the file or command gives no password.
    """
    if file is not None:
        return read_secret_file(file, flag=f"{flag}-file")
    if command is not None:
        return run_secret_command(command, flag=f"{flag}-command")
    return variables.get(variable_of(flag), "")


def variable_of(flag: str) -> str:
    """Return the environment variable of a flag."""
    return f"BULKUP_{flag[2:].upper().replace('-', '_')}"


def ask_password(prompt: str) -> str:
    """Prompt for a password without echo; return an empty one if stdin is not a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        return ""

    import getpass  # noqa: PLC0415 (rarely needed)

    try:
        return getpass.getpass(f"{prompt}: ")
    except EOFError:
        return ""


def read_typed(prompt: str) -> str:
    """Prompt for a secret without echo, or read the first line of stdin if it is a pipe.

    Raises `UsageError` where that is empty.
    """
    if sys.stdin is not None and not sys.stdin.isatty():
        try:
            return _first_line(sys.stdin.readline(), source="standard input")
        except UnicodeDecodeError:
            raise UsageError(
                "standard input is not UTF-8 text", hint="Pipe the secret in as text."
            ) from None
    if typed := ask_password(prompt):
        return typed
    raise UsageError("no secret was entered", hint="Type the secret, or pipe it in.")


def read_secret_file(file: Path, *, flag: str) -> str:
    """Return the first line of a file. Raises `UsageError` if it is empty or unreadable."""
    return _first_line(_read(file, flag=flag), source=f"{flag} {file}")


def read_secret_lines(file: Path, *, flag: str) -> list[str]:
    """Return the lines of a file without blank lines and `#` comments.

    Raises `UsageError` where the file can't be read or has no other lines.
    """
    lines = [line.strip() for line in _read(file, flag=flag).splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError(f"{flag} {file} is empty", hint="Write one secret per line.")
    return found


def _read(file: Path, *, flag: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{flag} {file}: {reason}", hint="Give a readable text file.") from None


def run_secret_command(command: str, *, flag: str) -> str:
    """Run a shell command and return the first line of its output.

    Raises `UsageError` where it fails, prints nothing, or takes longer than a minute.
    """
    import subprocess  # noqa: PLC0415 (heavy, and rarely needed)

    try:
        done = subprocess.run(  # noqa: S602 (the user's own command, as their shell would run it)
            command, shell=True, stdout=subprocess.PIPE, text=True, check=False, timeout=COMMAND_S
        )
    except (subprocess.TimeoutExpired, UnicodeDecodeError):
        raise UsageError(
            f"{flag} gave no password", hint="It must print one line of text within a minute."
        ) from None
    if done.returncode:
        raise UsageError(
            f"{flag} failed with exit code {done.returncode}",
            hint="Run the command on its own; it must print the password and exit with 0.",
        )
    return _first_line(done.stdout, source=flag)


def _first_line(text: str, *, source: str) -> str:
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise UsageError(f"{source} is empty", hint="Its first line must be the secret.")
    return line


def read_api_key(
    *, file: Path | None, variables: Mapping[str, str], flag: str = "--api-key"
) -> str:
    """Return the API key from a file or `BULKUP_API_KEY`, empty if there is none.

    Another `flag` than `--api-key` has another variable. Raises `UsageError` where it does not
    look like one of Piwigo's keys.
    """
    if file is not None:
        key = read_secret_file(file, flag=f"{flag}-file").strip()
    else:
        key = variables.get(variable_of(flag), "").strip()
    return check_api_key(key)


def read_http_password(*, file: Path | None, variables: Mapping[str, str]) -> str:
    """Return the HTTP password from a file or `BULKUP_HTTP_PASSWORD`, empty if there is none."""
    if file is not None:
        return read_secret_file(file, flag="--http-password-file")
    return variables.get("BULKUP_HTTP_PASSWORD", "")


def read_headers(lines: Sequence[str], *, file: Path | None) -> dict[str, str]:
    """Return headers from lines `NAME: VALUE`, and from those of a file.

    Raises `UsageError` for a line of another form and a header given twice.
    """
    headers: dict[str, str] = {}
    more = [] if file is None else read_secret_lines(file, flag="--header-file")
    for line in (*lines, *more):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not (name and colon):
            raise UsageError(
                "--header needs a name and a value",
                hint="Write --header 'NAME: VALUE', in quotes.",
            )
        if name.lower() in map(str.lower, headers):
            raise UsageError(f"the header {name} is given twice", hint="Keep one of them.")
        headers[name] = value
    return headers


def with_secrets(account: Account, variables: Mapping[str, str]) -> Account:
    """Return an account with the secrets of the environment, as without any flag.

    Raises `UsageError` if there are none to log in with.
    """
    paths = ("header_file", "http_password_file", "client_cert", "client_key", "password_file")
    named = {name: variables.get(f"BULKUP_{name.upper()}") for name in paths}
    files = {name: Path(text) if text else None for name, text in named.items()}
    account = replace(
        account,
        client_cert=files["client_cert"],
        client_key=files["client_key"],
        headers=read_headers(
            variables.get("BULKUP_HEADER", "").splitlines(), file=files["header_file"]
        ),
        http_password=read_http_password(file=files["http_password_file"], variables=variables)
        if account.http_user
        else "",
        proxy=account.proxy or variables.get("BULKUP_PROXY", ""),
    )
    if key := read_api_key(file=None, variables=variables):
        return replace(account, api_key=key)
    password = read_password(file=files["password_file"], command=None, variables=variables)
    if not (account.user and password):
        raise UsageError(
            "there is no password for the gallery", hint="Set BULKUP_PASSWORD in the environment."
        )
    return replace(account, password=password)


def is_api_key(text: str) -> bool:
    """Return whether a text has the form of Piwigo's API keys."""
    return bool(re.fullmatch(r"pkid-[\w-]+:[!-~]+", text, flags=re.ASCII))


def check_api_key(key: str) -> str:
    """Return the key. Raises `UsageError` where it is neither empty nor of the right form."""
    if key and not is_api_key(key):
        raise UsageError(
            "the API key does not have the form pkid-…:secret",
            hint="Join the two parts that Piwigo shows for a new key with a colon.",
        )
    return key


SERVICE: Final = "bulkup"
INSTALL: Final = "Install it: pip install 'bulkup[keyring]' (pipx inject bulkup keyring)."


def entry(url: str, user: str) -> str:
    """Return the name of a key ring entry: the gallery's URL, with the user of a password."""
    return f"{url} {user}" if user else f"{url} (API key)"


def find(url: str, user: str) -> str:
    """Return a user's password from the key ring, or the gallery's API key if `user` is empty.

    Empty if there is none, or the key ring is missing, locked or broken.
    """
    if find_spec("keyring") is None:
        return ""
    try:
        import keyring  # noqa: PLC0415 (heavy)

        return keyring.get_password(SERVICE, entry(url, user)) or ""
    except Exception:  # noqa: BLE001 (each system's key ring has its own exceptions)
        return ""


def check_installed() -> None:
    """Raise `UsageError` unless the keyring library is installed."""
    if find_spec("keyring") is None:
        raise UsageError("the key ring requires the Python package keyring", hint=INSTALL)


def keep(url: str, user: str, secret: str) -> str:
    """Store a secret in the key ring; return the name of its backend.

    Raises `RunError` where that fails.
    """
    import keyring  # noqa: PLC0415 (heavy)

    try:
        keyring.set_password(SERVICE, entry(url, user), secret)
        kept = keyring.get_password(SERVICE, entry(url, user))
    except Exception as error:  # noqa: BLE001 (each system's key ring has its own exceptions)
        raise _unusable(error) from None
    if kept != secret:
        raise _unusable("it did not keep the secret")
    return str(keyring.get_keyring().name)


def forget(url: str, user: str) -> bool:
    """Delete a secret; return whether there was one. Raises `RunError` where that fails."""
    import keyring  # noqa: PLC0415 (heavy)

    try:
        if keyring.get_password(SERVICE, entry(url, user)) is None:
            return False
        keyring.delete_password(SERVICE, entry(url, user))
    except Exception as error:  # noqa: BLE001 (each system's key ring has its own exceptions)
        raise _unusable(error) from None
    return True


def _unusable(reason: object) -> RunError:
    text = " ".join(str(reason).split()) or type(reason).__name__
    return RunError(run_failures.KEY_RING(reason=text))
