from dataclasses import fields

from bulkup.events import NAMES, SCHEMA
from tests.support.event_table import README, events, in_readme, table


def test_the_readme_tells_of_every_event_as_the_code_has_it() -> None:
    assert in_readme() == table(), "python -m tests.support.event_table renews it"


def test_the_readme_names_the_number_of_the_schema() -> None:
    assert f"schema number, {SCHEMA} at present" in " ".join(
        README.read_text(encoding="utf-8").split()
    )


def test_each_event_has_a_name_of_its_own_and_no_field_one_of_the_lines_own() -> None:
    kinds = [NAMES[event] for event in events()]
    assert len(set(kinds)) == len(kinds)
    for event in events():
        assert not {field.name for field in fields(event)} & {"schema", "time", "event"}
