"""The draft of a migration: what has been chosen so far, the arguments that do it, its file."""

import json
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from bulkup.api import FileOptions, UploadOptions, VerifyOptions, settings_of
from bulkup.app.settings import Account
from bulkup.errors import UsageError
from bulkup.output.outputs import quoted
from bulkup.source.filters import LOOSE_END

NOT_SECRET: Final = (
    *("url", "user", "ca_cert", "insecure", "client_cert", "client_key", "http_user"),
    "proxy",
)
"""Fields of the account that the file and the command contain."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What has been chosen so far. The account has no secrets; without a user it is an API key's.

    `paths` are absolute.
    """

    account: Account = field(default_factory=lambda: Account(url=""))
    paths: tuple[Path, ...] = ()
    options: UploadOptions = field(default_factory=UploadOptions)

    @property
    def is_valid(self) -> bool:
        """Whether the options are valid together, and there are albums to upload to."""
        try:
            settings_of(self.options)
        except UsageError:
            return False
        return True

    def arguments(self, command: str = "upload") -> list[str]:
        """Return the arguments of the command line that does the same."""
        words = [] if command == "upload" else [command]
        words += [word for name, value in self._account() for word in _flag(name, value)]
        options = verify_options(self.options) if command == "verify" else self.options
        words += [word for name, value in changed(options) for word in _flag(name, value)]
        return words + [str(path) for path in self.paths]

    def _account(self) -> Iterator[tuple[str, object]]:
        for name, value in changed(self.account):
            if name in NOT_SECRET and not (name == "proxy" and "@" in value):
                yield name, value

    def settings(self) -> dict[str, object]:
        """Return what a profile of the config file contains. Raises `UsageError`."""
        settings: dict[str, object] = {}
        for name, value in (*self._account(), *changed(self.options)):
            if name == "patterns":
                _add_patterns(settings, list(_flag(name, value)))
            elif isinstance(value, tuple | list):
                settings[name.replace("_", "-")] = list(value)
            else:
                plain = isinstance(value, bool | int)
                settings[name.replace("_", "-")] = value if plain else str(value)
        return settings

    def to_json(self) -> str:
        """Return the draft as JSON in ASCII, which keeps undecodable names."""
        document = {
            "account": dict(self._account()),
            "paths": self.paths,
            "options": dict(changed(self.options)),
        }
        return json.dumps(document, default=os.fspath, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Draft":
        """Return the draft of a JSON text. Raises `ValueError` where it is none."""
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("not an object")  # noqa: TRY004 (one error for all that is wrong)
        account = _checked(Account, document.get("account"))
        if unknown := account.keys() - set(NOT_SECRET):
            raise ValueError(f"not saved by bulkup: {unknown}")
        try:
            return cls(
                account=Account(**{"url": "", **account}),
                paths=tuple(Path(path) for path in document["paths"]),
                options=UploadOptions(**_checked(UploadOptions, document.get("options"))),
            )
        except (KeyError, TypeError, UsageError) as error:
            raise ValueError(str(error)) from None


def command_text(arguments: Sequence[str]) -> str:
    """Return the command line of these arguments, quoted for a shell."""
    return " ".join(["bulkup", *map(quoted, arguments)])


def verify_options(options: UploadOptions) -> VerifyOptions:
    """Return the options that verify what an upload with these options sends."""
    names = {field.name for field in fields(VerifyOptions)} - {"concurrency"}
    return VerifyOptions(**{name: value for name, value in changed(options) if name in names})


def changed(values: Account | FileOptions) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of the fields that differ from their defaults."""
    blank = Account(url="") if isinstance(values, Account) else type(values)()
    for each in fields(values):
        value = getattr(values, each.name)
        if value != getattr(blank, each.name):
            yield each.name, value


def _flag(name: str, value: object) -> Iterator[str]:
    """Yield the arguments for an option."""
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        yield flag
    elif name == "patterns":
        yield from _patterns([value] if isinstance(value, str) else _sequence(value))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _flag(name, each)
    else:
        text = str(value)
        yield from [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _sequence(value: object) -> Sequence[str]:
    return value if isinstance(value, Sequence) else ()


def _patterns(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        pattern = line
        while LOOSE_END.search(pattern):
            pattern = pattern[:-1]
        if pattern and not pattern.startswith("#"):
            name = "include" if pattern.startswith("!") else "exclude"
            yield f"--{name}={pattern.removeprefix('!')}"


def _add_patterns(settings: dict[str, object], words: Sequence[str]) -> None:
    """Add patterns, whose order a profile keeps only within those of one kind."""
    kinds = [word[2:9] for word in words]
    if sum(a != b for a, b in pairwise(kinds)) > 1:
        raise UsageError(
            "a profile can't contain patterns that exclude and include in turn",
            hint="Put all lines that begin with ! before or after the others.",
        )
    for kind in dict.fromkeys(kinds):
        settings[kind] = [word[10:] for word in words if word[2:9] == kind]


def _checked(cls: type, values: object) -> dict[str, Any]:
    """Return the values for a class from JSON. Raises `ValueError` for one of the wrong type."""
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__} is not an object")  # noqa: TRY004 (as above)
    hints = get_type_hints(cls)
    checked = {}
    for name, value in values.items():
        if name not in hints or not _fits(value, hints[name]):
            raise ValueError(f"wrong value for {name}")
        path = Path in get_args(hints[name])
        kept = Path(value) if path and value is not None else value
        checked[name] = tuple(kept) if isinstance(kept, list) else kept
    return checked


def _fits(value: object, hint: object) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in parts
    if origin in {Union, types.UnionType}:
        return any(_fits(value, part) for part in parts)
    if origin is os.PathLike or hint is Path:
        return isinstance(value, str)
    if origin is not None:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return type(value) is hint


class DraftFile:
    """Keeps the draft in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self._path.parent

    def read(self) -> tuple[Draft, Path | None]:
        """Return the draft, a new one where there is none.

        A file that is no draft is renamed; its new name is returned, too.
        """
        try:
            return Draft.from_json(self._path.read_text(encoding="utf-8")), None
        except OSError:
            return Draft(), None
        except (ValueError, RecursionError):
            aside = self._path.with_suffix(".broken")
            with suppress(OSError):
                self._path.replace(aside)
            return Draft(), aside

    def write(self, draft: Draft) -> None:
        """Replace the file as a whole. Raises `OSError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(draft.to_json(), encoding="ascii")
        part.replace(self._path)
