"""What coordinator and workers tell each other, as plain data and back.

Knows events, errors and labels by their names, and no connection. What arrives can only become a
value of one of these types: nothing in it is code.
"""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from bulkup import errors
from bulkup.errors import BulkupError, FormatRefused, Transient
from bulkup.events import (
    ChunkSizeChanged,
    Event,
    Noticed,
    OutageBegan,
    OutageEnded,
    PhotoFinished,
    PhotoFinishing,
    PhotoProgress,
    PhotoStarted,
    PhotoUploaded,
    Retrying,
)
from bulkup.failures import Told
from bulkup.labels import Labels, Template
from bulkup.steps import PhotoArrived, PhotoHashing

Message = dict[str, Any]

EVENTS: Final = {
    kind.__name__: kind
    for kind in (
        *(PhotoStarted, PhotoProgress, PhotoFinishing, PhotoFinished, PhotoArrived),
        *(PhotoHashing, PhotoUploaded, Retrying),
        *(OutageBegan, OutageEnded, ChunkSizeChanged, Noticed),
    )
}
"""What can happen on a worker."""


def of_event(event: Event) -> Message | None:
    """Return an event but for its path, None if it is none that workers tell."""
    name = type(event).__name__
    if name not in EVENTS:
        return None
    told = {each.name: getattr(event, each.name) for each in fields(event)}
    return {"is": name} | {key: value for key, value in told.items() if key != "path"}


def read_event(message: Message, *, path: Path | None) -> Event:
    """Return the event that a message tells of the photo `path`. Raises `KeyError` if none."""
    kind = EVENTS[message["is"]]
    told: Message = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in message.items()
        if key != "is"
    }
    if any(each.name == "path" for each in fields(kind)):
        told["path"] = path
    return kind(**told)


def of_error(error: BulkupError) -> Message:
    """Return an error by the name of what it is to others."""
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    message: Message = {"is": kind.__name__, **asdict(error.told)}
    if isinstance(error, FormatRefused):
        message["endings"] = sorted(error.endings)
    if isinstance(error, Transient):
        message["retry_after_s"] = error.retry_after_s
    return message


def read_error(message: Message) -> BulkupError:
    """Return the error that a message tells."""
    kind = getattr(errors, str(message["is"]), BulkupError)
    if not (isinstance(kind, type) and issubclass(kind, BulkupError)):
        kind = BulkupError
    error = kind(Told(message["message"], message["hint"], message["code"]))
    if isinstance(error, FormatRefused):
        error.endings = frozenset(message["endings"])
    if isinstance(error, Transient):
        error.retry_after_s = message.get("retry_after_s")
    return error


def of_labels(labels: Labels) -> Message:
    """Return what photos get beside their bytes."""
    return asdict(labels) | {"title": labels.title and labels.title.text}


def read_labels(message: Message) -> Labels:
    """Return the labels that a message tells."""
    title = message["title"]
    told = {
        "title": None if title is None else Template(title, flag="--title"),
        "tags": tuple(message["tags"]),
    }
    return Labels(**(message | told))
