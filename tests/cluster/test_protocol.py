"""What coordinator and workers tell each other comes over as it was, and as nothing else."""

import json
from pathlib import Path

import pytest

from bulkup.cluster.protocol import (
    Message,
    of_error,
    of_event,
    of_labels,
    read_error,
    read_event,
    read_labels,
)
from bulkup.errors import AnswerLost, BulkupError, FormatRefused, Outage, PhotoError, RunError
from bulkup.errors import local as local_failures
from bulkup.events import Event, FileFound, Noticed, PhotoProgress, PhotoUploaded, Retrying
from bulkup.source.metadata import Labels, Template

PATH = Path("a.jpg")


def over(message: Message) -> Message:
    """Return a message as it arrives."""
    arrived: Message = json.loads(json.dumps(message))
    return arrived


class Hidden(AnswerLost):
    """An error that nobody else knows."""


@pytest.mark.parametrize(
    "event",
    [
        PhotoProgress(path=PATH, sent=3),
        Noticed(message="a", hint="b"),
        Retrying(path=PATH, reason="r", attempt=2, after_s=0.5),
        PhotoUploaded(
            path=PATH, size=1, md5="x", image_id=7, attempts=1, seconds=0.1, albums=(1, 2)
        ),
    ],
)
def test_an_event_comes_over_with_the_path_that_it_has_here(event: Event) -> None:
    message = of_event(event)
    assert message is not None
    assert "path" not in message
    assert read_event(over(message), path=PATH) == event


def test_what_only_the_coordinator_can_tell_is_not_told_by_workers() -> None:
    assert of_event(FileFound(path=PATH, size=1)) is None
    with pytest.raises(KeyError):
        read_event({"is": "FileFound", "size": 1}, path=PATH)


@pytest.mark.parametrize(
    "error",
    [
        PhotoError(local_failures.UNREADABLE(reason="no")),
        RunError("it ends", hint="now"),
        Outage("away", retry_after_s=3.0),
        FormatRefused("no", endings=frozenset({"nef"})),
    ],
)
def test_an_error_comes_over_with_all_that_it_says(error: BulkupError) -> None:
    arrived = read_error(over(of_error(error)))
    assert type(arrived) is type(error)
    assert arrived.failure == error.failure
    assert {**vars(arrived)} == {**vars(error)}


def test_an_error_that_nobody_knows_comes_over_as_what_it_is_to_others() -> None:
    assert type(read_error(over(of_error(Hidden("gone"))))) is AnswerLost


def test_only_errors_can_be_named() -> None:
    for name in ("Told", "ClassVar", "__name__", "nothing"):
        told = {"is": name, "message": "m", "hint": "", "code": ""}
        assert type(read_error(told)) is BulkupError


def test_labels_come_over_with_their_template() -> None:
    labels = Labels(
        title=Template("{folder} – {stem}", flag="--title"), tags=("a", "b"), author="me"
    )
    arrived = read_labels(over(of_labels(labels)))
    assert arrived.title is not None
    assert arrived.title.fill({"folder": "f", "stem": "s"}) == "f – s"
    assert (arrived.tags, arrived.author, arrived.sidecars) == (("a", "b"), "me", True)
    assert read_labels(over(of_labels(Labels()))) == Labels()
