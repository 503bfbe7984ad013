"""Commands as cyclopts apps, whose arguments are assembled once; adds environment variables."""

from collections.abc import Callable, Collection
from copy import copy
from typing import Any, Final

from cyclopts import App, Parameter
from cyclopts.argument import Argument, ArgumentCollection

from bulkup.cli.help import COMMANDS, unwrap


def _default_text(value: object) -> str | None:
    """Return the default that the help shows; None where the flag does nothing by default."""
    return None if value in (None, False, ()) else str(value)


DEFAULTS: Final = Parameter(negative="", show_default=_default_text)
HIDDEN: Final = Parameter(show=False)


class CommandApp(App):
    """A cyclopts app that assembles its arguments once.

    Assembling them takes about 50 ms for `bulkup upload`, and cyclopts asks for them three times
    for one `--help`. Docstrings are not parsed, because that would read the source of every flag
    class again, and each flag has its own help text. The `unusable` flags are not shown.
    """

    unusable: Collection[str] = ()
    _template: ArgumentCollection | None = None

    def assemble_argument_collection(
        self, *, default_parameter: Parameter | None = None, parse_docstring: bool = False
    ) -> ArgumentCollection:
        """Return the arguments without values."""
        del parse_docstring
        if self._template is None:
            self._template = super().assemble_argument_collection(
                default_parameter=Parameter.combine(DEFAULTS, default_parameter)
            )
            for argument in self._template:
                _add_variable(argument)
                if argument.name in self.unusable:
                    argument.parameter = Parameter.combine(argument.parameter, HIDDEN)
        copies = {id(argument): copy(argument) for argument in self._template}
        for argument in copies.values():
            argument.tokens = []
            argument.children = argument.children.copy()
            argument.children[:] = [copies[id(child)] for child in argument.children]
        arguments = self._template.copy()
        arguments[:] = copies.values()
        return arguments


def command(function: Callable[..., Any]) -> CommandApp:
    """Turn a function into a command, with the entry of its name in `COMMANDS` as its help."""
    name = function.__name__.replace("_", "-")
    text = COMMANDS[name]
    app = CommandApp(name=name, help=unwrap(text.help), help_epilogue=text.epilogue)
    app.unusable = text.unusable
    app.default(function)
    return app


def _add_variable(argument: Argument) -> None:
    """Give a flag the environment variable of its name, unless it has others."""
    name = argument.name
    if name.startswith("--") and not argument.children and not argument.parameter.env_var:
        variable = f"BULKUP_{name[2:].upper().replace('-', '_')}"
        argument.parameter = Parameter.combine(argument.parameter, Parameter(env_var=variable))
