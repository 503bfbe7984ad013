"""The options of the upload: a few that matter, and all others, generated from their fields."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from anyio import to_thread
from multidict import MultiMapping

from bulkup.api import UploadOptions, filters_of, labels_of, settings_of, table_of
from bulkup.errors import UsageError, check_range
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit
from bulkup.output.text import printable, unicode_text

MAIN: Final = (
    *("private", "share_with", "level", "tag", "sort", "cover", "convert", "after"),
    *("concurrency", "bwlimit"),
)
"""The options that are shown first, with labels of their own."""

ELSEWHERE: Final = frozenset(
    {
        *("album", "tree", "unwrap", "underscores_to_spaces", "rename_album", "album_levels"),
        *("create_albums", "dry_run"),
    }
)
"""Options of other steps."""

HINTS: Final = get_type_hints(UploadOptions)
DEFAULTS: Final = UploadOptions()
MOVE: Final = "move:"


class OptionError(UsageError):
    """The value of an option is wrong; `field` is its name."""

    field: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """An option in the form.

    `kind` is `switch`, `choice`, `lines` or `text`. `text` is its value as shown, one value on
    each line for `lines`, "on" for a switch that is on; `choices` are those of a `choice`.
    """

    name: str
    kind: str
    text: str
    help: str
    group: str
    changed: bool
    numeric: bool = False
    choices: Sequence[str] = ()

    @property
    def flag(self) -> str:
        """The flags of the command line."""
        if self.name == "patterns":
            return "--exclude, --include"
        return f"--{self.name.replace('_', '-')}"


def kind_of(name: str) -> str:
    """Return how an option is entered."""
    hint, default = HINTS[name], getattr(DEFAULTS, name)
    if hint is bool:
        return "switch"
    if get_origin(hint) is Literal:
        return "choice"
    return "lines" if isinstance(default, tuple) or name == "comment" else "text"


def text_of(name: str, value: object) -> str:
    """Return the value of an option as the form shows it."""
    if isinstance(value, bool):
        return "on" if value else ""
    if kind_of(name) == "lines":
        lines = [value] if isinstance(value, str) else value
        return "\n".join(unicode_text(str(line)) for line in (lines or ()))  # type: ignore[attr-defined]
    return "" if value is None else printable(str(value))


class Options(Step):
    """The form with all options that no other step has."""

    name = "options"
    needs = ("albums",)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._saved = False

    @property
    def done(self) -> bool:
        """Whether the options are valid together."""
        return self.session.draft.is_valid

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the fields, with what was typed if it was refused."""
        shown = {field.name: field for field in self._fields(visit.form)}
        main = [shown.pop(name) for name in MAIN]
        after = next(field.text for field in main if field.name == "after")
        groups = groupby(sorted(shown.values(), key=self._rank), key=lambda field: field.group)
        return {
            "main": main,
            "groups": [(name, [*members]) for name, members in groups],
            "changed": sum(field.changed for field in shown.values()),
            "after": MOVE if after.startswith(MOVE) else after,
            "after_folder": after.removeprefix(MOVE) if after.startswith(MOVE) else "",
            "saved": "saved" in visit.query,
        }

    def _fields(self, form: MultiMapping[str]) -> Iterator[Field]:
        options, flags = self.session.draft.options, self.session.flags
        for each in fields(options):
            name = each.name
            if name in ELSEWHERE:
                continue
            value = getattr(options, name)
            kind = kind_of(name)
            yield Field(
                name=name,
                kind=kind,
                text=given(name, form) if form else text_of(name, value),
                help=flags[name].text,
                group=flags[name].group,
                changed=value != getattr(DEFAULTS, name),
                numeric=HINTS[name] in (int, int | None),
                choices=[str(choice) for choice in get_args(HINTS[name])]
                if kind == "choice"
                else (),
            )

    def _rank(self, field: Field) -> int:
        """Return the place of a field's group: the order of the command's help text."""
        order = list(dict.fromkeys(each.group for each in self.session.flags.values()))
        return order.index(field.group)

    async def save(self, visit: Visit) -> str:
        """Check and keep the options."""
        old = self.session.draft.options
        if visit.form.get("do") == "reset":
            names = [each.name for each in fields(old) if each.name not in ELSEWHERE]
            options = replace(old, **{name: getattr(DEFAULTS, name) for name in names})
        else:
            options = await to_thread.run_sync(read_form, visit.form, old)
        await check(options)
        await self.session.change(options=options)
        return "/options?saved"


def given(name: str, form: MultiMapping[str]) -> str:
    """Return what a form says of an option."""
    if name == "after" and "after_folder" in form:
        folder = form["after_folder"].strip()
        return f"{MOVE}{folder}" if form.get("after") == MOVE else form.get("after", "none")
    return form.get(name, "").replace("\r\n", "\n")


def read_form(form: MultiMapping[str], old: UploadOptions) -> UploadOptions:
    """Return the options of a form; what has not been changed in it stays as it was.

    Raises `OptionError`.
    """
    values: dict[str, Any] = {}
    for each in fields(old):
        name = each.name
        if name in ELSEWHERE:
            continue
        text = given(name, form)
        if text != text_of(name, getattr(old, name)):
            values[name] = value_of(name, text)
    return replace(old, **values)


def value_of(name: str, text: str) -> object:
    """Return the value of an option from its text. Raises `OptionError`."""
    hint, default, kind = HINTS[name], getattr(DEFAULTS, name), kind_of(name)
    if kind == "switch":
        return bool(text)
    if kind == "choice":
        known = {str(choice): choice for choice in get_args(hint)}
        if text not in known:
            raise wrong(name, f"“{text}” is not one of {', '.join(known)}", "Choose one of them.")
        return known[text]
    if name == "comment":
        return text or None
    if kind == "lines":
        return tuple(line for line in text.split("\n") if line.strip())
    text = text.strip()
    if not text:
        return default
    whole = text.isascii() and text.isdecimal()
    if hint in (int, int | None) and not (whole and len(text) < 10):
        raise wrong(name, f"“{text}” is not a number", "Give a whole number.")
    if whole and int in (*get_args(hint), hint) and str not in get_args(hint):
        return int(text)
    if any(get_origin(part) is os.PathLike for part in get_args(hint)):
        return os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 (may raise)
    return text


def wrong(name: str, message: str, hint: str) -> OptionError:
    """Return the error of an option."""
    error = OptionError(message, hint=hint)
    error.field = name
    return error


async def check(options: UploadOptions) -> None:
    """Raise `OptionError` where options are invalid."""
    try:
        settings_of(options)
        labels_of(options)
        await to_thread.run_sync(filters_of, options)
        await to_thread.run_sync(table_of, options)
        if options.max_errors is not None:
            check_range("--max-errors", options.max_errors, least=1, most=2**31 - 1)
    except UsageError as error:
        found = re.search(r"--([a-z][a-z0-9-]*)", error.message)
        name = found[1].replace("-", "_") if found else ""
        name = "patterns" if error.message.startswith("patterns") else name
        raise wrong(name if name in HINTS else "", error.message, error.hint) from None
