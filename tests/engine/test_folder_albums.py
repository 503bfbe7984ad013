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
    return tuple(folder_albums.name(step.spelled) for step in folder_albums.steps(photo))


def test_without_a_tree_every_photo_goes_to_the_album_itself() -> None:
    folder_albums = FolderAlbums(roots=[PHOTOS], base=9)
    assert names(folder_albums, PHOTOS / "a" / "b" / "c.jpg") == ()


def test_folders_become_albums_below_one_of_the_roots_name() -> None:
    assert names(tree(), PHOTOS / "2019" / "May" / "c.jpg") == ("photos", "2019", "May")
    assert names(tree(), PHOTOS / "c.jpg") == ("photos",)


def test_unwrapped_the_root_has_no_album_of_its_own() -> None:
    assert names(tree(unwrap=True), PHOTOS / "2019" / "c.jpg") == ("2019",)
    assert names(tree(unwrap=True), PHOTOS / "c.jpg") == ()


def test_what_lies_at_the_top_without_an_album_is_told() -> None:
    with pytest.raises(PhotoError, match="no folder that could be an album") as caught:
        names(tree(base=ROOT, unwrap=True), PHOTOS / "c.jpg")
    assert "--album" in caught.value.hint
    assert names(tree(base=ROOT, unwrap=True), PHOTOS / "2019" / "c.jpg") == ("2019",)


def test_a_photo_that_was_named_itself_goes_to_the_album() -> None:
    photo = PHOTOS / "2019" / "c.jpg"
    assert names(tree(photo), photo) == ()


def test_a_relative_root_has_the_name_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Holidays" / "day 1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "Holidays")
    assert names(tree(Path()), Path("day 1/c.jpg")) == ("Holidays", "day 1")
    assert names(tree(Path("..")), Path("../Holidays/c.jpg")) == (tmp_path.name, "Holidays")


def test_a_photo_from_a_list_has_the_folders_of_its_line() -> None:
    assert names(tree(), Path("2019/May/c.jpg")) == ("2019", "May")
    assert names(tree(), Path("../other/c.jpg")) == ("other",)
    assert names(tree(), Path("/mnt/card/c.jpg")) == ("mnt", "card")
    assert names(tree(), Path("c.jpg")) == ()


def test_each_step_is_the_folder_that_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = PHOTOS / "2019" / "May" / "c.jpg"
    folders = [PHOTOS, PHOTOS / "2019", PHOTOS / "2019" / "May"]
    assert [step.folder for step in tree().steps(photo)] == folders
    assert [step.folder for step in tree(unwrap=True).steps(photo)] == folders[1:]
    monkeypatch.chdir(tmp_path)
    (step,) = tree(Path()).steps(Path("c.jpg"))
    assert (step.folder, step.spelled) == (Path(), tmp_path.name)
    assert [step.folder for step in tree().steps(Path("../other/in/c.jpg"))] == [
        *(Path("../other"), Path("../other/in"))
    ]


def test_the_root_of_the_disk_has_no_name() -> None:
    assert names(tree(Path("/")), Path("/photos/c.jpg")) == ("photos",)


def test_names_keep_their_spelling_but_for_what_is_asked() -> None:
    photo = PHOTOS / "Été_à_la_<mer> & “co”" / "c.jpg"
    assert names(tree(unwrap=True), photo) == ("Été_à_la_<mer> & “co”",)
    assert names(tree(unwrap=True, spaces=True), photo) == ("Été à la <mer> & “co”",)
    assert names(tree(unwrap=True, spaces=True), PHOTOS / "__" / "c.jpg") == ("_",)


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
