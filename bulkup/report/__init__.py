"""Output, and nothing else: what a run tells through its events, for eyes, logs and programs.

Knows events, findings and errors only; neither engine, server nor ledger. A view of a run is
opened with `async with` and fed through `emit`. This package is the only place that knows rich.
"""

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console

from bulkup.history import GalleryHistory
from bulkup.report.checkup import CheckupReport
from bulkup.report.html import HtmlReport
from bulkup.report.jsonl import JsonReport
from bulkup.report.lines import LineWriter
from bulkup.report.live import LiveReport, suits_live
from bulkup.report.log import LogReport
from bulkup.report.past import failure_line, past, past_document
from bulkup.report.plain import PlainReport, say, write
from bulkup.report.quiet import QuietReport, SilentReport
from bulkup.report.state import RunState
from bulkup.report.summary import summary
from bulkup.report.table import CSV, JSONL, TableReport
from bulkup.report.text import printable
from bulkup.report.tree import Album, tree
from bulkup.report.views import Report, Screen, Views

__all__ = [
    "CSV",
    "JSONL",
    "CheckupReport",
    "Console",
    "HtmlReport",
    "JsonReport",
    "LineWriter",
    "LiveReport",
    "LogReport",
    "PlainReport",
    "QuietReport",
    "Report",
    "RunState",
    "Screen",
    "SilentReport",
    "TableReport",
    "Views",
    "console_for",
    "failure_line",
    "past_document",
    "print_past",
    "print_tree",
    "printable",
    "say",
    "suits_live",
    "summary",
]


def console_for(stream: TextIO) -> Console:
    """Return a console on the stream: colours on a terminal only, none under NO_COLOR."""
    return Console(file=stream, highlight=False, markup=False, emoji=False)


def print_past(galleries: Sequence[GalleryHistory], stream: TextIO, *, now: float) -> None:
    """Print what is known of past runs."""
    write(console_for(stream), *past(galleries, now=now))


def print_tree(albums: Sequence[Album], stream: TextIO) -> None:
    """Print the albums of a gallery."""
    write(console_for(stream), *tree(albums))
