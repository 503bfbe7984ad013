"""The scan: what it finds and leaves out, and where it begins."""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from bulkup.errors import UsageError
from bulkup.events import SkipReason
from bulkup.source import scan
from tests.support.walks import link, photo_at, put, put_all, scanned

GONE = "No such file or directory"


def walk(*roots: Path, endings: Collection[str] | None = None) -> list[scan.Found]:
    return list(scan.scan(roots, endings=endings))


# the walk


def test_the_walk_goes_depth_first_in_name_order_root_by_root(tmp_path: Path) -> None:
    in_order = ["B.jpg", "a.jpg", "b/1/x.jpg", "b/10.jpg", "b/2.jpg", "c.jpg"]
    roots = [tmp_path / "second", tmp_path / "first"]
    for root in roots:
        put_all(root, *reversed(in_order))
        (root / "empty").mkdir()
    assert [found.path for found in walk(*roots)] == [
        root / name for root in roots for name in in_order
    ]


def test_a_folder_is_listed_late_and_named_if_it_is_gone_by_then(tmp_path: Path) -> None:
    put_all(tmp_path, "a.jpg", "b/x.jpg", "c/x.jpg")
    found = scan.scan([tmp_path], endings=None)
    next(found)
    shutil.rmtree(tmp_path / "b")
    put(tmp_path / "c/late.jpg")
    assert next(found) == scan.Unreadable(tmp_path / "b", GONE)
    assert [f.path for f in found] == [tmp_path / "c/late.jpg", tmp_path / "c/x.jpg"]


def test_a_root_may_be_a_file_a_link_or_junk_and_may_vanish(tmp_path: Path) -> None:
    photo, private, real = put_all(tmp_path, "a.jpg", ".private/a.jpg", "real/1.jpg")
    note = put(tmp_path / "a.txt", b"abc")
    folder, single = link(tmp_path / "link", real.parent), link(tmp_path / "link.jpg", real)
    gone = tmp_path / "gone"
    assert walk(photo, note, private.parent, folder, single, gone, endings={"jpg"}) == [
        photo_at(photo),
        scan.Skipped(note, 3, SkipReason.TYPE),
        photo_at(private),
        photo_at(folder / "1.jpg"),
        photo_at(single),
        scan.Unreadable(gone, GONE),
    ]


def test_other_types_are_skipped_with_their_size_whatever_the_case(tmp_path: Path) -> None:
    put_all(tmp_path, "a.JPG", "b.jPg", "c.jpg")
    others = put_all(tmp_path, "d.txt", "e.jpg.exe", "f.", "jpg", content=b"1234")
    *photos, d, e, f, g = walk(tmp_path, endings={"jpg"})
    assert [found.path.name for found in photos] == ["a.JPG", "b.jPg", "c.jpg"]
    assert [d, e, f, g] == [scan.Skipped(path, 4, SkipReason.TYPE) for path in others]


def test_sidecars_are_not_photos(tmp_path: Path) -> None:
    names = ["a.XMP", "a.jpg.json", "a.jpg.xmp", "metadata.json"]
    paths = put_all(tmp_path, *names, content=b"1234")
    for endings in ({"jpg"}, {"jpg", "xmp", "json"}, None):
        found = walk(tmp_path, endings=endings)
        assert found == [scan.Skipped(path, 4, SkipReason.SIDECAR) for path in paths]


def test_junk_is_skipped_and_a_folder_of_it_as_one(tmp_path: Path) -> None:
    files = [".DS_Store", "._IMG_1.jpg", "Thumbs.db", "DESKTOP.INI"]
    folders = [".thumbnails", "@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX"]
    put_all(tmp_path, *files, *(f"{name}/{path}" for name in folders for path in ("a", "b/c")))
    assert walk(tmp_path) == [
        scan.Skipped(tmp_path / name, 0, SkipReason.JUNK) for name in sorted([*files, *folders])
    ]


def test_links_and_pipes_are_skipped(tmp_path: Path) -> None:
    put_all(tmp_path, "outside/real.jpg", "outside/folder/x.jpg", "in/z.jpg")
    root = tmp_path / "in"
    links = [
        link(root / "1.jpg", "../outside/real.jpg"),
        link(root / "2.jpg", "../outside/folder"),
        link(root / "3.jpg", "nowhere"),
        link(root / "4 up", ".."),
        link(root / "5 self", "5 self"),
    ]
    os.mkfifo(root / "6.jpg")
    assert walk(root) == [
        *(scan.Skipped(path, 0, SkipReason.SYMLINK) for path in links),
        scan.Skipped(root / "6.jpg", 0, SkipReason.SPECIAL),
        photo_at(root / "z.jpg"),
    ]


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
    assert isinstance(unreadable, scan.Unreadable)
    assert unreadable.reason == "File name too long"
    assert last.path == tmp_path / "z.jpg"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_without_permission_is_named_with_the_reason(tmp_path: Path) -> None:
    put_all(tmp_path, "a/1.jpg", "b.jpg")
    (tmp_path / "a").chmod(0)
    try:
        assert scanned(tmp_path) == {"Permission denied": ["a"], "taken": ["b.jpg"]}
    finally:
        (tmp_path / "a").chmod(0o700)


# the roots


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for name, reason in (("nosuch", f"nosuch: {GONE}"), ("x" * 5000, "File name too long")):
        with pytest.raises(UsageError, match=reason):
            scan.check_roots([tmp_path, tmp_path / name])


def test_a_root_inside_another_or_given_in_several_ways_counts_once(tmp_path: Path) -> None:
    inner, other = put_all(tmp_path, "a/b/1.jpg", "ab/1.jpg")
    roots = [other.parent, inner, inner.parent, tmp_path / "a"]
    assert scan.check_roots(roots) == [other.parent, tmp_path / "a"]
    way = link(tmp_path / "link", tmp_path / "a")
    assert scan.check_roots([way, tmp_path / "a", tmp_path / "a/../a"]) == [way]
