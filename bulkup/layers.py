"""Flags that nobody typed: filled from the settings file, below the environment; and their origin.

Knows the command line library's arguments and the tables of the settings file.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from cyclopts import App, Token
from cyclopts.argument import Argument, ArgumentCollection

from bulkup.errors import UsageError
from bulkup.profiles import SOURCES, Layer, check, read_layers

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


class Layers:
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

    def whence(self, message: str) -> str:
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
