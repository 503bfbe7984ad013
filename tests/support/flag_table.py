"""The README's tables of commands and flags, made from the code.

`python -m tests.support.flag_table` renews them.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args, get_origin

from cyclopts import Group
from cyclopts.argument import Argument

from bulkup.cli import app
from bulkup.cli.flags import ORDER

README = Path(__file__).parents[2] / "README.md"
REGIONS = {
    name: re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)", re.DOTALL)
    for name in ("commands", "flags")
}
COMMANDS = [name for name in app if not name.startswith("-")]


@dataclass(slots=True)
class Row:
    """A flag that means the same in some commands."""

    group: str
    names: str
    variables: list[str]
    words: str
    default: str
    commands: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the row as Markdown."""
        flag = "<br>".join([self.names, *self.variables])
        cells = [flag, self.words, self.default, ", ".join(self.commands)]
        return "| " + " | ".join(cells) + " |"


def flags(command: str) -> Iterator[Argument]:
    """Yield what a command takes besides paths."""
    for argument in app[command].assemble_argument_collection():
        if argument.parse and not argument.children and argument.name.startswith("-"):
            yield argument


def tables() -> dict[str, str]:
    """Return what belongs into each region of the README."""
    return {"commands": command_table(), "flags": flag_table()}


def command_table() -> str:
    """Return a row for each command, in the order of the code."""
    rows = [f"| `{name}` | {_cell(app[name].help.splitlines()[0])} |" for name in COMMANDS]
    return "\n".join(["| command | what it does |", "| --- | --- |", *rows]) + "\n"


def flag_table() -> str:
    """Return a table for each group of flags, in the order of the help."""
    rows: dict[tuple[str, ...], Row] = {}
    for command in COMMANDS:
        for argument in flags(command):
            row = _row(argument)
            key = (row.group, row.names, row.words, row.default)
            rows.setdefault(key, row).commands.append(command)
    blocks = []
    for group in ORDER:
        of_group = [row.line() for row in rows.values() if row.group == group]
        if of_group:
            head = ["| flag, variable | what it does | default | commands |"]
            head += ["| --- | --- | --- | --- |"]
            blocks.append("\n".join([f"**{group}**", "", *head, *of_group]))
    return "\n" + "\n\n".join(blocks) + "\n\n"


def in_readme() -> dict[str, str]:
    """Return what the README has in each region."""
    text = README.read_text(encoding="utf-8")
    found = {name: region.search(text) for name, region in REGIONS.items()}
    return {name: match[0] for name, match in found.items() if match}


def _row(argument: Argument) -> Row:
    parameter = argument.parameter
    value = _value(argument)
    names = [f"`{name}`" for name in argument.names]
    if value:
        names[-1] = f"{names[-1]} {_cell(value)}"
    default = argument.field_info.default
    (group,) = parameter.group if isinstance(parameter.group, tuple) else ()
    assert isinstance(group, Group)
    silent = default is None or default == () or not value
    return Row(
        group=str(group.name),
        names=", ".join(names),
        variables=[f"`{name}`" for name in parameter.env_var or ()],
        words=_cell(parameter.help or ""),
        default="" if silent else _cell(str(default)),
    )


def _value(argument: Argument) -> str:
    """Return what stands for the value of a flag, nothing for one that is only there or not."""
    if argument.hint is bool or argument.parameter.count:
        return ""
    if argument.parameter.metavar:
        return str(argument.parameter.metavar)
    if get_origin(argument.hint) is Literal:
        return "|".join(str(value) for value in get_args(argument.hint))
    return (
        "N"
        if int in {argument.hint, *get_args(argument.hint)}
        else argument.name.lstrip("-").upper()
    )


def _cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return re.sub(
        r"(?<![\w`-])((?:bulkup [a-z]+ )?--[a-z][a-z0-9-]*|\{[a-z]+\}|BULKUP_[A-Z_]+)",
        r"`\1`",
        text,
    )


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    for name, made in tables().items():
        text = REGIONS[name].sub(lambda _, made=made: made, text)  # type: ignore[misc]
    README.write_text(text, encoding="utf-8")
    sys.exit(0 if in_readme() == tables() else "the README lacks a region for commands or flags")
