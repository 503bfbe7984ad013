"""Which album a photo goes to by its place: names only."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.engine.albums import ROOT, FolderAlbums
from bulkup.errors import PhotoError

PHOTOS = Path("/archive/photos")


def tree(*roots: Path, base: int = 9, unwrap: bool = False, spaces: bool = False) -> FolderAlbums:
    return FolderAlbums(
        roots=roots or [PHOTOS], base=base, tree=True, unwrap=unwrap, spaces=spaces
    )


def names(folder_albums: FolderAlbums, photo: Path) -> tuple[str, ...]:
    """Return what the albums on the way to a photo's are called."""
    return tuple(folder_albums.name(step.spelled) for step in folder_albums.path_to(photo))


BARE = tree(unwrap=True)
SPACED = tree(unwrap=True, spaces=True)


@pytest.mark.parametrize(
    ("folder_albums", "photo", "expected"),
    [
        pytest.param(FolderAlbums(roots=[PHOTOS], base=9), PHOTOS / "a/c.jpg", (), id="no tree"),
        (tree(), PHOTOS / "2019/May/c.jpg", ("photos", "2019", "May")),
        (tree(), PHOTOS / "c.jpg", ("photos",)),
        (BARE, PHOTOS / "2019/c.jpg", ("2019",)),
        (BARE, PHOTOS / "c.jpg", ()),
        (tree(base=ROOT, unwrap=True), PHOTOS / "2019/c.jpg", ("2019",)),
        pytest.param(tree(PHOTOS / "a/c.jpg"), PHOTOS / "a/c.jpg", (), id="a photo is the root"),
        pytest.param(tree(Path("/")), Path("/a/c.jpg"), ("a",), id="the disk has no name"),
        # a photo from a list has the folders of its line
        (tree(), Path("2019/May/c.jpg"), ("2019", "May")),
        (tree(), Path("../other/c.jpg"), ("other",)),
        (tree(), Path("/mnt/card/c.jpg"), ("mnt", "card")),
        (tree(), Path("c.jpg"), ()),
        # names keep their spelling but for what is asked
        (BARE, PHOTOS / "Été_à_la_<mer> & “co”/c.jpg", ("Été_à_la_<mer> & “co”",)),
        (SPACED, PHOTOS / "Été_à_la_<mer> & “co”/c.jpg", ("Été à la <mer> & “co”",)),
        (SPACED, PHOTOS / "__/c.jpg", ("_",)),
    ],
)
def test_a_photo_goes_to_the_albums_of_its_folders(
    folder_albums: FolderAlbums, photo: Path, expected: tuple[str, ...]
) -> None:
    assert names(folder_albums, photo) == expected


def test_what_lies_at_the_top_without_an_album_is_reported() -> None:
    with pytest.raises(PhotoError, match="not in a folder that could become an album") as caught:
        names(tree(base=ROOT, unwrap=True), PHOTOS / "c.jpg")
    assert "--album" in caught.value.hint


def test_a_relative_root_has_the_name_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Holidays" / "day 1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "Holidays")
    assert names(tree(Path()), Path("day 1/c.jpg")) == ("Holidays", "day 1")
    assert names(tree(Path("..")), Path("../Holidays/c.jpg")) == (tmp_path.name, "Holidays")


def test_each_step_is_the_folder_that_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = PHOTOS / "2019" / "May" / "c.jpg"
    folders = [PHOTOS, PHOTOS / "2019", PHOTOS / "2019" / "May"]
    assert [step.folder for step in tree().path_to(photo)] == folders
    assert [step.folder for step in tree(unwrap=True).path_to(photo)] == folders[1:]
    monkeypatch.chdir(tmp_path)
    (step,) = tree(Path()).path_to(Path("c.jpg"))
    assert (step.folder, step.spelled) == (Path(), tmp_path.name)
    assert [step.folder for step in tree().path_to(Path("../other/in/c.jpg"))] == [
        *(Path("../other"), Path("../other/in"))
    ]


folder_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in {".", ".."})


@given(st.lists(folder_names, max_size=8), st.booleans(), st.booleans())
def test_every_folder_has_a_name_that_can_be_sent(
    folders: list[str], unwrap: bool, spaces: bool
) -> None:
    photo = PHOTOS.joinpath(*folders, "c.jpg")
    found = names(tree(unwrap=unwrap, spaces=spaces), photo)
    assert len(found) == len(folders) + (not unwrap)
    assert all(name.strip() and name.encode() for name in found)
