"""The config file: its profiles, and how flags get their values from it.

Flags win over environment variables, these over the profile, and that over the defaults.
"""

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from cyclopts import App, Token
from cyclopts.argument import Argument, ArgumentCollection

from bulkup.errors import UsageError

PLAIN: Final = ("api-key", "password")
"""Secrets that may stand in the file and are no flags."""

SECRET_WORDS: Final = frozenset({"notify", "token"})
"""Words in names of flags whose values hold secrets."""

SOURCES: Final = ("api-key-file", "password-file", "password-command")
"""Flags that name where a secret is."""

PRIVATE_ONLY: Final = ("config", "profile")
"""Flags that choose the file and the profile, and so can't stand in it."""

WORDS: Final = {
    bool: "true or false, without quotes",
    int: "a whole number, without quotes",
    str: "a text in quotes",
    list: 'a list of texts, such as ["one", "two"]',
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A table of the file by its `name`: flags without their dashes in front, and their values.

    Keys are written with dashes; values are as TOML has them.
    """

    name: str
    file: Path
    values: Mapping[str, object] = field(repr=False)

    @property
    def place(self) -> str:
        """Where to look, for messages."""
        return f"{self.name} in {self.file}"

    @property
    def names_secret(self) -> bool:
        """Whether a password or an API key comes from here."""
        return any(key in self.values for key in (*PLAIN, *SOURCES))

    def plain(self, key: str) -> str:
        """Return a secret that stands in the file, empty if there is none."""
        return str(self.values.get(key, ""))

    @property
    def holds_secret(self) -> bool:
        """Whether a secret itself stands here, and not only where it is."""
        return any(map(is_secret, self.values))

    def texts(self, key: str) -> list[str]:
        """Return a value as what would be written on the command line, one text for each."""
        value = self.values[key]
        return [_text(one) for one in (value if isinstance(value, list) else [value])]


def is_secret(key: str) -> bool:
    """Tell whether the value of a flag or setting must not be shown; a file's name may be."""
    if key.endswith("-file"):
        return False
    return key in PLAIN or not SECRET_WORDS.isdisjoint(key.split("-"))


def default_file() -> Path:
    """Return the file's place in the platform's folder for settings."""
    from platformdirs import user_config_path

    return user_config_path("bulkup", appauthor=False) / "config.toml"


def read_layers(config: Path | None, profile: str | None) -> list[Layer]:
    """Return the tables that count, the one that counts most first.

    `config` None: the file in its default place, if it is there. Raises `UsageError` where the
    file can't be read, is no TOML, holds something else than these tables, or has no such profile.
    """
    file = config or default_file()
    document = _read(file, needed=config is not None)
    if document is None:
        if profile is not None:
            raise UsageError(
                f"there is no profile “{profile}”, as there is no file {file}",
                hint=f"Write one, with a table [profiles.{profile}] and in it url, user, album …",
            )
        return []
    profiles = _checked(document, file)
    layers = []
    if profile is not None:
        layers.append(_profile(profiles, profile, file))
    if "defaults" in document:
        layers.append(_layer("[defaults]", file, document["defaults"]))
    return layers


def _read(file: Path, *, needed: bool) -> dict[str, object] | None:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        if not needed:
            return None
        raise UsageError(
            f"there is no settings file {file}",
            hint="Name another one by --config or BULKUP_CONFIG, or leave that out.",
        ) from None
    except OSError as error:
        raise UsageError(
            f"the settings file {file} can't be read: {error.strerror}",
            hint="Make it readable, or name another one by --config.",
        ) from None
    except UnicodeDecodeError:
        raise UsageError(
            f"the settings file {file} is not UTF-8 text", hint="Save it as UTF-8."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"the settings file {file} is not as TOML is written: {error}",
            hint='Texts stand in quotes, one setting a line: album = 9, user = "admin".',
        ) from None


def _checked(document: Mapping[str, object], file: Path) -> Mapping[str, object]:
    """Return the profiles of the file. Raises `UsageError` where it holds anything but tables."""
    for key in document:
        if key not in {"defaults", "profiles"}:
            raise UsageError(
                f"“{key}” in {file} is neither [defaults] nor [profiles.NAME]",
                hint=suggestion(key, ("defaults", "profiles"))
                or "Settings that always apply stand below [defaults], others below "
                "[profiles.NAME].",
            )
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict):
        raise UsageError(f"“profiles” in {file} is no table", hint="Write [profiles.NAME].")
    return profiles


def _profile(profiles: Mapping[str, object], profile: str, file: Path) -> Layer:
    if profile not in profiles:
        there = ", ".join(map(str, profiles)) or "none"
        raise UsageError(
            f"there is no profile “{profile}” in {file}",
            hint=suggestion(profile, profiles) or f"There are: {there}.",
        )
    return _layer(f"profile {profile}", file, profiles[profile])


def _layer(name: str, file: Path, table: object) -> Layer:
    if not isinstance(table, dict):
        raise UsageError(f"{name} in {file} is no table", hint="Write [profiles.NAME].")
    values: dict[str, object] = {}
    for key, value in table.items():
        dashed = key.replace("_", "-")
        if dashed in values:
            raise UsageError(f"{name} in {file} has “{key}” twice", hint="Keep one of them.")
        values[dashed] = value
    return Layer(name, file, values)


def check(layer: Layer, kinds: Mapping[str, Collection[type]]) -> None:
    """Raise `UsageError` where a table holds an unknown flag, or a value of the wrong type.

    `kinds` are the flags without their dashes in front, each with the types that it takes: `bool`,
    `int`, `str`, and `list` of texts.
    """
    for key, value in layer.values.items():
        if key in PRIVATE_ONLY:
            raise UsageError(
                f"“{key}” can't stand in the settings file ({layer.place})",
                hint=f"Give it on the command line: --{key}.",
            )
        wanted = {str} if key in PLAIN else kinds.get(key)
        if wanted is None:
            raise UsageError(
                f"there is no setting “{key}” ({layer.place})",
                hint=suggestion(key, (*kinds, *PLAIN))
                or "Settings are named like the flags that bulkup --help lists.",
            )
        if not (isinstance(value, str) if key in PLAIN else _suits(value, wanted)):
            words = " or ".join(WORDS[kind] for kind in WORDS if kind in wanted)
            raise UsageError(
                f"“{key}” has a value of the wrong type ({layer.place})", hint=f"Write {words}."
            )


def _suits(value: object, wanted: Collection[type]) -> bool:
    match value:
        case bool():
            return bool in wanted
        case int():
            return int in wanted or str in wanted
        case float() | date() | datetime() | time():
            return str in wanted and int not in wanted
        case str():
            return str in wanted or list in wanted
        case list():
            return list in wanted and all(isinstance(one, str) for one in value)
    return False


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def open_to_others(file: Path) -> bool:
    """Tell whether others than the owner may read a file, where the system has such rights."""
    if os.name != "posix":
        return False
    return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def plain_secret(layers: Sequence[Layer], key: str) -> str:
    """Return a secret that stands in the first table that names any, empty if there is none."""
    for layer in layers:
        if layer.names_secret:
            return layer.plain(key)
    return ""


def suggestion(word: str, there: Collection[str], *, prefix: str = "") -> str:
    """Return a question after the nearest of what is there, empty where nothing is near."""
    open_run = [one for one in there if len(word) > 3 and one.startswith(word)]
    best = open_run or difflib.get_close_matches(word, list(there), n=1, cutoff=0.6)
    return f"Did you mean {prefix}{best[0]}?" if best else ""


OPPOSITES: Final = {"tree": "flat", "flat": "tree", "ledger": "no-ledger", "no-ledger": "ledger"}
"""Flags of which one that counts more puts the other one out of force."""

FILTERS: Final = {"status": frozenset({"album"})}
"""Flags that choose what is told in these commands, and what is done in others."""

SECRET_VARIABLES: Final = ("BULKUP_PASSWORD", "BULKUP_API_KEY")


@dataclass(frozen=True, slots=True)
class Origin:
    """What is in force for a flag, as it was written, and where that was."""

    flag: str
    value: str
    origin: str


class ConfigLayers:
    """Fills the arguments of a command; flags count most, then variables, profile, defaults.

    `commands` gives the arguments of every command.
    """

    def __init__(self, commands: Callable[[], Iterable[ArgumentCollection]]) -> None:
        self._commands = commands
        self._flags: Mapping[str, Argument] = {}
        self.read: list[Layer] = []

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Fill what is still empty. Raises `UsageError` where the settings file is wrong."""
        del app
        self._flags = flags_of(arguments)
        self._fill(self._flags, commands)
        for argument in _once(self._flags):
            if argument.parameter.count:
                _count(argument)

    def _fill(self, flags: Mapping[str, Argument], commands: tuple[str, ...]) -> None:
        self.read = []
        _add_variables(flags)
        _drop_lesser_secrets(flags)
        if "profile" not in flags:
            return
        config, profile = _typed(flags.get("config")), _typed(flags["profile"])
        self.read = read_layers(Path(config) if config else None, profile)
        if not self.read:
            return
        kinds = self._kinds()
        named = any(variable in os.environ for variable in SECRET_VARIABLES)
        named = named or any(flags[key].tokens for key in SOURCES if key in flags)
        for layer in self.read:
            check(layer, kinds)
            given = {name for name, argument in flags.items() if argument.tokens}
            for key in layer.values:
                if key in FILTERS.get("".join(commands), ()):
                    continue
                put_out = OPPOSITES.get(key) in given or (named and key in SOURCES)
                if key in flags and key not in given and not put_out:
                    _put(flags[key], key, layer)
            named = named or layer.names_secret

    def _kinds(self) -> dict[str, set[type]]:
        kinds: dict[str, set[type]] = {}
        for arguments in self._commands():
            flags = flags_of(arguments)
            if "profile" in flags:
                for name, argument in flags.items():
                    kinds.setdefault(name, set()).update(_kinds(argument))
        return kinds

    def origins(self) -> Iterator[Origin]:
        """Yield what is in force for each flag of the command that was filled last."""
        for argument in _once(self._flags):
            yield from _origins(argument)

    def sources_of(self, message: str) -> str:
        """Return a sentence on those flags of a message that nobody typed, or nothing."""
        sentences = []
        for flag in dict.fromkeys(re.findall(r"--([a-z0-9][a-z0-9-]*)", message)):
            argument = self._flags.get(flag)
            token = argument.tokens[0] if argument and argument.tokens else None
            if token and token.source == "env":
                sentences.append(f"--{flag} is from {token.keyword}.")
            elif token and token.source != "cli":
                places = [layer.place for layer in self.read if layer.name == token.source]
                sentences.append(f"--{flag} is from {', '.join(places)}.")
        return " ".join(sentences)


def flags_of(arguments: ArgumentCollection) -> dict[str, Argument]:
    """Return the flags by their long names, without the dashes in front."""
    return {
        name.removeprefix("--"): argument
        for argument in arguments
        if argument.parse and not argument.children
        for name in argument.names
        if name.startswith("--")
    }


def _once(flags: Mapping[str, Argument]) -> list[Argument]:
    """Return the arguments, those of several names once."""
    return list({id(argument): argument for argument in flags.values()}.values())


def _typed(argument: Argument | None) -> str | None:
    return argument.tokens[-1].value if argument and argument.tokens else None


def _add_variables(flags: Mapping[str, Argument]) -> None:
    """Have each variable of a flag with several names count, in the order of the variables.

    The library takes the first that is set.
    """
    for argument in _once(flags):
        variables = tuple(argument.parameter.env_var or ())
        if len(variables) < 2 or any(token.source != "env" for token in argument.tokens):
            continue
        argument.tokens[:] = [
            Token(keyword=variable, value=text, source="env", index=0)
            for variable in variables
            for text in argument.env_var_split(os.environ.get(variable, ""))
            if text
        ]


def _count(argument: Argument) -> None:
    """Have a number in a variable count as a flag that is given so often.

    The library does not count that. Raises `UsageError` where it is no number.
    """
    for index, token in enumerate(argument.tokens):
        if token.source != "env":
            continue
        text = {"true": "1", "false": "0"}.get(token.value.lower(), token.value)
        if not text.isdecimal():
            raise UsageError(
                f"{argument.name} “{token.value}” ({token.keyword}) is no number",
                hint="Give how often the flag would stand there, such as 1 or 2.",
            )
        argument.tokens[index] = token.evolve(implicit_value=int(text))


def _drop_lesser_secrets(flags: Mapping[str, Argument]) -> None:
    """Forget sources of secrets from the environment where a flag names one."""
    sources = [flags[key] for key in SOURCES if key in flags]
    if any(token.source == "cli" for argument in sources for token in argument.tokens):
        for argument in sources:
            argument.tokens[:] = [token for token in argument.tokens if token.source == "cli"]


def _put(argument: Argument, key: str, layer: Layer) -> None:
    is_path = Path in _leaves(argument.hint)
    for index, text in enumerate(layer.texts(key)):
        value = os.path.expanduser(text) if is_path else text  # noqa: PTH111 (a Path may fail)
        if argument.parameter.count:
            token = Token(
                keyword=f"--{key}", value="", source=layer.name, implicit_value=int(float(value))
            )
        else:
            token = Token(keyword=f"--{key}", value=value, source=layer.name, index=index)
        argument.append(token)


def _kinds(argument: Argument) -> Iterator[type]:
    """Yield the types that a flag takes in the file."""
    leaves = set(_leaves(argument.hint))
    if argument.parameter.count:
        yield int
        return
    if tuple in leaves or list in leaves:
        yield list
    if leaves & {str, Path} or any(isinstance(leaf, str) for leaf in leaves):
        yield str
    for kind in (bool, int):
        if kind in leaves or any(type(leaf) is kind for leaf in leaves):
            yield kind
    if float in leaves:
        yield int


def _leaves(hint: object) -> Iterator[object]:
    """Yield the types that a hint is made of, and the values of its literals."""
    if get_origin(hint) is Literal:
        yield from get_args(hint)
        return
    if get_origin(hint) in {tuple, list}:
        yield get_origin(hint)
    elif not get_args(hint):
        yield hint
    for part in get_args(hint):
        yield from _leaves(part)


def _origins(argument: Argument) -> Iterator[Origin]:
    if not argument.tokens:
        default = argument.field_info.default
        for name in argument.names:
            if name.startswith("--"):
                yield Origin(name[2:], _shown(default), "default")
        return
    by_name: dict[str, list[Token]] = {}
    for token in argument.tokens:
        by_name.setdefault(_long_name(argument, token), []).append(token)
    for name, tokens in by_name.items():
        if argument.parameter.count and tokens[0].source == "cli":
            yield Origin(name, str(len(tokens)), _origin(tokens[0]))
            continue
        values = ", ".join(
            token.value or (_shown(token.implicit_value) if token.source != "env" else "")
            for token in tokens
        )
        yield Origin(name, values, _origin(tokens[0]))


def _long_name(argument: Argument, token: Token) -> str:
    """Return by which long name, without dashes, an argument was given."""
    names = [name[2:] for name in argument.names if name.startswith("--")]
    given = (token.keyword or "").removeprefix("BULKUP_").removeprefix("--")
    given = given.lower().replace("_", "-")
    return given if given in names else names[0]


def _origin(token: Token) -> str:
    if token.source == "cli":
        return "flag"
    return f"environment {token.keyword}" if token.source == "env" else token.source


def _shown(value: object) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
