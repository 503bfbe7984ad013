"""Other formats of photos, such as a RAW: which a gallery takes, and which each photo has.

It knows the table of formats and the folder pwg_format, and must not know how files come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bulkup.sandbox.buffers import Content


@dataclass(slots=True)
class Row:
    """A row of the table; `content` None: it has outlived its file."""

    extension: str
    content: Content | None


class Formats:
    """The formats of a gallery's photos; `allowed` None: the owner has not switched them on.

    Before Piwigo 16 a format that comes again gets a second row, and takes the file's place.
    """

    def __init__(self, allowed: Sequence[str] | None, *, major: int) -> None:
        self.allowed = allowed
        self._doubles = major < 16
        self._rows: dict[int, list[Row]] = {}

    def of(self, photo_id: int) -> list[Row]:
        """Return the rows of a photo."""
        return self._rows.get(photo_id, [])

    def add(self, photo_id: int, extension: str, content: Content) -> str:
        """Keep a file as a format of a photo; what Piwigo calls that."""
        rows = self._rows.setdefault(photo_id, [])
        known = [row for row in rows if row.extension == extension]
        for row in known:
            row.content = content
        if not known or self._doubles:
            rows.append(Row(extension, content))
        return "update" if known else "add"

    async def lose_files(self, photo_id: int) -> None:
        """Delete the files, not the rows: so it is when a photo gets another file itself."""
        for row in self.of(photo_id):
            if row.content is not None:
                await row.content.remove()
            row.content = None

    def forget(self, photo_id: int) -> None:
        """Delete the rows of a photo that is deleted itself."""
        self._rows.pop(photo_id, None)
