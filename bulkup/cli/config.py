"""The config file and its profiles, and how flags get values from it.

Flags take precedence over environment variables, then the profile, then `[defaults]`.
`ConfigLayers` is a config source of cyclopts, which calls it for each command.

cyclopts' own `Toml` and `Env` sources were tried instead. They show a wrong value in the error
message, where it may be a misplaced secret. They reject settings of other commands or, if told to
ignore these, accept misspelled ones. They ignore `quiet = 2`, keep `~` in paths, accept any text
for a boolean flag, apply a profile's `flat` together with the defaults' `tree`, and read BULKUP_A
for `-a`.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from cyclopts import App, Token
from cyclopts.argument import Argument, ArgumentCollection

from bulkup.errors import UsageError

PLAIN: Final = ("api-key", "password")
"""Secrets that may be in the file, but are not flags."""

SOURCES: Final = ("api-key-file", "password-file", "password-command")
"""Flags that name the source of a secret."""

ACCOUNTS: Final = ("", "from-")
"""What the names of these begin with, for the gallery and for one to copy from."""

SECRET_WORDS: Final = frozenset({"header", "notify", "token"})
"""Words in the names of flags whose values contain secrets."""

NOT_IN_FILE: Final = ("config", "profile")

LARGEST: Final = 1_000_000
"""Maximum characters of a config file."""

HIGHEST: Final = 2**63
"""Larger numbers are no settings; Python writes none of more than 4,300 digits."""

OPPOSITES: Final = {"tree": "flat", "flat": "tree", "ledger": "no-ledger", "no-ledger": "ledger"}
"""Pairs of flags that override each other: the one in the layer of higher precedence applies."""

NOT_SETTINGS: Final = {
    "status": frozenset({"album"}),
    "from-piwigo": frozenset({"ledger", "no-ledger", "update", "raw-as-format", "convert"}),
}
"""Flags that select what a command shows, or that it refuses: the file means them for uploads."""

TYPE_NAMES: Final = {
    bool: "true or false, without quotes",
    int: "a whole number, without quotes",
    str: "a string in quotes",
    list: 'a list of strings, such as ["one", "two"]',
}


def is_secret(key: str, value: str = "") -> bool:
    """Return whether a flag's or setting's value must not be shown; file names may be shown."""
    if key.endswith("-file"):
        return False
    if key in {"url", "proxy"}:
        return "@" in value
    return key.removeprefix("from-") in PLAIN or not SECRET_WORDS.isdisjoint(key.split("-"))


@dataclass(frozen=True, slots=True)
class Layer:
    """A table of the file: flags by their long names without dashes in front, as TOML values."""

    name: str
    file: Path
    values: Mapping[str, object] = field(repr=False)

    @property
    def place(self) -> str:
        """The table and the file, for messages."""
        return f"{self.name} in {self.file}"

    def names_secret(self, prefix: str = "") -> bool:
        """Return whether the table gives a password or an API key, or names its source."""
        return any(prefix + key in self.values for key in (*PLAIN, *SOURCES))

    @property
    def holds_secret(self) -> bool:
        """Whether the table itself contains a secret."""
        return any(is_secret(key, str(value)) for key, value in self.values.items())

    def texts(self, key: str) -> list[str]:
        """Return the values of a flag as they would be given on the command line."""
        value = self.values[key]
        return [_text(one) for one in (value if isinstance(value, list) else [value])]


def plain_secret(layers: Sequence[Layer], key: str, *, prefix: str = "") -> str:
    """Return the secret in the first table that gives or names one, "" if it is elsewhere."""
    layer = next((layer for layer in layers if layer.names_secret(prefix)), None)
    return "" if layer is None else str(layer.values.get(prefix + key, ""))


def default_file() -> Path:
    """Return the default config file, in the platform's folder for settings."""
    from platformdirs import user_config_path

    return user_config_path("bulkup", appauthor=False) / "config.toml"


def open_to_others(file: Path) -> bool:
    """Return whether other users may read a file; False on systems without such permissions."""
    if os.name != "posix":
        return False
    return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def read_layers(config: Path | None, profile: str | None) -> list[Layer]:
    """Return the tables of the profile and of the defaults, if the file has them.

    `config` None reads the default file, if it exists. Raises `UsageError` if the file can't be
    read, is not valid TOML, contains anything but these tables, or has no such profile.
    """
    file = config or default_file()
    document = _read(file, required=config is not None)
    if document is None:
        if profile is None:
            return []
        raise UsageError(
            f"there is no profile “{profile}”: the config file {file} does not exist",
            hint=f"Create it, with url, user, album … in a table [profiles.{profile}].",
        )
    for key in document:
        if key not in {"defaults", "profiles"}:
            raise UsageError(
                f"“{key}” in {file} is neither [defaults] nor [profiles.NAME]",
                hint=suggestion(key, ("defaults", "profiles"))
                or "Put settings below [defaults], or below [profiles.NAME].",
            )
    profiles = _table("profiles", file, document.get("profiles", {}))
    layers = []
    if profile is not None:
        if profile not in profiles:
            raise UsageError(
                f"there is no profile “{profile}” in {file}",
                hint=suggestion(profile, profiles)
                or f"Profiles: {', '.join(map(str, profiles)) or 'none'}.",
            )
        layers.append(_layer(f"profile {profile}", file, profiles[profile]))
    if "defaults" in document:
        layers.append(_layer("[defaults]", file, document["defaults"]))
    return layers


def _read(file: Path, *, required: bool) -> dict[str, object] | None:
    import tomllib

    try:
        return tomllib.loads(_text_of(file))
    except FileNotFoundError:
        if not required:
            return None
        message, hint = "does not exist", "Name another one with --config or BULKUP_CONFIG."
    except OSError as error:
        message, hint = f"can't be read: {error.strerror}", "Change its permissions."
    except UnicodeDecodeError:
        message, hint = "is not UTF-8 text", "Save it as UTF-8."
    except (ValueError, RecursionError) as error:
        message = f"is not valid TOML: {error}"
        hint = 'Put strings in quotes, one setting per line: album = 9, user = "admin".'
    raise UsageError(f"the config file {file} {message}", hint=hint)


def _text_of(file: Path) -> str:
    """Return what a file contains. Raises `OSError`, and `ValueError` if it is no text."""
    with file.open(encoding="utf-8-sig") as opened:
        text = opened.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError(f"it has more than {LARGEST:,} characters")
    return text


def _table(name: str, file: Path, table: object) -> Mapping[str, object]:
    if not isinstance(table, dict):
        raise UsageError(f"{name} in {file} is not a table", hint="Write [profiles.NAME].")
    return table


def _layer(name: str, file: Path, table: object) -> Layer:
    values: dict[str, object] = {}
    for key, value in _table(name, file, table).items():
        dashed = key.replace("_", "-")
        if dashed in values:
            raise UsageError(f"{name} in {file} has “{key}” twice", hint="Keep one of them.")
        values[dashed] = value
    return Layer(name, file, values)


def check(layer: Layer, types: Mapping[str, Collection[type]]) -> None:
    """Raise `UsageError` for an unknown setting or a value of the wrong type, without the value.

    `types` holds the types that each flag accepts: `bool`, `int`, `str`, and `list` of strings.
    """
    for key, value in layer.values.items():
        if key in NOT_IN_FILE:
            raise UsageError(
                f"“{key}” is not allowed in the config file ({layer.place})",
                hint=f"Give it on the command line: --{key}.",
            )
        is_plain = key.removeprefix("from-") in PLAIN
        allowed = {str} if is_plain else types.get(key)
        if allowed is None:
            raise UsageError(
                f"there is no setting “{key}” ({layer.place})",
                hint=suggestion(key, (*types, *PLAIN))
                or "Settings have the names of flags, see bulkup --help.",
            )
        if not (isinstance(value, str) if is_plain else _suits(value, allowed)):
            names = " or ".join(TYPE_NAMES[kind] for kind in TYPE_NAMES if kind in allowed)
            raise UsageError(
                f"“{key}” has a value of the wrong type ({layer.place})", hint=f"Write {names}."
            )


def _suits(value: object, allowed: Collection[type]) -> bool:
    match value:
        case bool():
            return bool in allowed
        case int():
            return abs(value) < HIGHEST and (int in allowed or str in allowed)
        case float() | date() | time():
            return str in allowed and int not in allowed
        case str():
            return "\0" not in value and (str in allowed or list in allowed)
        case list():
            return list in allowed and all(
                isinstance(one, str) and "\0" not in one for one in value
            )
    return False


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | time) else str(value)


def suggestion(word: str, known: Collection[str], *, prefix: str = "") -> str:
    """Return “Did you mean …?” with the closest known word, "" if none is close."""
    import difflib

    begun = [one for one in known if len(word) > 3 and one.startswith(word)]
    best = begun or difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {prefix}{best[0]}?" if best else ""


@dataclass(frozen=True, slots=True)
class Origin:
    """The value of a flag as it was written, and where it comes from."""

    flag: str
    value: str
    origin: str


class ConfigLayers:
    """Fills in flags that are not given, from environment variables, profile and defaults.

    `commands` yields the arguments of every command.
    """

    def __init__(self, commands: Callable[[], Iterable[ArgumentCollection]]) -> None:
        self._commands = commands
        self._flags: Mapping[str, Argument] = {}
        self.read: list[Layer] = []

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Fill in the arguments. Raises `UsageError` for an error in the config file."""
        del app
        self._flags = flags = flags_of(arguments)
        self.read = []
        _add_variables(flags)
        if "profile" in flags:
            config, profile = _given(flags.get("config")), _given(flags["profile"])
            self.read = read_layers(Path(config) if config else None, profile)
        # the first layer that names a secret is the only one whose SOURCES apply
        named = {prefix for prefix in ACCOUNTS if _is_named(flags, prefix)}
        for layer in self.read:
            self._check(layer)
            given = {name for name, argument in flags.items() if argument.tokens}
            skipped = {*given, *(OPPOSITES.get(name) for name in given)}
            skipped |= {"http-password-file"} if "BULKUP_HTTP_PASSWORD" in os.environ else set()
            skipped |= {prefix + key for prefix in named for key in SOURCES}
            skipped |= NOT_SETTINGS.get("".join(commands), frozenset())
            for key in layer.values:
                if key in flags and key not in skipped:
                    _fill(flags[key], key, layer)
            named |= {prefix for prefix in ACCOUNTS if layer.names_secret(prefix)}
        for argument in _once(flags):
            if argument.parameter.count:
                _count_variable(argument)

    def _check(self, layer: Layer) -> None:
        """Check a table against the flags of this command, and of all others only if needed."""
        types: dict[str, set[type]] = {}
        _add_types(types, self._flags)
        try:
            return check(layer, types)
        except UsageError:
            for arguments in self._commands():
                flags = flags_of(arguments)
                if "profile" in flags:
                    _add_types(types, flags)
        return check(layer, types)

    def origins(self) -> Iterator[Origin]:
        """Yield the value of each flag, for the command whose flags were filled in last."""
        for argument in _once(self._flags):
            yield from _origins(argument)

    def sources_of(self, message: str) -> str:
        """Return where the flags in a message come from, "" for those of the command line."""
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
    """Return each argument once, including those with several names."""
    return list({id(argument): argument for argument in flags.values()}.values())


def _given(argument: Argument | None) -> str | None:
    return argument.tokens[-1].value if argument and argument.tokens else None


def _add_variables(flags: Mapping[str, Argument]) -> None:
    """Complete what cyclopts has read from environment variables.

    It reads only the first variable of a flag with several names. A flag that names the source of
    a secret overrides variables that name others.
    """
    for argument in _once(flags):
        variables = tuple(argument.parameter.env_var or ())
        if len(variables) > 1 and all(token.source == "env" for token in argument.tokens):
            argument.tokens[:] = [
                Token(keyword=variable, value=text, source="env", index=0)
                for variable in variables
                for text in argument.env_var_split(os.environ.get(variable, ""))
                if text
            ]
    for prefix in ACCOUNTS:
        sources = [flags[prefix + key] for key in SOURCES if prefix + key in flags]
        if any(token.source == "cli" for argument in sources for token in argument.tokens):
            for argument in sources:
                argument.tokens[:] = [token for token in argument.tokens if token.source == "cli"]


def _is_named(flags: Mapping[str, Argument], prefix: str) -> bool:
    """Return whether a variable has a secret, or a flag or variable names its source."""
    variables = (f"BULKUP_{prefix}{key}".upper().replace("-", "_") for key in PLAIN)
    return any(variable in os.environ for variable in variables) or any(
        flags[prefix + key].tokens for key in SOURCES if prefix + key in flags
    )


def _count_variable(argument: Argument) -> None:
    """Accept a number as the variable of a counted flag. Raises `UsageError` for other values."""
    for index, token in enumerate(argument.tokens):
        if token.source != "env":
            continue
        text = {"true": "1", "false": "0"}.get(token.value.lower(), token.value)
        if not text.isdecimal():
            raise UsageError(
                f"invalid value for {argument.name} ({token.keyword}): “{token.value}”",
                hint="Give the number of times the flag would be given, such as 1 or 2.",
            )
        argument.tokens[index] = token.evolve(implicit_value=int(text))


def _fill(argument: Argument, key: str, layer: Layer) -> None:
    for index, text in enumerate(layer.texts(key)):
        if argument.parameter.count:
            number = int(float(text))
            token = Token(keyword=f"--{key}", source=layer.name, implicit_value=number)
        else:
            is_path = Path in _leaves(argument.hint)
            value = os.path.expanduser(text) if is_path else text  # noqa: PTH111 (Path may raise)
            token = Token(keyword=f"--{key}", value=value, source=layer.name, index=index)
        argument.append(token)


def _add_types(types: dict[str, set[type]], flags: Mapping[str, Argument]) -> None:
    for name, argument in flags.items():
        types.setdefault(name, set()).update(_types(argument))


def _types(argument: Argument) -> Iterator[type]:
    """Yield the types that a flag accepts in the file."""
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
    """Yield the types in a type hint, and the values of its literals."""
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
    names = [name[2:] for name in argument.names if name.startswith("--")]
    if not argument.tokens:
        for name in names:
            yield Origin(name, _shown(argument.field_info.default), "default")
        return
    by_name: dict[str, list[Token]] = {}
    for token in argument.tokens:
        keyword = (token.keyword or "").removeprefix("BULKUP_").removeprefix("--")
        name = keyword.lower().replace("_", "-")
        by_name.setdefault(name if name in names else names[0], []).append(token)
    for name, tokens in by_name.items():
        yield Origin(name, _values(argument, tokens), _origin(tokens[0]))


def _values(argument: Argument, tokens: Sequence[Token]) -> str:
    if argument.parameter.count and tokens[0].source == "cli":
        return str(len(tokens))
    return ", ".join(
        token.value or ("" if token.source == "env" else _shown(token.implicit_value))
        for token in tokens
    )


def _origin(token: Token) -> str:
    if token.source == "cli":
        return "flag"
    return f"environment {token.keyword}" if token.source == "env" else token.source


def _shown(value: object) -> str:
    return "–" if value is None or value == () else _text(value)


def write_profile(file: Path, name: str, values: Mapping[str, object]) -> None:
    """Write settings as a profile into a config file, with all else in the file as it was.

    A profile of this name is replaced, unless there are comments in it. Raises `UsageError` where
    the file can't be read, changed or written.
    """
    import tomllib

    if not (name.strip() and name.isprintable()):
        raise UsageError("the profile has no usable name", hint="Give it one, such as museum.")
    document = _read(file, required=False)
    before = "" if document is None else _text_of(file)
    new = f"[profiles.{_toml(name, key=True)}]\n"
    new += "".join(f"{_toml(key, key=True)} = {_toml(value)}\n" for key, value in values.items())
    wanted = document or {}
    profiles = _table("profiles", file, wanted.get("profiles", {}))
    if name in profiles:
        names = "|".join({re.escape(name), re.escape(_toml(name))})
        table = rf"(?m)^\[profiles\.(?:{names})\][ \t]*\n(?:(?!\[)[^#\n]*\n)*(?=\[|\Z)"
        text = re.sub(table, lambda _: f"{new}\n", before.rstrip("\n") + "\n")
    else:
        text = f"{before.rstrip()}\n\n{new}".lstrip()
    expected = wanted | {"profiles": {**profiles, name: dict(values)}}
    try:
        if tomllib.loads(text) != expected:
            raise ValueError  # noqa: TRY301 (the same words for both)
    except ValueError:
        raise UsageError(
            f"the profile “{name}” in {file} can't be replaced without losing something",
            hint="Choose another name, or delete that profile from the file.",
        ) from None
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the config file can't contain these settings: a name in them is not UTF-8 text",
            hint="Rename that file or folder.",
        ) from None
    place = file.resolve()  # a link stays
    part = place.with_name(f"{place.name}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part.touch(mode=0o600)
        if document is not None:
            part.chmod(stat.S_IMODE(place.stat().st_mode))
        part.write_bytes(data)
        part.replace(place)
    except OSError as error:
        raise UsageError(
            f"the config file {file} can't be written: {error.strerror}",
            hint="Change its permissions.",
        ) from None


def _toml(value: object, *, key: bool = False) -> str:
    """Return a value as TOML."""
    import json

    if key and re.fullmatch(r"[\w-]+", str(value), flags=re.ASCII):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return _text(value)
