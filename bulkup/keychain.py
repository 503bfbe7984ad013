"""Secrets in the system's key ring: looked up, stored, removed, by gallery and user.

Knows the key ring's library, which is optional, and no server. Whatever a key ring raises when it
is asked for a secret means that it has none; when it is to keep one, that it can't.
"""

import importlib.util
from typing import Final

from bulkup.errors import RunError, UsageError
from bulkup.failures import stops

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
    return RunError(stops.KEY_RING(reason=text))
