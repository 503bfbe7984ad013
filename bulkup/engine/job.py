"""A file on its way through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bulkup.engine.ledger_port import Entry, Unarranged
from bulkup.source.photos import Photo


@dataclass(frozen=True, slots=True)
class Job:
    """A file on its way through the pipeline, with the MD5 of its content.

    `album` is the album it is meant for, 0 while unknown, and `further` are those besides it.
    `albums` are those that the ledger knows it to be in. `sent_as` is the photo id under which an
    earlier run sent it, if known. `fresh` means that the MD5 has just been computed, `done` that
    the ledger knows of nothing left to do, except for albums that are not among `albums`. `was` is
    the ledger's entry of another content that this path had, or of the format that the file is.
    `replaces` is the photo whose file this one replaces, keeping its privacy `level`. `format_of`
    is the photo that gets the file as another format. `compared`: `sent_as` is known to be stored
    with this content. `differs` is a photo of the same MD5, according to the gallery, whose stored
    file is another one. `written` is the metadata that was set when the file was sent.
    `unarranged` is what an earlier run has left to be arranged.
    """

    photo: Photo
    md5: str
    album: int = 0
    further: frozenset[int] = frozenset()
    albums: frozenset[int] = frozenset()
    sent_as: int | None = None
    fresh: bool = True
    done: bool = False
    was: Entry | None = None
    replaces: int | None = None
    level: int | None = None
    format_of: int | None = None
    compared: bool = False
    differs: int | None = None
    written: Mapping[str, str] = field(default_factory=dict, hash=False)
    unarranged: Unarranged = Unarranged.NOTHING

    @property
    def complete(self) -> bool:
        """Whether the file needs nothing more, according to the ledger."""
        return self.done and self.albums.issuperset(self.wanted)

    @property
    def wanted(self) -> tuple[int, ...]:
        """The albums that it is meant for."""
        return (self.album, *sorted(self.further - {self.album}))

    @property
    def all_albums(self) -> tuple[int, ...]:
        """The albums that the photo is in once it has been uploaded."""
        return tuple(sorted({self.album, *self.further, *self.albums} - {0}))
