"""Messages for wrong command lines: what is wrong, and what to do."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    Token,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.argument import Argument

from bulkup.cli.config import suggestion
from bulkup.errors import UsageError

LOGIN_HINT: Final = (
    "Set BULKUP_PASSWORD, use --password-file or --password-command, or store it with "
    "bulkup login."
)
SOURCE_HINT: Final = LOGIN_HINT.replace("BULKUP_", "BULKUP_FROM_").replace("--", "--from-")
SECRETS: Final = {
    "--password": LOGIN_HINT,
    "--api-key": "Set BULKUP_API_KEY, use --api-key-file, or store it with bulkup login.",
    "--from-password": SOURCE_HINT,
    "--from-api-key": "Set BULKUP_FROM_API_KEY, or use --from-api-key-file.",
    "--http-password": "Set BULKUP_HTTP_PASSWORD, or use --http-password-file.",
}
"""Names that look like flags, but whose value would be visible to other processes."""

CLUSTER: Final = ("--dask", "--map", "--dask-tls-ca", "--dask-tls-cert", "--dask-tls-key")
SYNONYMS: Final = {
    "help": "--help",
    "version": "--version",
    "check": "verify",
    "list": "albums",
    "ls": "albums",
    "sync": "upload",
}


def check_command(arguments: Sequence[str], commands: Collection[str]) -> None:
    """Raise `UsageError` if the first word looks like a mistyped command and is not a file.

    To cyclopts, any other word is a path to upload.
    """
    word = arguments[0] if arguments else ""
    if not word.isalpha() or word in commands or _exists(word):
        return
    hint = suggestion(word, commands, prefix="bulkup ")
    if word in SYNONYMS:
        hint = f"Did you mean bulkup {SYNONYMS[word]}?"
    if hint:
        raise UsageError(f"there is no command, file or folder “{word}”", hint=hint)


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except OSError:
        return True  # reported when the path is read


def explain(error: CycloptsError) -> UsageError:
    """Return a usage error with bulkup's own message and hint."""
    command = " ".join(["bulkup", *(error.command_chain or ())])
    overview = f"See {command} --help."
    match error:
        case UnknownOptionError():
            return _unknown(error, overview)
        case MissingArgumentError(argument=Argument() as argument):
            flag = error.keyword or argument.name
            value = argument.parameter.metavar or argument.name.lstrip("-").upper()
            return UsageError(f"{flag} needs a value", hint=f"Write {flag} {value}.")
        case CoercionError(argument=Argument() as argument, token=Token() as token):
            return _invalid(argument, token, overview)
        case RepeatArgumentError(token=token) if error.msg is None:
            return UsageError(f"{token.keyword} is given twice", hint="Give it once.")
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return UsageError(f"{command} takes no argument “{first}”", hint=overview)
    error.verbose = False
    return UsageError(str(error).rstrip("."), hint=overview)


def _unknown(error: UnknownOptionError, overview: str) -> UsageError:
    word = (error.token.keyword or error.token.value).partition("=")[0]
    if word in SECRETS:
        return UsageError(
            f"{word} is not a flag: other programs can read secrets on a command line",
            hint=SECRETS[word],
        )
    if word in CLUSTER:
        return UsageError(f"{word} only works with bulkup upload and verify", hint="Leave it out.")
    message = f"there is no flag {word}"
    if _exists(word):
        return UsageError(message, hint=f"For the file of that name, write ./{word}.")
    names = [name for argument in error.argument_collection for name in argument.names]
    known = [name for name in (*names, "--help", "--version") if name.startswith("--")]
    near = suggestion(word, known) if word.startswith("--") else ""
    return UsageError(message, hint=near or overview)


def _invalid(argument: Argument, token: Token, overview: str) -> UsageError:
    source = f" ({token.source})" if token.source not in {"", "cli", "env"} else ""
    message = f"invalid value for {token.keyword or argument.name}{source}: “{token.value}”"
    choices = _choices(argument.hint)
    kinds = {argument.hint, *get_args(argument.hint)}
    hint = overview
    if int in kinds:
        hint = f"Give {' or '.join([*choices, 'a whole number'])}."
    elif choices:
        near = suggestion(token.value, choices)
        hint = f"{near} Give {', '.join(choices[:-1])} or {choices[-1]}.".strip()
    elif float in kinds:
        hint = "Give a number."
    elif bool in kinds:
        hint = "Give true or false."
    return UsageError(message, hint=hint)


def _choices(hint: object) -> list[str]:
    """Return the fixed values that a type allows, as they are typed."""
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    return [text for part in get_args(hint) for text in _choices(part)]
