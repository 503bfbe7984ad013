"""The walk: what it finds, what it leaves out, and where it begins."""

import os
import tempfile
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import UsageError
from bulkup.events import SkipReason
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Skipped, Unreadable, check_roots, scan
from tests.source.test_photos import photo_at, put


def walk(*roots: Path, endings: Collection[str] | None = None) -> list[Found]:
    return list(scan(roots, endings=endings))


def photos(root: Path, endings: Collection[str] | None = None) -> list[str]:
    found = walk(root, endings=endings)
    return [str(f.path.relative_to(root)) for f in found if isinstance(f, Photo)]


# the walk


def test_the_walk_goes_depth_first_in_name_order(tmp_path: Path) -> None:
    for name in ["c.jpg", "b/2.jpg", "a.jpg", "b/1/x.jpg", "b/10.jpg", "B.jpg"]:
        put(tmp_path / name)
    assert photos(tmp_path) == ["B.jpg", "a.jpg", "b/1/x.jpg", "b/10.jpg", "b/2.jpg", "c.jpg"]


def test_roots_are_walked_in_the_order_given(tmp_path: Path) -> None:
    second, first = put(tmp_path / "a/1.jpg"), put(tmp_path / "b/1.jpg")
    assert [f.path for f in walk(first.parent, second.parent)] == [first, second]


def test_a_photo_knows_its_size_and_time(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jpg", b"12345")
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    assert walk(tmp_path) == [Photo(path, 5, path.stat().st_mtime_ns)]


def test_an_empty_folder_yields_nothing(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert walk(tmp_path) == []


def test_a_later_folder_is_listed_only_when_the_walk_gets_there(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    (tmp_path / "b").mkdir()
    found = scan([tmp_path], endings=None)
    next(found)
    late = put(tmp_path / "b" / "late.jpg")
    assert [f.path for f in found] == [late]


def test_a_single_file_may_be_a_root(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jpg", b"abc")
    put(tmp_path / "b.jpg")
    assert [f.path for f in walk(path)] == [path]


def test_a_single_file_of_another_type_is_skipped(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", b"abc")
    assert walk(path, endings={"jpg"}) == [Skipped(path, 3, SkipReason.TYPE)]


def test_the_type_filter_does_not_mind_case(tmp_path: Path) -> None:
    for name in ["a.JPG", "b.jPg", "c.jpg", "d.txt", "jpg", "e.jpg.exe", "f."]:
        put(tmp_path / name)
    assert photos(tmp_path, {"jpg"}) == ["a.JPG", "b.jPg", "c.jpg"]


def test_what_has_another_type_is_skipped_with_its_size(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", b"1234")
    assert walk(tmp_path, endings={"jpg"}) == [Skipped(path, 4, SkipReason.TYPE)]


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.XMP", "a.jpg.json", "metadata.json"])
@pytest.mark.parametrize("endings", [{"jpg"}, {"jpg", "xmp", "json"}, None])
def test_what_tells_of_photos_is_no_photo(
    tmp_path: Path, name: str, endings: set[str] | None
) -> None:
    path = put(tmp_path / name, b"1234")
    assert walk(tmp_path, endings=endings) == [Skipped(path, 4, SkipReason.SIDECAR)]


def test_without_endings_every_file_is_a_photo(tmp_path: Path) -> None:
    put(tmp_path / "a.txt")
    assert photos(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("name", [".DS_Store", "._IMG_1.jpg", "Thumbs.db", "DESKTOP.INI"])
def test_junk_is_skipped(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name)
    assert walk(tmp_path) == [Skipped(path, 0, SkipReason.JUNK)]


@pytest.mark.parametrize("name", [".thumbnails", "@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX"])
def test_a_junk_folder_is_skipped_as_one(tmp_path: Path, name: str) -> None:
    put(tmp_path / name / "a.jpg")
    put(tmp_path / name / "b/c.jpg")
    assert walk(tmp_path) == [Skipped(tmp_path / name, 0, SkipReason.JUNK)]


def test_a_root_is_walked_even_if_its_name_is_junk(tmp_path: Path) -> None:
    path = put(tmp_path / ".private" / "a.jpg")
    assert [f.path for f in walk(path.parent)] == [path]


@pytest.mark.parametrize("target", ["real.jpg", "folder", "nowhere"])
def test_a_symbolic_link_is_skipped(tmp_path: Path, target: str) -> None:
    put(tmp_path / "outside" / "real.jpg")
    put(tmp_path / "outside" / "folder/x.jpg")
    (tmp_path / "in").mkdir()
    link = tmp_path / "in" / "link.jpg"
    link.symlink_to(tmp_path / "outside" / target)
    assert walk(tmp_path / "in") == [Skipped(link, 0, SkipReason.SYMLINK)]


def test_links_in_a_loop_end_the_walk_nevertheless(tmp_path: Path) -> None:
    put(tmp_path / "a/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    assert photos(tmp_path) == ["a/1.jpg"]


def test_a_root_may_be_a_link_to_a_folder(tmp_path: Path) -> None:
    put(tmp_path / "real/1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert photos(tmp_path / "link") == ["1.jpg"]


def test_a_root_may_be_a_link_to_a_photo(tmp_path: Path) -> None:
    put(tmp_path / "real.jpg", b"123")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.jpg")
    assert walk(tmp_path / "link.jpg") == [photo_at(tmp_path / "link.jpg")]


def test_a_pipe_is_skipped_as_special(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert walk(tmp_path) == [Skipped(tmp_path / "a.jpg", 0, SkipReason.SPECIAL)]


def test_what_vanishes_under_the_walk_is_named_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    for name in ["b", "c"]:
        put(tmp_path / name / "x.jpg")
    found = scan([tmp_path], endings=None)
    next(found)
    (tmp_path / "b" / "x.jpg").unlink()
    (tmp_path / "b").rmdir()
    assert next(found) == Unreadable(tmp_path / "b", "No such file or directory")
    assert [f.path for f in found] == [tmp_path / "c" / "x.jpg"]


def test_a_root_that_vanishes_is_named_with_the_reason(tmp_path: Path) -> None:
    assert walk(tmp_path / "gone") == [Unreadable(tmp_path / "gone", "No such file or directory")]


def test_a_path_too_long_for_the_system_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=folder)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = deeper
    os.close(folder)
    put(tmp_path / "z.jpg")
    *_, unreadable, last = walk(tmp_path)
    assert isinstance(unreadable, Unreadable)
    assert unreadable.reason == "File name too long"
    assert last.path == tmp_path / "z.jpg"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_without_permission_is_named_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path / "a/1.jpg")
    put(tmp_path / "b.jpg")
    (tmp_path / "a").chmod(0)
    try:
        found = walk(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o700)
    assert found[0] == Unreadable(tmp_path / "a", "Permission denied")
    assert found[1].path == tmp_path / "b.jpg"


def test_names_that_are_not_utf8_are_found_and_read(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.jpg")
    try:
        put(tmp_path / name, b"abc")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert photos(tmp_path, {"jpg"}) == [name]


# the roots


def test_a_root_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nosuch: No such file or directory"):
        check_roots([tmp_path, tmp_path / "nosuch"])


def test_a_root_whose_name_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError, match="File name too long"):
        check_roots([Path("x" * 5000)])


def test_a_root_inside_another_is_left_out(tmp_path: Path) -> None:
    inner = put(tmp_path / "a/b/1.jpg")
    assert check_roots([inner, tmp_path / "a/b", tmp_path / "a"]) == [tmp_path / "a"]


def test_roots_that_only_begin_alike_both_stay(tmp_path: Path) -> None:
    roots = [put(tmp_path / name / "1.jpg").parent for name in ["ab", "a"]]
    assert check_roots(roots) == roots


def test_a_root_given_in_several_ways_counts_once(tmp_path: Path) -> None:
    put(tmp_path / "a/1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    roots = [tmp_path / "link", tmp_path / "a", tmp_path / "a/../a"]
    assert check_roots(roots) == [tmp_path / "link"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_root_in_a_junk_folder_of_another_stays(tmp_path: Path, order: int) -> None:
    put(tmp_path / ".private/deep/1.jpg")
    roots = [tmp_path, tmp_path / ".private", tmp_path / ".private/deep"][::order]
    assert set(check_roots(roots)) == {tmp_path, tmp_path / ".private"}


@given(data=st.data())
def test_no_photo_is_found_twice_whatever_the_roots(data: st.DataObject) -> None:
    names = ["a/1.jpg", "a/b/2.jpg", "a/.c/3.jpg", "a/.c/d/4.jpg", "e/5.jpg"]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            put(Path(folder) / name)
        places = [Path(folder), *sorted(Path(folder).rglob("*"))]
        roots = data.draw(st.lists(st.sampled_from(places), max_size=5))
        found = [f.path for f in walk(*check_roots(roots)) if isinstance(f, Photo)]
        assert len(found) == len(set(found))
        assert set(found) >= {root for root in roots if root.is_file()}
