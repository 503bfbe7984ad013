"""Tells of a photo what it is to get beside its bytes: what its sidecars say and the user wants.

Knows where the parts come from, and no server. What can't be read is said once and left out.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from anyio import to_thread

from bulkup.events import Emit, Event, Noticed, RunFinished
from bulkup.labels import Labels
from bulkup.metadata import Metadata
from bulkup.photos import Photo
from bulkup.sidecars import Complaint, Sidecars, may_hold_keywords


class Describer:
    """Describes the photos of one run, for users who live in a time `zone`, by default this one.

    `folder` tells where one's folder has another name here.
    """

    def __init__(
        self,
        labels: Labels,
        *,
        emit: Emit,
        folder: Callable[[Path], str | None] = lambda _: None,
        zone: tzinfo | None = None,
    ) -> None:
        self._labels = labels
        self._folder = folder
        self._zone = zone
        self._emit = emit
        self._sidecars = Sidecars(zone=zone) if labels.sidecars else None
        self._said: set[Path] = set()

    async def __call__(self, photo: Photo) -> Metadata:
        """Return what the photo is to get. What could not be used is told in a notice."""
        metadata, complaints = await to_thread.run_sync(self._describe, photo)
        for complaint in complaints:
            if complaint.path not in self._said:
                self._said.add(complaint.path)
                self._emit(
                    Noticed(
                        message=f"{complaint.path} is left out: {complaint.reason}",
                        hint="Its photo is brought without what it says.",
                    )
                )
        return metadata

    def _describe(self, photo: Photo) -> tuple[Metadata, list[Complaint]]:
        told, complaints = Metadata(), list[Complaint]()
        if self._sidecars is not None:
            told, complaints = self._sidecars.read(photo.path)
        path = photo.path.absolute()
        if (folder := self._folder(photo.path)) is not None:
            path = Path(folder, path.name)
        metadata = self._labels.apply(
            told,
            path=path,
            modified=datetime.fromtimestamp(photo.mtime_ns // 10**9, UTC).astimezone(self._zone),
        )
        if metadata.tags and may_hold_keywords(photo.path):
            metadata = replace(metadata, own_tags=True)
        return metadata, complaints


def with_remarks(emit: Emit, remarks: Callable[[], Iterable[tuple[str, str]]]) -> Emit:
    """Return an emit that tells, as notices at the end of a run, what there is to remark then.

    A remark is a message and a hint.
    """

    def emit_last(event: Event) -> None:
        if isinstance(event, RunFinished):
            for message, hint in remarks():
                emit(Noticed(message=message, hint=hint))
        emit(event)

    return emit_last
