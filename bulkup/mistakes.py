"""Wrong command lines in words: what is wrong with them, and what was perhaps meant.

Knows what the command line library raises, and the names of commands and flags.
"""

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

from bulkup.errors import UsageError
from bulkup.profiles import suggestion

NEVER_FLAGS: Final = {
    "--password": "Set BULKUP_PASSWORD, give --password-file or --password-command, or store it "
    "once by bulkup login.",
    "--api-key": "Set BULKUP_API_KEY, give --api-key-file, or store it once by bulkup login.",
}
OF_UPLOAD: Final = ("--dask", "--map", "--dask-tls-ca", "--dask-tls-cert", "--dask-tls-key")
EVERYWHERE: Final = ("--help", "--version")
OTHER_WORDS: Final = {
    "help": "--help",
    "version": "--version",
    "check": "verify",
    "list": "albums",
    "ls": "albums",
    "sync": "upload",
}


def check_command(arguments: Sequence[str], commands: Collection[str]) -> None:
    """Raise `UsageError` where the first word is nearly a command, and no file or folder.

    Whatever is no command is a path to upload, so that the library can't tell.
    """
    word = arguments[0] if arguments else ""
    if not word.isalpha() or word in commands or _is_there(word):
        return
    near = suggestion(word, commands, sign="bulkup ")
    if word in OTHER_WORDS:
        near = f"Did you mean bulkup {OTHER_WORDS[word]}?"
    if near:
        raise UsageError(f"there is no command “{word}”, nor a file or folder", hint=near)


def _is_there(word: str) -> bool:
    try:
        return Path(word).exists()
    except OSError:
        return True  # what the system says of it is told later


def explain(error: CycloptsError) -> UsageError:
    """Return what is wrong with the command line, and what to do."""
    command = " ".join(["bulkup", *(error.command_chain or ())])
    overview = f"{command} --help lists what there is."
    match error:
        case UnknownOptionError():
            return _unknown(error, overview)
        case MissingArgumentError(argument=Argument() as argument):
            return _missing(argument, error.keyword)
        case CoercionError(argument=Argument() as argument, token=Token() as token):
            return _unsuitable(argument, token, overview)
        case RepeatArgumentError(token=token) if error.msg is None:
            return UsageError(f"{token.keyword} is given twice", hint="Give it once.")
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return UsageError(f"{command} takes no “{first}”", hint=overview)
    error.verbose = False
    return UsageError(str(error).rstrip("."), hint=overview)


def _unknown(error: UnknownOptionError, overview: str) -> UsageError:
    word = (error.token.keyword or error.token.value).partition("=")[0]
    if word in NEVER_FLAGS:
        return UsageError(
            f"{word} is no flag: other programs could read a secret that stands in a command line",
            hint=NEVER_FLAGS[word],
        )
    if word in OF_UPLOAD:
        return UsageError(
            f"{word} is for bulkup upload alone: all else is done by one machine",
            hint="Leave it out.",
        )
    if _is_there(word):
        return UsageError(
            f"there is no flag {word}", hint=f"If the file of that name is meant, write ./{word}."
        )
    names = [name for argument in error.argument_collection for name in argument.names]
    if word.startswith("--"):
        near = suggestion(word, [name for name in (*names, *EVERYWHERE) if name.startswith("--")])
    else:
        near = ""
    return UsageError(f"there is no flag {word}", hint=near or overview)


def _missing(argument: Argument, keyword: str | None) -> UsageError:
    flag = keyword or argument.name
    value = argument.parameter.metavar or argument.name.lstrip("-").upper()
    return UsageError(f"{flag} needs a value", hint=f"Write {flag} {value}.")


def _unsuitable(argument: Argument, token: Token, overview: str) -> UsageError:
    name = token.keyword or argument.name
    said = f"{name} “{token.value}”"
    if token.source not in {"", "cli", "env"}:
        said = f"{said} ({token.source})"
    choices = _choices(argument.hint)
    kinds = {argument.hint, *get_args(argument.hint)}
    if choices and int not in kinds:
        near = suggestion(token.value, choices)
        listed = ", ".join(choices[:-1]) + f" or {choices[-1]}"
        return UsageError(f"{said} is none of its values", hint=f"{near} Give {listed}.".strip())
    words = " or ".join([*choices, "a whole number"])
    if int in kinds:
        return UsageError(f"{said} is no number", hint=f"Give {words}.")
    if float in kinds:
        return UsageError(f"{said} is no number", hint="Give a number.")
    if bool in kinds:
        return UsageError(f"{said} is neither true nor false", hint="Give true or false.")
    return UsageError(f"{said} is not understood", hint=overview)


def _choices(hint: object) -> list[str]:
    """Return the fixed values that a hint allows, as they are typed."""
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    return [text for part in get_args(hint) for text in _choices(part)]
