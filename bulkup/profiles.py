"""The settings file: where it lies, its tables, its secrets, and what is wrong with it.

Knows TOML and folders, and which flags there are only by what it is told of them. No value of the
file stands in a message: it may be a secret.
"""

import difflib
import os
import stat
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

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
    from platformdirs import user_config_path  # noqa: PLC0415 (only where it is needed)

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


def suggestion(word: str, there: Collection[str], *, sign: str = "") -> str:
    """Return a question after the nearest of what is there, empty where nothing is near."""
    begun = [one for one in there if len(word) > 3 and one.startswith(word)]
    best = begun or difflib.get_close_matches(word, list(there), n=1, cutoff=0.6)
    return f"Did you mean {sign}{best[0]}?" if best else ""
