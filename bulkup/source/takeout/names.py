"""File names in a Google Takeout: which JSON file belongs to which photo of a folder."""

import os
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from bulkup.source.files import SIDECARS

SUFFIX: Final = ".supplemental-metadata"
LONGEST: Final = 46
"""Maximum length of a JSON file's name without `.json` and number; Takeout cuts off the rest."""

CUTS: Final = (LONGEST, 51)
COMMON: Final = 20
"""Characters that no JSON file's name lacks of a longer photo's name, however it was cut."""

CUT_STEM: Final = 47
"""Length that Takeout cuts a photo's own name to, without number and extension."""

EDITED: Final = (
    *("-edited", "-effects", "-smile", "-mix"),
    *("-bearbeitet", "-bewerkt", "-edytowane", "-modificato", "-modifié", "-editado"),
    *("-ha editado", "-editat", "-redigeret", "-redigert", "-redigerad", "-muokattu"),
    *("-upravené", "-upraveno", "-отредактировано", "-відредаговано", "-编辑", "-編集済み"),
    "-편집됨",
)
"""Suffixes that Takeout adds to the names of edited photos, by language."""

STILLS: Final = (".heic", ".heif", ".jpg", ".jpeg")
VIDEO: Final = re.compile(r"\.(mp4|mov|m4v|3gp|mp(~\d+)?)", re.IGNORECASE)
"""Endings of the videos of live photos."""

JSON: Final = ".json"
ENDINGS: Final = tuple(SIDECARS)
NUMBER: Final = re.compile(r"(?P<stem>.+)(?P<number>\(\d{1,6}\))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a photo's name may have come about: the original file's name, and a number.

    `name` has no number; `edited` if the photo is an edited version of that file.
    """

    name: str
    number: str = ""
    edited: bool = False

    @property
    def file(self) -> str:
        """The name of the original file in the folder."""
        stem, ending = _split(self.name)
        return f"{stem}{self.number}{ending}"


def readings(photo: str) -> Iterator[Reading]:
    """Yield the readings of a photo's name, the most likely first."""
    stem, ending = _split(photo)
    match = NUMBER.fullmatch(stem)
    bare, number = (match["stem"], match["number"]) if match else (stem, "")
    both = [Reading(photo), *([Reading(f"{bare}{ending}", number)] if number else ())]
    # where the name is cut before the number, another photo's file may have the name without it
    yield from reversed(both) if _length(stem) > LONGEST else both
    if "-" not in bare:
        return
    for word in _edited_words(bare):
        for edited, left in ((stem, ""), (bare, number)):
            if len(edited) > len(word) and edited.lower().endswith(word):
                original = edited[: -len(word)]
                yield Reading(f"{original}{ending}", left, edited=True)
                if not left and (match := NUMBER.fullmatch(original)):
                    yield Reading(f"{match['stem']}{ending}", match["number"], edited=True)


def _edited_words(stem: str) -> Iterator[str]:
    """Yield the suffixes of edited photos; where Takeout cut the name, also the rest of one."""
    yield from EDITED
    dash = stem.rfind("-")
    if 0 < dash < len(stem) - 1 and _length(stem) >= CUT_STEM:
        left = stem[dash:].lower()
        if any(word.startswith(left) for word in EDITED):
            yield left


def _likely(reading: Reading) -> Iterator[str]:
    """Yield the possible names of the JSON file for a reading, the most likely first.

    The file of `IMG_1(2).jpg` is `IMG_1.jpg(2).json`.
    """
    return (f"{stem}{reading.number}{JSON}" for stem in _stems(reading.name))


def _unlikely(reading: Reading) -> Iterator[str]:
    """Yield names that fit less well, for photos that have no other JSON file."""
    stem, ending = _split(reading.name)
    if ending:  # the title in Google Photos has no extension, so the JSON file has none
        yield from (f"{each}{reading.number}{JSON}" for each in _stems(stem))


def _stems(name: str) -> Iterator[str]:
    """Yield the names of a JSON file, cut off within the suffix or within the photo's own name.

    They are cut after `LONGEST` characters, but some exports count characters differently.
    """
    yield _cut(name + SUFFIX, LONGEST)
    yield name
    if len(name) > LONGEST or not name.isascii():
        for length in CUTS:
            yield name[:length]
            yield _cut(name, length)
    for length in range(len(SUFFIX), 0, -1):
        yield name + SUFFIX[:length]


def _cut(text: str, length: int) -> str:
    """Return the beginning of a text, with its length in UTF-16 code units, as Google counts."""
    if text.isascii():
        return text[:length]
    return text.encode("utf-16-le", "surrogatepass")[: 2 * length].decode("utf-16-le", "ignore")


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _split(name: str) -> tuple[str, str]:
    """Return stem and extension of a name."""
    return os.path.splitext(name)  # noqa: PTH122 (a name, not a path)


def _by_stem(files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the extensions of the files that are no sidecars, by their stems in NFC."""
    found: dict[str, tuple[str, ...]] = {}
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name in sorted(files):
        if not name.lower().endswith(ENDINGS):
            stem, ending = _split(unicodedata.normalize("NFC", name))
            endings = (*found.get(stem, ()), ending)
            found[stem] = shared.setdefault(endings, endings)
    return found


class Tie(Enum):
    """How a photo belongs to a JSON file."""

    OWN = "own"
    EDITED = "edited"  # it is that of the original
    LIVE = "live"  # it is that of the photo whose video this is


class FolderNames:
    """The names of the files in one folder.

    `files` says where each of them lies. `sidecars` are the paths of the sidecars by their names
    in NFC with a lower-case ending.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.sidecars: dict[str, Path] = {}
        for name in sorted(name for name in files if name.lower().endswith(ENDINGS)):
            stem, ending = _split(unicodedata.normalize("NFC", name))
            self.sidecars.setdefault(stem + ending.lower(), files[name] / name)
        self.jsons = sorted(name for name in self.sidecars if name.endswith(JSON))
        self._photos = _by_stem(files) if self.jsons else {}
        self._claimed: set[str] | None = None

    def json_of(self, photo: str) -> tuple[str, Tie] | None:
        """Return the name of a photo's JSON file and how it belongs to it, None if it has none."""
        if not self.jsons:
            return None
        photo = unicodedata.normalize("NFC", photo)
        possible = [reading for reading in readings(photo) if self._has_json_like(reading)]
        if found := self._first(possible, _likely):
            return found
        if (still := self.still_of(photo)) and (found := self.json_of(still)):
            return found[0], Tie.LIVE
        if (original := self._original_of(photo)) and (found := self.json_of(original)):
            return found[0], Tie.EDITED
        return self._first(possible, _unlikely)

    def _has_json_like(self, reading: Reading) -> bool:
        """Return whether a JSON file begins like a photo's name, which few others do."""
        beginning = _split(reading.name)[0][:COMMON]
        index = bisect_left(self.jsons, beginning)
        return index < len(self.jsons) and self.jsons[index].startswith(beginning)

    def _first(
        self, possible: Sequence[Reading], names: Callable[[Reading], Iterator[str]]
    ) -> tuple[str, Tie] | None:
        for reading in possible:
            for name in names(reading):
                if name in self.sidecars:
                    return name, Tie.EDITED if reading.edited else Tie.OWN
        return None

    def still_of(self, video: str) -> str | None:
        """Return the photo in the folder whose video a file may be, None if there is none.

        The video of `IMG_1.HEIC` is `IMG_1.MP4` or `IMG_1.MOV`, that of `PXL_1.MP.jpg` is
        `PXL_1.MP`.
        """
        stem, ending = _split(video)
        stems = (stem, video) if VIDEO.fullmatch(ending) else () if ending else (video,)
        for each in stems:
            for other in self._photos.get(each, ()):
                if other.lower() in STILLS:
                    return each + other
        return None

    def original_of(self, photo: str) -> str | None:
        """Return the file in the folder that a photo is an edited version of, if it is one."""
        photo = unicodedata.normalize("NFC", photo)
        found = self.json_of(photo)
        return self._original_of(photo) if found is None or found[1] is Tie.EDITED else None

    def _original_of(self, photo: str) -> str | None:
        for reading in readings(photo):
            if reading.edited:
                stem, ending = _split(reading.file)
                others = self._photos.get(stem, ())
                if ending in others:
                    return reading.file
                for other in others:
                    if not VIDEO.fullmatch(other):
                        return stem + other
        return None

    def edited_of(self, photo: str) -> list[str]:
        """Return the edited versions of a file in the folder."""
        photo = unicodedata.normalize("NFC", photo)
        stem, _ = _split(photo)
        match = NUMBER.fullmatch(stem)
        bare, number = (match["stem"], match["number"]) if match else (stem, "")
        stems = dict.fromkeys(
            name
            for word in EDITED
            for name in (f"{stem}{word}", f"{_cut(bare + word, CUT_STEM)}{number}")
        )
        found = [stem + ending for stem in stems for ending in self._photos.get(stem, ())]
        return [name for name in found if self.original_of(name) == photo]

    def lacks_photo(self, json: str) -> bool:
        """Return whether no photo in the folder has this JSON file, going by the names."""
        name, _ = _split(unicodedata.normalize("NFC", json))
        match = NUMBER.fullmatch(name)
        bare, number = (match["stem"], match["number"]) if match else (name, "")
        before, _, last = bare.rpartition(".")
        for title in (before, bare) if SUFFIX.startswith(f".{last}") else (bare,):
            if self._has(Reading(title, number).file) or self._has(f"{title}{number}"):
                return False
        if self._claimed is None:
            found = (
                self.json_of(stem + end) for stem, ends in self._photos.items() for end in ends
            )
            self._claimed = {each[0] for each in found if each}
        return f"{name}{JSON}" not in self._claimed

    def _has(self, photo: str) -> bool:
        stem, ending = _split(photo)
        return ending in self._photos.get(stem, ())
