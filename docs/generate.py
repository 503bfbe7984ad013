"""The tables of the reference and the man page, generated from the code.

`conf.py` puts the tables into the pages when the documentation is built; `make dist` writes the
man page. `python docs/generate.py NAME` prints one of them.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from cyclopts import Group
from cyclopts.argument import Argument

import bulkup
from bulkup.cli import app
from bulkup.cli.help import COMMANDS as HELP
from bulkup.errors import FailureKind, gallery, local, run, server
from bulkup.events import NAMES, Event

PACKAGE: Final = Path(bulkup.__file__).parent
COMMANDS: Final = list(HELP)
JSON_TYPES: Final = {
    Path: "string",
    str: "string",
    int: "integer",
    float: "number",
    bool: "true or false",
}
FAILURES: Final[Mapping[str, ModuleType]] = {
    "Files on this machine": local,
    "What the gallery has, accepts or can do": gallery,
    "The server's answers, and the connection to it (retried first)": server,
    "What ends a run, or prevents it from starting": run,
}
FACTS: Final = {
    "album": "N",
    "photo": "N",
    "other": "M",
    "status": "413",
    "seconds": "N",
    "more": "",
    "remedy": "Depends on the cause, which is another failure in these tables.",
}
"""What the table of failures shows for the facts of a failure; `…` for all others."""

EXIT_STATUS: Final = {
    0: "Every photo that was not left out by a rule is in its album, or there was nothing to do.",
    1: "Some photos are not in the album, or their files could not be moved; each is listed with "
    "the reason. For doctor: something prevents a migration.",
    2: "A flag, a setting or a file is wrong. Nothing was sent.",
    3: "The run could not start or continue: log-in refused, not a Piwigo, no such album, "
    "server unavailable, quota used up, another run uses the ledger.",
    130: "Interrupted by Ctrl-C or SIGTERM.",
}


@dataclass(slots=True)
class Flag:
    """A flag, with the commands in which it means the same."""

    group: Group
    names: tuple[str, ...]
    value: str
    variables: tuple[str, ...]
    help: str
    default: str
    commands: list[str] = field(default_factory=list)

    def row(self) -> str:
        """Return the flag as a row of a Markdown table."""
        names = ", ".join(f"`{name}`" for name in self.names)
        flag = f"{names} {_cell(self.value)}".strip()
        default = f" Default: {_cell(self.default)}." if self.default else ""
        text = f"{_code(_cell(self.help))}{default}<br>*{', '.join(self.commands)}*"
        return _row(["<br>".join([flag, *(f"`{name}`" for name in self.variables)]), text])


def arguments(command: str) -> Iterator[Argument]:
    """Yield the flags that the help of a command shows, as Cyclopts sees them."""
    for argument in app[command].assemble_argument_collection():
        if (
            argument.show
            and argument.parse
            and not argument.children
            and argument.name.startswith("-")
        ):
            yield argument


def flags() -> list[Flag]:
    """Return all flags, in the order of the help."""
    found: dict[tuple[object, ...], Flag] = {}
    for command in COMMANDS:
        for argument in arguments(command):
            flag = _flag(argument)
            key = (flag.group.name, flag.names, flag.help, flag.default)
            found.setdefault(key, flag).commands.append(command)
    return sorted(found.values(), key=lambda flag: flag.group.sort_key)


def command_table() -> str:
    """Return a row for each command."""
    rows = [[f"`{name}`", _code(_cell(_summary(name)))] for name in COMMANDS]
    return _table(["command", "what it does"], map(_row, rows))


def flag_table() -> str:
    """Return a table for each group of flags."""
    groups: dict[str, list[str]] = {}
    for flag in flags():
        groups.setdefault(str(flag.group.name), []).append(flag.row())
    head = ["flag, variable", "what it does, *commands*"]
    return "\n".join(f"### {name}\n\n{_table(head, rows)}" for name, rows in groups.items())


def event_table() -> str:
    """Return a row for each event."""
    rows = [[f"`{NAMES[event]}`", _event_fields(event), _event_text(event)] for event in events()]
    return _table(["`event`", "fields", "meaning"], map(_row, rows))


def events() -> tuple[type[Any], ...]:
    """Return the classes of events, in the order of the code."""
    return get_args(Event)


def failure_table() -> str:
    """Return a table for each group of failures."""
    head = ["code", "what happened", "what to do"]
    return "\n".join(
        f"## {title}\n\n{_table(head, (_failure_row(kind) for kind in kinds(module)))}"
        for title, module in FAILURES.items()
    )


def kinds(module: ModuleType) -> Iterator[FailureKind]:
    """Yield the kinds of failures of a module, in its order."""
    yield from (value for value in vars(module).values() if isinstance(value, FailureKind))


def metric_table() -> str:
    """Return a row for each metric. Needs the extra `monitor`."""
    from bulkup.output.monitor.metrics import Metrics  # noqa: PLC0415 (needs an extra)
    from bulkup.output.state import RunState  # noqa: PLC0415 (only for these metrics)

    page, _ = Metrics().page("text/plain", RunState(), 0.0)
    texts = dict(re.findall(r"(?m)^# HELP (\S+) (.+)$", page.decode()))
    types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", page.decode()))
    rows = [
        [f"`{name}`", types[name], _cell(text)]
        for name, text in texts.items()
        if not name.endswith("_created")
    ]
    return _table(["metric", "type", "meaning"], map(_row, rows))


def api() -> str:
    """Return directives for autodoc, one for each public name of the package."""
    lines = ["```{eval-rst}"]
    for name in sorted(bulkup.__all__, key=lambda name: (name != "upload", name)):
        kind = "autoclass" if isinstance(getattr(bulkup, name), type) else "autofunction"
        lines += [f".. {kind}:: bulkup.{name}"]
        lines += ["   :members:", ""] if kind == "autoclass" else [""]
    return "\n".join([*lines, "```", ""])


def module_table() -> str:
    """Return a table for each package: its modules, with the first lines of their docstrings."""
    tables = []
    for package in sorted(PACKAGE.rglob("__init__.py")):
        rows = [
            _row([f"`{module.name}`", _docstring(module).partition("\n\n")[0]])
            for module in sorted(package.parent.glob("*.py"))
            if module != package
        ]
        title = package.parent.relative_to(PACKAGE.parent).as_posix()
        text = _docstring(package) if package.parent != PACKAGE else ""
        tables.append(f"## {title}/\n\n{text}\n\n{_table(['module', 'content'], rows)}")
    return "\n".join(tables)


def _docstring(module: Path) -> str:
    return ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""


def man_page() -> str:
    """Return the man page, in the macros of man(7)."""
    lines = [f'.TH BULKUP 1 "" "bulkup {bulkup.__version__}" "User Commands"']
    lines += [".SH NAME", "bulkup \\- upload a photo archive to a Piwigo gallery"]
    lines += [
        ".SH SYNOPSIS",
        ".B bulkup",
        "[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR] [\\fIPATH\\fR ...]",
    ]
    lines += [".SH DESCRIPTION", _roff(app.help or "")]
    lines += [".PP", "\\fBbulkup\\fR \\fIPATH\\fR ... is short for \\fBbulkup upload\\fR."]
    lines += [".SH COMMANDS"]
    for name in COMMANDS:
        lines += [".TP", f"\\fBbulkup {name}\\fR", _roff(_summary(name))]
    lines += [".SH OPTIONS"]
    group = ""
    for flag in flags():
        if flag.group.name != group:
            group = str(flag.group.name)
            lines += [f".SS {_roff(group)}"]
        names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in flag.names)
        lines += [".TP", f"{names} \\fI{_roff(flag.value)}\\fR" if flag.value else names]
        lines += [_roff(flag.help)]
        if flag.default:
            lines += [f"Default: {_roff(flag.default)}."]
        lines += [f"Variable: {', '.join(map(_roff, flag.variables))}."] if flag.variables else []
        lines += [f"({', '.join(flag.commands)})"]
    lines += [".SH EXIT STATUS"]
    for code, text in EXIT_STATUS.items():
        lines += [".TP", f"\\fB{code}\\fR", _roff(text)]
    lines += [".SH EXAMPLES", ".nf"]
    lines += [_roff(line) for name in COMMANDS for line, _ in HELP[name].examples]
    return "\n".join([*lines, ".fi", ""])


def _flag(argument: Argument) -> Flag:
    parameter = argument.parameter
    value = _value(argument)
    default = argument.field_info.default
    groups = parameter.group if isinstance(parameter.group, tuple) else (parameter.group,)
    (group,) = (group for group in groups if isinstance(group, Group))
    silent = default is None or default == () or not value
    return Flag(
        group=group,
        names=tuple(argument.names),
        value=value,
        variables=tuple(parameter.env_var or ()),
        help=" ".join((parameter.help or "").split()),
        default="" if silent else str(default),
    )


def _value(argument: Argument) -> str:
    """Return the placeholder for the value of a flag, empty for a switch."""
    if argument.hint is bool or argument.parameter.count:
        return ""
    if argument.parameter.metavar:
        return str(argument.parameter.metavar)
    if get_origin(argument.hint) is Literal:
        return "|".join(str(value) for value in get_args(argument.hint))
    number = int in {argument.hint, *get_args(argument.hint)}
    return "N" if number else argument.name.lstrip("-").upper()


def _summary(command: str) -> str:
    return str(app[command].help).splitlines()[0]


def _event_fields(event: type[Any]) -> str:
    types = get_type_hints(event)
    return "; ".join(f"`{each.name}` {_type(types[each.name])}" for each in fields(event)) or "–"


def _type(kind: Any) -> str:  # noqa: ANN401 (any annotation)
    if isinstance(kind, UnionType):
        inner = [_type(each) for each in get_args(kind) if each is not NoneType]
        return " or ".join([*inner, "null"])
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_type(get_args(kind)[0])}s"
    if get_origin(kind) is Mapping:
        return f"object, each value a {_type(get_args(kind)[1])}"
    if issubclass(kind, StrEnum):
        return _one_of([each.value for each in kind])
    return JSON_TYPES[kind]


def _one_of(values: Iterable[str]) -> str:
    *most, last = (f"`{value}`" for value in values)
    return f"{', '.join(most)} or {last}"


def _event_text(event: type[Any]) -> str:
    return re.sub(r"\bNone\b", "null", _cell(event.__doc__ or ""))


def _failure_row(kind: FailureKind) -> str:
    return _row([f"`{kind.code}`", _failure_text(kind.what), _failure_text(kind.remedy)])


def _failure_text(sentence: str) -> str:
    if sentence == "{reason}":
        return FACTS["remedy"]
    text = re.sub(r"\{(\w+)[^}]*\}", lambda fact: FACTS.get(fact[1], "…"), sentence)
    return re.sub(r"(\$conf\['\w+'\](?: = true;)?)", r"`\1`", _code(_cell(text)))


def _code(text: str) -> str:
    """Mark flags, variables and placeholders as code."""
    return re.sub(
        r"(?<![\w`-])((?:bulkup [a-z]+ )?--[a-z][a-z0-9-]*|\{[a-z]+\}|BULKUP_[A-Z_]+)",
        r"`\1`",
        text,
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(head: list[str], rows: Iterable[str]) -> str:
    return "\n".join([_row(head), _row(["---"] * len(head)), *rows, ""])


def _roff(text: str) -> str:
    """Return text with what roff would interpret escaped."""
    plain = " ".join(text.replace("`", "").split()).replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", plain)


MARK: Final = r"(?m)^<!-- generated: (\S+) -->\n(?:.+\n)+"
TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "commands": command_table,
    "flags": flag_table,
    "events": event_table,
    "failures": failure_table,
    "metrics": metric_table,
    "api": api,
    "modules": module_table,
    "man": man_page,
}


def insert(text: str) -> str:
    """Return a page with each mark, and the paragraph below it, replaced by the table it names.

    The paragraph tells readers of the source where to find the table.
    """
    return re.sub(MARK, lambda mark: TABLES[mark[1]](), text)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in TABLES:
        sys.exit(f"usage: python docs/generate.py {'|'.join(TABLES)}")
    sys.stdout.write(TABLES[sys.argv[1]]())
