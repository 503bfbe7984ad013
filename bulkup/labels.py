"""Pure: what the user wants every photo to be called, and what becomes of a photo's own metadata.

Knows flags' values and metadata, and neither files nor servers.
"""

import string
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from bulkup.errors import UsageError
from bulkup.metadata import Metadata, distinct, line, prose, stars

FIELDS: Final = ("stem", "name", "folder", "date", "year", "title")
FIELDS_TEXT: Final = ", ".join(f"{{{field}}}" for field in FIELDS)


class Template:
    """A text with fields in braces, such as `{folder} – {stem}`; braces themselves are doubled.

    Raises `UsageError` where it names a field that there is not.
    """

    def __init__(self, text: str, *, flag: str) -> None:
        self.text = text
        hint = f"Give text and any of {FIELDS_TEXT}; a brace itself is written {{{{ or }}}}."
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError:
            raise UsageError(f"{flag} “{text}”: the braces do not match", hint=hint) from None
        for _, field, form, conversion in parts:
            if field is not None and (field not in FIELDS or form or conversion):
                raise UsageError(f"{flag} knows no field {{{field}}}", hint=hint)
        self._parts = [(literal, field) for literal, field, _, _ in parts]

    def fill(self, values: dict[str, str]) -> str:
        """Return the text with these values of the fields."""
        return "".join(
            literal + (values[field] if field is not None else "")
            for literal, field in self._parts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What photos get beside their bytes; what is empty is left to sidecars and the photo itself.

    `sidecars` is whether files beside photos are read at all.
    """

    title: Template | None = None
    tags: tuple[str, ...] = ()
    author: str = ""
    comment: str = ""
    sidecars: bool = True
    rating_as_tag: bool = False
    people_as_tags: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is anything to give at all."""
        return bool(self.sidecars or self.title or self.tags or self.author or self.comment)

    def apply(self, told: Metadata, *, path: Path, modified: datetime) -> Metadata:
        """Return the metadata of a photo of which its sidecars tell this.

        `path` is absolute; `modified` stands in for a date that no sidecar tells.
        """
        more = [stars(told.rating)] if self.rating_as_tag else []
        if self.people_as_tags:
            more += told.people
        wanted = Metadata(
            title=line(self._title(told, path=path, modified=modified)),
            description=prose(self.comment),
            author=line(self.author),
            tags=tuple(line(tag) for tag in self.tags),
        )
        both = wanted.over(told)
        return replace(both, tags=distinct((*both.tags, *more)))

    def _title(self, told: Metadata, *, path: Path, modified: datetime) -> str:
        if self.title is None:
            return ""
        date = told.date.text[:10] if told.date else f"{modified:%Y-%m-%d}"
        return self.title.fill(
            {
                "stem": path.stem,
                "name": path.name,
                "folder": path.parent.name,
                "date": date,
                "year": date[:4],
                "title": told.title or path.stem,
            }
        )
