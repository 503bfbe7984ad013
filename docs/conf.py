"""Configuration of Sphinx: `make docs`."""

import re
import sys
from pathlib import Path

from pygments.lexers.shell import BashLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))

import bulkup
from docs import generate

project = "bulkup"
author = "the bulkup developers"
release = version = bulkup.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "attrs_inline"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "bulkup"
html_copy_source = False
default_role = "code"  # docstrings mark names with single backticks
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80


def insert_tables(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Replace the marks of generated tables in the text of a page."""
    source[0] = generate.insert(source[0])


def shorten(*arguments: object) -> tuple[str, str] | None:
    """Write `Event` in signatures instead of the union of all events."""
    signature, returned = arguments[-2:]
    if not isinstance(signature, str):  # a property has none
        return None
    union = " | ".join(f"~bulkup.events.{event.__name__}" for event in generate.events())
    return signature.replace(union, "Event"), str(returned or "")


def plain_text(*arguments: object) -> None:
    """Escape what reStructuredText would take for markup in a docstring, outside backticks."""
    lines = arguments[-1]
    if not isinstance(lines, list):
        return
    for number, line in enumerate(lines):
        parts = re.split(r"(`[^`]*`)", line)
        parts[::2] = [re.sub(r"([*|\\]|_\b)", r"\\\1", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def setup(app: Sphinx) -> None:
    """Connect the generator to the build."""
    app.add_lexer("crontab", BashLexer)
    app.connect("source-read", insert_tables)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-process-docstring", plain_text)
