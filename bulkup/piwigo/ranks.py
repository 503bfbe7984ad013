"""Ranks the photos of albums by as few requests as `pwg.images.setRank` allows.

A list of photos is ranked from 1 on, and answered by all photos of the album in the order of their
ranks; the ranks themselves are never told. A single photo gets any rank: those from there on move
up by one (source of Piwigo 13.8 and 16.4).
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from bulkup.piwigo.protocol import Fields, number

Question = Callable[[str, Fields], Awaitable[object]]
"""Sends the fields to a method, and returns its result."""

METHOD: Final = "pwg.images.setRank"

MOST_RANKED: Final = 900
"""Photos that one request can rank: PHP takes 1,000 values by default (`max_input_vars`)."""

MOST_TRIES: Final = 4
"""How often photos are moved by what is known of the ranks, until each one is ranked anew."""


async def rank_photos(
    photo_ids: Sequence[int], *, album: int, present: Sequence[int], ask: Question
) -> None:
    """Rank the photos of an album in this order. May be repeated.

    One request ranks the first of them, each other photo that is out of place takes one of its
    own. `present` is the present order, empty if unknown.
    """
    if len(photo_ids) < 2:
        return
    first = photo_ids[:MOST_RANKED]
    listed = (*(("image_id[]", str(photo)) for photo in first), ("category_id", str(album)))
    ranked = _ranked(await ask(METHOD, listed))
    if len(photo_ids) == len(first):
        return
    # a photo that was among the first until now may have the rank of another one
    doubtful = present[: MOST_RANKED + 1] != photo_ids[: MOST_RANKED + 1]
    known: Mapping[int, int] = {}
    for _ in range(MOST_TRIES):
        if not doubtful and _is_sorted(ranked, photo_ids):
            return
        moves = Moves(photo_ids, ranked, known=known, doubtful=doubtful)
        for photo, rank in moves:
            moves.moved[photo] = await _rank(photo, rank, album=album, ask=ask)
        known, doubtful = moves.moved, False
        ranked = _ranked(await ask(METHOD, listed))
    if not _is_sorted(ranked, photo_ids):
        for rank, photo in enumerate(photo_ids[MOST_RANKED:], start=MOST_RANKED + 1):
            await _rank(photo, rank, album=album, ask=ask)


class Moves:
    """The photos after the first ones that have to be moved, each with its new rank.

    The ranks of the others are their places, except for gaps that deleted and moved photos have
    left. These show by photos whose rank is `known`, which the next try has: those `moved`, to
    which the caller adds each one before it goes on. A `doubtful` first one is moved in any case.
    """

    def __init__(
        self,
        photo_ids: Sequence[int],
        ranked: Sequence[int],
        *,
        known: Mapping[int, int],
        doubtful: bool,
    ) -> None:
        self.moved: dict[int, int] = {}
        self._photo_ids = photo_ids
        first = set(photo_ids[:MOST_RANKED])
        there = [place for place, photo in enumerate(ranked, start=1) if photo in first]
        end = there[-1] if there else 0
        gap = len(there) - end  # the others up to here have ranks of the first ones, too
        self._ranks: dict[int, int] = {}
        for place, photo in enumerate(ranked[end:], start=end + 1):
            gap = known[photo] - place if photo in known else gap
            self._ranks[photo] = place + gap
        places = {photo: place for place, photo in enumerate(photo_ids)}
        kept = _longest_sorted([places[photo] for photo in self._ranks if photo in places])
        self._kept = {photo_ids[place] for place in kept}
        if doubtful:
            self._kept.discard(photo_ids[MOST_RANKED])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        last = MOST_RANKED
        for photo in self._photo_ids[MOST_RANKED:]:
            if photo in self._kept:
                last = max(last + 1, self._ranks[photo] + len(self.moved))
            else:
                yield photo, last + 1
                last = self.moved[photo]


async def _rank(photo: int, rank: int, *, album: int, ask: Question) -> int:
    """Rank a single photo, and return its rank, which is at most one more than all others."""
    fields: Fields = (
        ("image_id", str(photo)),
        ("category_id", str(album)),
        ("rank", str(rank)),
    )
    match await ask(METHOD, fields):
        case {"rank": given}:
            return number(given) or rank
    return rank


def _ranked(answer: object) -> list[int]:
    """Return the photos of an album in the order of their ranks, from the answer to a list."""
    match answer:
        case {"image_id": list(ids)}:
            return [number(photo) for photo in ids]
    return []


def _is_sorted(ranked: Sequence[int], photo_ids: Sequence[int]) -> bool:
    """Return whether photos are ranked in an order, apart from those that are only in one."""
    both = set(ranked).intersection(photo_ids)
    return _of(ranked, both) == _of(photo_ids, both)


def _of(photo_ids: Sequence[int], chosen: Collection[int]) -> list[int]:
    return [photo for photo in photo_ids if photo in chosen]


def _longest_sorted(numbers: Sequence[int]) -> list[int]:
    """Return the longest part of different numbers that increase."""
    ends: list[int] = []  # by length: the least number that ends such a part
    indexes: list[int] = []
    before: list[int] = []
    for index, value in enumerate(numbers):
        length = bisect_left(ends, value)
        ends[length : length + 1] = [value]
        indexes[length : length + 1] = [index]
        before.append(indexes[length - 1] if length else -1)
    part: list[int] = []
    index = indexes[-1] if indexes else -1
    while index >= 0:
        part.append(numbers[index])
        index = before[index]
    return part[::-1]
