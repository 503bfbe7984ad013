"""The photos in an album: sets of ids, and which albums are kept in memory."""

from hypothesis import given
from hypothesis import strategies as st

from bulkup.engine.members import AlbumMembers, IdSet, MembersByAlbum


@given(st.lists(st.integers(0, 5000), max_size=30))
def test_a_set_of_ids_is_a_set(numbers: list[int]) -> None:
    ids = IdSet()
    for number in numbers:
        ids.add(number)
    assert list(ids) == sorted(set(numbers))
    assert [number for number in range(0, 6000, 7) if number in ids] == [
        number for number in range(0, 6000, 7) if number in numbers
    ]
    assert ids.least == min(numbers, default=None)
    assert ids.size <= 2 * 5000 // 8
    ids.add(2**31)  # planned, in an album of the gallery
    assert list(ids)[-1] == 2**31
    assert ids.size <= 4 * 5000 // 8


async def test_the_members_of_few_or_of_many_albums_are_kept() -> None:
    listed = []

    async def list_album(album: int) -> AlbumMembers:
        listed.append(album)
        members = AlbumMembers()
        members.photos.add(8000)
        return members

    kept = MembersByAlbum(list_album, size=3 * 1500)
    for album in (1, 2, 3, 1, 2, 3, 4, 1):
        assert 8000 in (await kept.of(album)).photos
    assert listed == [1, 2, 3, 4, 1]
