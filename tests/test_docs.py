"""The generated tables of the documentation, and the man page, against the code."""

import re
import shutil
from dataclasses import fields
from pathlib import Path

import anyio
import pytest

from bulkup.cli.common import Exit
from bulkup.events import Verdict
from bulkup.output.files import Row
from docs import generate

DOCS = Path(__file__).parents[1] / "docs"


def test_each_exit_code_has_its_meaning_in_the_man_page_and_the_reference() -> None:
    assert generate.EXIT_STATUS.keys() == set(Exit)
    page = (DOCS / "reference" / "exit-codes.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| (.+) \|$", page)
    assert rows == [(str(code), text) for code, text in generate.EXIT_STATUS.items()]


def test_every_mark_in_the_pages_names_a_table_and_is_replaced() -> None:
    pages = [path.read_text("utf-8") for path in (DOCS / "reference").glob("*.md")]
    marks = {mark for page in pages for mark in re.findall(generate.MARK, page)}
    assert marks == generate.TABLES.keys() - {"man"}
    for page in pages:
        inserted = generate.insert(page)
        assert "generated:" not in inserted
        assert "make docs" not in inserted


def test_the_reference_has_each_column_and_each_verdict_of_a_report() -> None:
    page = (DOCS / "reference" / "reports.md").read_text("utf-8")
    (table,) = re.findall(r"(?ms)^## Columns\n\n(.*)", page)
    columns = [name for row in table.splitlines()[2:] for name in row.split(" | ")[0].split(", ")]
    assert [name.strip("| `") for name in columns] == [field.name for field in fields(Row)]
    assert all(f"`{verdict.value}`" in table for verdict in Verdict)


def test_metrics_have_their_types_and_texts() -> None:
    rows = generate.metric_table().splitlines()[2:]
    assert any(row.startswith("| `bulkup_photos_total` | counter | ") for row in rows)
    assert any(row.startswith("| `bulkup_finish_seconds` | histogram | ") for row in rows)
    assert all(re.fullmatch(r"\| `bulkup_\w+` \| \w+ \| .*\. \|", row) for row in rows)


def test_the_api_begins_with_the_function_and_has_every_public_name() -> None:
    first, *others = re.findall(r"(?m)^\.\. auto(\w+):: bulkup\.(\w+)$", generate.api())
    assert first == ("function", "upload")
    assert ("class", "Account") in others


def test_each_module_says_what_it_is_for() -> None:
    modules = [path for path in generate.PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    rows = re.findall(r"(?m)^\| `\w+\.py` \| \S.+\. \|$", generate.module_table())
    assert len(rows) == len(modules)


def test_the_man_page_has_every_command_and_flag() -> None:
    text = generate.man_page().replace("\\-", "-")
    for command in generate.COMMANDS:
        assert f"\\fBbulkup {command}\\fR\n" in text
    for flag in generate.flags():
        for name in flag.names:
            assert f"\\fB{name}\\fR" in text


@pytest.mark.skipif(not shutil.which("groff"), reason="there is no groff: apt-get install groff")
async def test_groff_formats_the_man_page_without_a_warning() -> None:
    words = ["groff", "-k", "-man", "-ww", "-Tutf8"]
    done = await anyio.run_process(words, input=generate.man_page().encode())
    assert done.stderr.decode() == ""
    assert "EXIT STATUS" in re.sub(r"\x1b\[\d*m|.\x08", "", done.stdout.decode())
