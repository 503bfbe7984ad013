"""The `login`, `logout`, `config` and `completion` commands."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from bulkup.app.credentials import (
    check_installed,
    find,
    forget,
    is_api_key,
    keep,
    read_typed,
)
from bulkup.app.settings import Account, default_ledger
from bulkup.cli import LAYERS, app
from bulkup.cli.command import command
from bulkup.cli.common import Exit, print_cautions
from bulkup.cli.config import PLAIN, SOURCES, Layer, Origin, default_file, is_secret, plain_secret
from bulkup.cli.flags import AddressFlags, flag, flags
from bulkup.errors import UsageError
from bulkup.output.text import printable

MASK: Final = "••••"
DEFAULT_FILES: Final = {"config": default_file, "ledger": default_ledger}
"""Flags whose default file depends on the platform."""


@command
def login(*, gallery: AddressFlags = AddressFlags()) -> int:
    """Store a password or an API key."""
    check_installed()
    account, url = _account(gallery)
    prompt = f"Password of {account.user}, or an API key" if account.user else "API key"
    secret = read_typed(prompt)
    if is_api_key(secret.strip()):
        account = replace(account, user="", api_key=secret.strip())
    elif account.user:
        account = replace(account, password=secret)
    else:
        raise UsageError(
            "the user name is missing, or the API key is invalid",
            hint="Give --user for a password; an API key has the form pkid-…:secret.",
        )

    import anyio

    from bulkup.app.gallery import log_in

    offer = anyio.run(log_in, account)
    ring = keep(url, account.user, account.api_key or account.password)
    what = f"the password of {account.user}" if account.user else f"an API key of {offer.user}"
    _print(f"{url} accepts {what}; stored in the key ring ({ring}).")
    return Exit.DONE


@command
def logout(*, gallery: AddressFlags = AddressFlags()) -> int:
    """Remove the stored password and API key."""
    check_installed()
    account, url = _account(gallery)
    removed = [forget(url, user) for user in dict.fromkeys((account.user, ""))]
    _print(f"Removed the secrets of {url}." if any(removed) else f"Nothing is stored for {url}.")
    return Exit.DONE


def _account(gallery: AddressFlags) -> tuple[Account, str]:
    """Return the account without a secret, and the URL as stored in the key ring."""
    from bulkup.app.gallery import checked_url

    account = gallery.address()
    url = checked_url(account)
    print_cautions(account)
    return account, url


def _print(text: str) -> None:
    sys.stdout.write(printable(text) + "\n")


@flags("Setup")
@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionFlags:
    """What happens with the completion script."""

    install: Annotated[
        bool, flag("Install the script where the shell finds it, and load it at shell start.")
    ] = False


@command
def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None,
        Parameter(help="Default: the current shell."),
    ] = None,
    /,
    *,
    options: CompletionFlags = CompletionFlags(),
) -> int:
    """Print or install a shell completion script."""
    from cyclopts.completion import ShellDetectionError

    try:
        if options.install:
            _print(f"Installed {app.install_completion(shell=shell)}; open a new shell.")
        else:
            sys.stdout.write(app.generate_completion(shell=shell))
    except ShellDetectionError:
        raise UsageError(
            "could not detect your shell", hint="Give its name: bulkup completion bash."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{error.filename}: {error.strerror}",
            hint="Save the script yourself: bulkup completion bash > FILE.",
        ) from None
    return Exit.DONE


@flags("Setup")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFlags:
    """The config file to show."""

    path: Annotated[bool, flag("Print only the location of the config file.")] = False
    config: Annotated[Path | None, flag("Config file.", metavar="FILE")] = None


@command
def config(
    *upload_flags: Annotated[
        str, Parameter(name="FLAGS", help="Flags of bulkup upload.", allow_leading_hyphen=True)
    ],
    options: ConfigFlags = ConfigFlags(),
) -> int:
    """Print the value of every upload flag and its origin."""
    file = options.config or default_file()
    if options.path:
        sys.stdout.write(f"{file}\n")
        return Exit.DONE
    given = options.config is not None and str(file) != os.environ.get("BULKUP_CONFIG")
    words = [f"--config={file}"] if given else []
    app.parse_args(["upload", *words, *upload_flags], exit_on_error=False, print_error=False)
    origins = [_shown(origin) for origin in LAYERS.origins()]
    origins += _secrets(origins, LAYERS.read)
    _print(f"Config file: {file}{'' if file.exists() else ' (does not exist)'}")
    rows = [(origin.flag, origin.value, origin.origin) for origin in origins]
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    for name, value, place in rows:
        _print(f"{name:<{widths[0]}}  {value:<{min(widths[1], 40)}}  {place}")
    return Exit.DONE


def _shown(origin: Origin) -> Origin:
    """Mask a secret, and fill in a default that depends on the platform."""
    if origin.origin == "default":
        default = DEFAULT_FILES.get(origin.flag)
        return replace(origin, value=str(default())) if default else origin
    return replace(origin, value=MASK) if is_secret(origin.flag, origin.value) else origin


def _secrets(origins: Iterable[Origin], layers: Sequence[Layer]) -> list[Origin]:
    """Return where the password or API key comes from, unless a flag gives it."""
    by_flag = {origin.flag: origin for origin in origins}
    if any(by_flag[flag].origin != "default" for flag in SOURCES):
        return []
    for key, variable in zip(PLAIN, ("BULKUP_API_KEY", "BULKUP_PASSWORD"), strict=True):
        if os.environ.get(variable):
            return [Origin(key, MASK, f"environment {variable}")]
    for key in PLAIN:
        if plain_secret(layers, key):
            place = next(layer.name for layer in layers if layer.names_secret())
            return [Origin(key, MASK, place)]
    return [_stored(by_flag["url"].value, by_flag["user"])]


def _stored(url: str, user: Origin) -> Origin:
    """Return the secret that the key ring has for a gallery, masked."""
    from bulkup.piwigo.connect import clean_url

    try:
        url = clean_url(url)
    except UsageError:
        return Origin("password", "–", "default")
    if user.origin != "default" and find(url, user.value):
        return Origin("password", MASK, "key ring")
    if find(url, ""):
        return Origin("api-key", MASK, "key ring")
    return Origin("password", "–", "default")
