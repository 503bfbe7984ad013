"""What coordinator and workers send each other arrives as it was, on any system."""

import pickle
from pathlib import Path

import pytest

from bulkup.cluster.messages import PathMap
from bulkup.cluster.worker import RunPlugin
from bulkup.errors import BulkupError, FormatRefused, Outage, PhotoError, RunError, UsageError
from bulkup.errors import local as local_failures
from bulkup.events import Event, PhotoProgress, PhotoUploaded, Retrying
from bulkup.source.metadata import Labels, Template
from tests.support.team import invitation

PATH = Path("a.jpg")


@pytest.mark.parametrize(
    "error",
    [
        PhotoError(local_failures.UNREADABLE(reason="no")),
        RunError("it ends", hint="now"),
        Outage("away", retry_after_s=3.0),
        FormatRefused("no", endings=frozenset({"nef"})),
    ],
)
def test_an_error_arrives_with_all_that_it_says(error: BulkupError) -> None:
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301 (it is our own)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_labels_arrive_with_their_template() -> None:
    labels = Labels(title=Template("{folder} – {stem}", flag="--title"), tags=("a", "b"))
    arrived = pickle.loads(pickle.dumps(labels))  # noqa: S301 (it is our own)
    assert arrived.title.fill({"folder": "f", "stem": "s"}) == "f – s"
    assert arrived.tags == ("a", "b")


@pytest.mark.parametrize(
    "event",
    [
        PhotoProgress(path=PATH, sent=3),
        Retrying(path=PATH, reason="r", attempt=2, after_s=0.5),
        PhotoUploaded(path=PATH, size=1, md5="x", image_id=7, attempts=1, seconds=0.1),
    ],
)
def test_no_path_of_a_worker_is_sent(event: Event) -> None:
    plugin = RunPlugin(invitation())
    plugin._emit(event, order=1)
    assert b"pathlib" not in pickle.dumps(plugin._outbox)
    assert len(plugin._outbox) == 1


def test_of_the_progress_of_a_photo_only_the_last_is_sent_until_something_else_happens() -> None:
    plugin = RunPlugin(invitation())
    for sent in (1, 2):
        plugin._emit(PhotoProgress(path=PATH, sent=sent), order=1)
        plugin._emit(PhotoProgress(path=PATH, sent=10 * sent), order=2)
    plugin._emit(Retrying(path=PATH, reason="r", attempt=2, after_s=0.5), order=1)
    plugin._emit(PhotoProgress(path=PATH, sent=3), order=1)
    posted = [(order, getattr(event, "sent", None)) for _, order, event in plugin._outbox]
    assert posted == [(1, 2), (2, 20), (1, None), (1, 3)]


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/mnt/nas1/a/b.jpg", "/volume1/photos/a/b.jpg"),
        ("/mnt/nas1/deep/b.jpg", "/elsewhere/b.jpg"),
        ("/mnt/nas1/x/../deep/b.jpg", "/elsewhere/b.jpg"),
        ("/mnt/nas10/b.jpg", "/mnt/nas10/b.jpg"),
        ("/mnt/nas1/\udcff.jpg", "/volume1/photos/\udcff.jpg"),
    ],
)
def test_the_deepest_folder_that_is_mapped_counts(path: str, there: str) -> None:
    maps = PathMap(("/mnt/nas1=/volume1/photos", "/mnt/nas1/deep/=/elsewhere"))
    assert maps.there(Path(path)) == there


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert PathMap((f"{tmp_path}=/there",)).there(Path("a/b.jpg")) == "/there/a/b.jpg"


def test_a_worker_may_be_another_system() -> None:
    assert PathMap(("/mnt=D:\\photos",)).there(Path("/mnt/a/b.jpg")) == "D:\\photos\\a\\b.jpg"


@pytest.mark.parametrize("text", ["", "a", "=b", "a=", " = "])
def test_half_a_map_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        PathMap((text,))
