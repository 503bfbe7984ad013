"""The `login`, `logout`, `config` and `completion` commands."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from bulkup.app.credentials import environment, is_api_key, read_typed
from bulkup.app.settings import Account, default_ledger
from bulkup.cli.common import Exit, check_trust, say_cautions
from bulkup.cli.config import (
    PLAIN,
    SOURCES,
    ConfigLayers,
    Layer,
    Origin,
    default_file,
    is_secret,
    plain_secret,
)
from bulkup.cli.flags import AddressFlags, flag, group
from bulkup.errors import UsageError

MASK: Final = "••••"
PLACES: Final = {"config": default_file, "ledger": default_ledger}
"""Flags that nobody gives, and the files that they are then."""

SETTING_UP = group("Setting up")
OfGallery = Annotated[AddressFlags, Parameter(name="*")]


def login(*, gallery: OfGallery = AddressFlags()) -> int:  # noqa: B008 (frozen)
    """Store the password, or an API key, in the system's key ring, after a log-in with it.

    It is typed, or comes from the standard input. Uploads take it from there when neither a flag,
    nor a variable, nor a profile names one. An API key needs no `--user`.

    Exit codes: 0 it is stored, 2 wrong usage, 3 the gallery refuses it, or no key ring keeps it.
    """
    from bulkup.app.credentials import check_installed, keep  # noqa: PLC0415 (heavy)

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
            "the user name is missing, or this is no API key",
            hint="Give --user for a password; an API key has the form pkid-…:secret.",
        )

    import anyio  # noqa: PLC0415 (heavy)

    from bulkup.app.gallery import log_in  # noqa: PLC0415 (heavy)

    offer = anyio.run(log_in, account)
    ring = keep(url, account.user, account.api_key or account.password)
    what = f"the password of {account.user}" if account.user else f"an API key of {offer.user}"
    _say(f"{url} accepts {what}; the key ring has it now ({ring}).")
    return Exit.DONE


def logout(*, gallery: OfGallery = AddressFlags()) -> int:  # noqa: B008 (frozen)
    """Remove what `bulkup login` stored in the system's key ring: password and API key.

    Exit codes: 0 nothing is stored any more, 2 wrong usage, 3 the key ring can't be used.
    """
    from bulkup.app.credentials import check_installed, forget  # noqa: PLC0415 (heavy)

    check_installed()
    account, url = _account(gallery)
    gone = [forget(url, user) for user in dict.fromkeys((account.user, ""))]
    _say(f"Removed what was stored for {url}." if any(gone) else f"Nothing is stored for {url}.")
    return Exit.DONE


def _account(gallery: AddressFlags) -> tuple[Account, str]:
    """Return the account without a secret, and its address as the key ring knows it."""
    from bulkup.piwigo.connect import clean_url  # noqa: PLC0415 (heavy)

    account = gallery.place()
    url = clean_url(account.url)
    check_trust(account)
    say_cautions(account)
    return account, url


def _say(text: str) -> None:
    from bulkup.output.text import printable  # noqa: PLC0415 (heavy)

    sys.stdout.write(printable(text) + "\n")


def completion_of(app: App) -> Callable[..., int]:
    """Return the command that makes a shell complete the app's commands and flags."""

    def completion(
        shell: Annotated[
            Literal["bash", "zsh", "fish", "powershell"] | None,
            Parameter(help="By default the one that this is typed in."),
        ] = None,
        /,
        *,
        install: Annotated[
            bool,
            flag(
                "Write it where the shell looks for it, and load it in its start-up file.",
                group=SETTING_UP,
                variable="BULKUP_INSTALL",
            ),
        ] = False,
    ) -> int:
        """Print what makes a shell complete commands and flags with the Tab key."""
        from cyclopts.completion import ShellDetectionError  # noqa: PLC0415 (heavy)

        try:
            if install:
                _say(f"Written to {app.install_completion(shell=shell)}; open a new shell.")
            else:
                sys.stdout.write(app.generate_completion(shell=shell))
        except ShellDetectionError:
            raise UsageError(
                "which shell this is can't be told", hint="Name it: bulkup completion bash."
            ) from None
        except OSError as error:
            raise UsageError(
                f"{error.filename}: {error.strerror}",
                hint="Write it yourself: bulkup completion bash > FILE.",
            ) from None
        return Exit.DONE

    return completion


def config_of(app: App, layers: ConfigLayers) -> Callable[..., int]:
    """Return the command that tells what an upload's flags come to, and by whom."""

    def config(
        *flags: Annotated[
            str,
            Parameter(help="Flags of an upload.", allow_leading_hyphen=True, show_default=False),
        ],
        path: Annotated[
            bool,
            flag(
                "Print only where the settings file lies.",
                group=SETTING_UP,
                variable="BULKUP_PATH",
            ),
        ] = False,
        config: Annotated[
            Path | None,
            flag(
                "The settings file.",
                group=SETTING_UP,
                variable="BULKUP_CONFIG",
                metavar="FILE",
            ),
        ] = None,
    ) -> int:
        """Print the value of every flag of an upload, and where it is from; secrets are masked."""
        file = config or default_file()
        if path:
            sys.stdout.write(f"{file}\n")
            return Exit.DONE
        typed = (
            []
            if config is None or str(config) == os.environ.get("BULKUP_CONFIG")
            else [f"--config={config}"]
        )
        app.parse_args(["upload", *typed, *flags], exit_on_error=False, print_error=False)
        origins = [_shown(origin) for origin in layers.origins()]
        origins += _secrets(origins, layers.read)
        _say(f"Settings file: {file}{'' if file.exists() else ' (there is none)'}")
        cells = [(origin.flag, origin.value, origin.origin) for origin in origins]
        widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
        for name, value, whose in cells:
            _say(f"{name:<{widths[0]}}  {value:<{min(widths[1], 40)}}  {whose}")
        return Exit.DONE

    return config


def _shown(origin: Origin) -> Origin:
    """Return what may be shown of a value, and what stands behind a default."""
    if origin.origin == "default":
        place = PLACES.get(origin.flag)
        return replace(origin, value=str(place())) if place else origin
    secret = is_secret(origin.flag) or (origin.flag == "url" and "@" in origin.value)
    return replace(origin, value=MASK) if secret else origin


def _secrets(origins: Iterable[Origin], layers: Sequence[Layer]) -> list[Origin]:
    """Return where the secret is from, unless one of the flags says so."""
    said = {origin.flag: origin for origin in origins}
    if any(said[flag].origin != "default" for flag in SOURCES):
        return []
    for key, variable in zip(PLAIN, ("BULKUP_API_KEY", "BULKUP_PASSWORD"), strict=True):
        if environment().get(variable):
            return [Origin(key, MASK, f"environment {variable}")]
    for key in PLAIN:
        if plain_secret(layers, key):
            whose = next(layer.name for layer in layers if layer.names_secret)
            return [Origin(key, MASK, whose)]
    return [_kept(said["url"].value, said["user"])]


def _kept(url: str, user: Origin) -> Origin:
    """Return what the key ring has for a gallery."""
    from bulkup.app.credentials import find  # noqa: PLC0415 (heavy)
    from bulkup.piwigo.connect import clean_url  # noqa: PLC0415 (heavy)

    try:
        url = clean_url(url)
    except UsageError:
        return Origin("password", "–", "default")
    if user.origin != "default" and find(url, user.value):
        return Origin("password", MASK, "key ring")
    if find(url, ""):
        return Origin("api-key", MASK, "key ring")
    return Origin("password", "–", "default")
