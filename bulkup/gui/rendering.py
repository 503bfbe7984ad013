"""Renders pages from templates, as a whole or only what changes while a task runs."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import PurePath
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from bulkup.output.text import printable, unicode_text

FOLDER: Final = files("bulkup.gui") / "pages"
LIVE: Final = ("steps", "status", "listed", "live", "next")
"""Blocks of the layout that change by themselves: the elements of these ids contain them."""


class Renderer:
    """Renders the templates, all of which are read at once.

    Control characters are shown as escapes, unless a text is marked as `| lines`.
    """

    def __init__(self) -> None:
        sources = {
            file.name: file.read_text(encoding="utf-8")
            for file in FOLDER.iterdir()
            if file.name.endswith(".html")
        }
        environment = Environment(
            loader=DictLoader(sources),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=lambda value: value if isinstance(value, Markup) else printable(str(value)),
        )
        environment.filters["lines"] = lambda text: escape(unicode_text(text))
        environment.globals["ui"] = environment.get_template("macros.html").module
        self._templates: dict[str, Template] = {
            PurePath(name).stem: environment.get_template(name) for name in sources
        }

    def page(self, name: str, values: Mapping[str, object]) -> str:
        """Return a page."""
        return self._templates[name].render(values)

    def fragment(self, name: str, values: Mapping[str, object]) -> str:
        """Return the live blocks of a page, each in an element with its id."""
        template = self._templates[name]
        context = template.new_context(dict(values))
        blocks = {**self._templates["layout"].blocks, **template.blocks}
        return "".join(
            f'<div id="{block}">{"".join(blocks[block](context))}</div>'
            for block in LIVE
            if block in blocks
        )
