"""What coordinator and workers send each other arrives as it was, on any system."""

import pickle
from pathlib import Path
from unittest import mock

import pytest

from bulkup.cluster.messages import PathMap
from bulkup.cluster.worker import RunPlugin
from bulkup.errors import BulkupError, FormatRefused, Outage, PhotoError, RunError, UsageError
from bulkup.errors import local as local_failures
from bulkup.events import PhotoProgress, PhotoUploaded, Retrying
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


def test_no_path_is_sent_and_of_a_photos_progress_the_last_until_something_else_happens() -> None:
    plugin = RunPlugin(invitation())
    for sent in (1, 2):
        plugin._emit(PhotoProgress(path=PATH, sent=sent), order=1)
        plugin._emit(PhotoProgress(path=PATH, sent=10 * sent), order=2)
    plugin._emit(Retrying(path=PATH, reason="r", attempt=2, after_s=0.5), order=1)
    plugin._emit(PhotoProgress(path=PATH, sent=3), order=1)
    plugin._worker = mock.Mock()
    plugin._flush()
    message = plugin._worker.log_event.call_args.args[1]
    _, items = pickle.loads(message)  # noqa: S301 (it is our own)
    posted = [(order, getattr(event, "sent", None)) for _, order, event in items]
    assert posted == [(1, None), (2, 20), (1, 3)]
    plugin._emit(PhotoProgress(path=PATH, sent=4), order=1)
    uploaded = PhotoUploaded(path=PATH, size=1, md5="x", image_id=7, attempts=1, seconds=0.1)
    plugin._emit(uploaded, order=1)
    plugin._flush()
    message = plugin._worker.log_event.call_args.args[1]
    assert len(pickle.loads(message)[1]) == 1  # noqa: S301 (it is our own)
    assert b"pathlib" not in message


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/mnt/nas1/a/b.jpg", "/volume1/photos/a/b.jpg"),
        ("/mnt/nas1/deep/b.jpg", "/elsewhere/b.jpg"),
        ("/mnt/nas1/x/../deep/b.jpg", "/elsewhere/b.jpg"),
        ("/mnt/nas10/b.jpg", "/mnt/nas10/b.jpg"),
        ("/mnt/nas1/\udcff.jpg", "/volume1/photos/\udcff.jpg"),
        ("/win/a/b.jpg", "D:\\photos\\a\\b.jpg"),
        ("/a/b.jpg", "/a/b.jpg"),
        ("a/b.jpg", "/here/a/b.jpg"),
    ],
)
def test_the_deepest_folder_that_is_mapped_counts_also_for_a_relative_path_or_another_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, there: str
) -> None:
    monkeypatch.chdir(tmp_path)
    nas = ("/mnt/nas1=/volume1/photos", "/mnt/nas1/deep/=/elsewhere")
    maps = PathMap((*nas, "/win=D:\\photos", f"{tmp_path}=/here"))
    assert maps.there(Path(path)) == there


@pytest.mark.parametrize("text", ["", "a", "=b", "a=", " = "])
def test_half_a_map_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        PathMap((text,))
