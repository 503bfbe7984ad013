"""What several commands share: examples, usage errors, exit codes, accounts and paths."""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    RepeatArgumentError,
    Token,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.argument import Argument

from bulkup.app.credentials import ask_password
from bulkup.app.settings import Account, need
from bulkup.cli.config import suggestion
from bulkup.cli.filter_flags import FilterFlags
from bulkup.cli.flags import GalleryFlags, LabelFlags, MachineFlags, RetryFlags
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.upload_flags import AfterFlags, AlbumFlags, UploadFlags, VerifyAlbumFlags
from bulkup.errors import BulkupError, RunError, UsageError
from bulkup.output.options import OutputOptions

if TYPE_CHECKING:
    from bulkup.source.filters import Filters

_LINES: Final = {
    "upload": (
        ("bulkup ./photos --album 9", "into album 9"),
        ("bulkup ./photos --album Trips/2019 --create-albums", "made if missing"),
        ("bulkup ./archive --tree", "folders become albums"),
        ("bulkup ./photos --album 9 --dry-run -v", "what would happen"),
        ("bulkup ./photos --profile museum", "as a profile says"),
    ),
    "verify": (
        ("bulkup verify ./photos --album 9", "is it all in album 9?"),
        ("bulkup verify ./photos --quick", "anywhere in the gallery, by its own sums"),
    ),
    "watch": (
        ("bulkup watch ./inbox --album 9", "what lies there, and arrives"),
        ("bulkup watch ./inbox --album 9 --after trash", "… and then trash the files"),
    ),
    "albums": (("bulkup albums --url https://photos.example.org", "the numbers for --album"),),
    "doctor": (
        ("bulkup doctor", "look at the gallery"),
        ("bulkup doctor ./photos --album 9", "… and at what is to be uploaded"),
    ),
    "status": (
        ("bulkup status", "what came of earlier runs, by the ledger"),
        ("bulkup status --failed", "the paths that have failed"),
    ),
    "login": (
        ("bulkup login --url https://photos.example.org --user admin", "asks for it"),
        ("bulkup login --profile museum", "of a profile"),
    ),
    "logout": (("bulkup logout --profile museum", "the gallery of a profile"),),
    "config": (
        ("bulkup config --profile museum", "what a profile comes to"),
        ("bulkup config --path", "where the settings file lies"),
    ),
    "completion": (
        ("bulkup completion --install", "for this shell, for good"),
        ("bulkup completion zsh", "print it, to put it somewhere"),
    ),
    "sandbox": (
        ("bulkup sandbox --port 8081", "at http://127.0.0.1:8081/"),
        ("bulkup sandbox --workers 5 --finish-time 0.4", "as slow as a small host"),
    ),
    "demo": (
        ("bulkup demo", "with made pictures"),
        ("bulkup demo ./photos --keep", "with your own, and look at the gallery"),
    ),
}


def _text(lines: tuple[tuple[str, str], ...]) -> str:
    width = max(len(command) for command, _ in lines)
    shown = "\n".join(f"    {command:<{width}}  # {remark}" for command, remark in lines)
    return f"Examples:\n\n{shown}"


COMMANDS: Final = {name: [command for command, _ in lines] for name, lines in _LINES.items()}
EXAMPLES: Final = {name: _text(lines) for name, lines in _LINES.items()}


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


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0  # every photo is in the album, or where else it is to be
    SOME_FAILED = 1  # some photos are not, or something is in the way of a migration
    USAGE = 2  # a flag, a setting or a file is wrong; nothing was sent
    IMPOSSIBLE = 3  # log-in refused, no Piwigo, no such album, server gone
    INTERRUPTED = 130  # by Ctrl-C or SIGTERM

    @classmethod
    def of(cls, error: BulkupError) -> "Exit":
        """Return the code that says of a command that it ended by this error."""
        if isinstance(error, UsageError):
            return cls.USAGE
        return cls.IMPOSSIBLE if isinstance(error, RunError) else cls.SOME_FAILED


class SilentExit(Exception):
    """A run has failed, of which nobody wants to hear: only its exit `code` says so."""

    def __init__(self, code: Exit) -> None:
        super().__init__()
        self.code = code


@contextmanager
def silenced(telling: OutputOptions) -> Iterator[None]:
    """Turn what makes a run impossible into `SilentExit` where nothing is to be told.

    A wrong command line is told all the same.
    """
    try:
        yield
    except UsageError:
        raise
    except BulkupError as error:
        if telling.quiet <= 1:
            raise
        raise SilentExit(Exit.of(error)) from None


# taken by `*paths`: then they may stand on both sides of flags
Paths = Annotated[Path, Parameter(help="Folders and photos.", negative="")]
OnGallery = Annotated[GalleryFlags, Parameter(name="*")]
InAlbums = Annotated[VerifyAlbumFlags, Parameter(name="*")]
IntoAlbums = Annotated[AlbumFlags, Parameter(name="*")]
ForSending = Annotated[UploadFlags, Parameter(name="*")]
ForLabels = Annotated[LabelFlags, Parameter(name="*")]
ForSelecting = Annotated[FilterFlags, Parameter(name="*")]
AndThen = Annotated[AfterFlags, Parameter(name="*")]
OnMachines = Annotated[MachineFlags, Parameter(name="*")]
OnTelling = Annotated[OutputFlags, Parameter(name="*")]
OfTrouble = Annotated[RetryFlags, Parameter(name="*")]


def choose(paths: Sequence[Path], selecting: FilterFlags) -> "Filters":
    """Return what to take of what is found. Raises `UsageError`."""
    filters = selecting.filters()
    if not paths and filters.listing is None:
        raise UsageError(
            "folders and photos are missing",
            hint="Name some: bulkup ./photos --album N, or a list of them by --files-from. "
            "bulkup --help tells more.",
        )
    return filters


def prepare(
    paths: Sequence[Path], gallery: GalleryFlags, filters: "Filters"
) -> tuple[list[Path], Account]:
    """Return what to walk and who logs in. Raises `UsageError`."""
    gallery.account()

    from bulkup.source.scan import check_roots  # noqa: PLC0415 (heavy)

    return check_roots(paths, filters), account_of(gallery)


def account_of(gallery: GalleryFlags) -> Account:
    """Return who logs in, looking into the key ring and asking last. Raises `UsageError`."""
    account = gallery.account()

    from bulkup.app.credentials import find  # noqa: PLC0415 (heavy)
    from bulkup.piwigo.connect import clean_url  # noqa: PLC0415 (heavy)

    url = clean_url(account.url)
    check_trust(account)
    if account.api_key:
        return account
    given = gallery.password() if account.user else ""
    if given or (account.user and (given := find(url, account.user))):
        return replace(account, password=given)
    if key := find(url, ""):
        return replace(account, user="", api_key=key)
    need(account.user, flag="--user", variable="BULKUP_USER", what="the user name")
    password = ask_password(f"Password of {account.user}")
    if not password:
        raise UsageError(
            "the password is missing",
            hint="Set BULKUP_PASSWORD, give --password-file or --password-command, or store it "
            "once by bulkup login.",
        )
    return replace(account, password=password)


def check_trust(account: Account) -> None:
    """Raise `UsageError` where the file of certificates is wrong."""
    if account.ca_cert is not None:
        from bulkup.piwigo.tls import Trust  # noqa: PLC0415 (heavy)

        Trust(ca_cert=account.ca_cert).context()


def say_cautions(account: Account) -> None:
    """Say on stderr what the user should know of the settings, where no view does."""
    from bulkup.output.text import printable  # noqa: PLC0415 (heavy)

    for caution in account.cautions:
        sys.stderr.write(f"! {printable(caution.message)}\n  {printable(caution.hint)}\n")
