from dataclasses import fields
from pathlib import Path

from bulkup.events import NAMES, SCHEMA
from docs.generate import event_table, events

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"


def test_the_reference_has_a_row_for_each_event_with_all_its_fields() -> None:
    rows = event_table().splitlines()[2:]
    for event, row in zip(events(), rows, strict=True):
        assert row.startswith(f"| `{NAMES[event]}` |")
        assert all(f"`{field.name}` " in row for field in fields(event))
        assert row.count(" | ") == 2


def test_the_reference_names_the_number_of_the_schema() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"the number of the schema (currently {SCHEMA})" in text


def test_each_event_has_a_name_of_its_own_and_no_field_one_of_the_lines_own() -> None:
    kinds = [NAMES[event] for event in events()]
    assert len(set(kinds)) == len(kinds)
    for event in events():
        assert not {field.name for field in fields(event)} & {"schema", "time", "event"}
