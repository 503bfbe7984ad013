"""The scan: what it finds and leaves out, where it begins, pairs of files, and lists of files."""

import gc
import os
import shutil
import sys
import tracemalloc
from collections.abc import Collection, Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import RunError, UsageError
from bulkup.events import SkipReason
from bulkup.source import scan
from bulkup.source.filters import Listing
from bulkup.source.photos import Photo
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


# pairs


PAIRED = ("jpg", "jpeg", "png")


async def paired(
    root: Path, *, endings: tuple[str, ...] | None = PAIRED
) -> list[scan.Found | scan.PairedFile]:
    walk = scan.find([root], endings=endings)
    return [found async for batch in scan.paired(walk, endings=endings) for found in batch]


async def pairs(root: Path, *, endings: tuple[str, ...] | None = PAIRED) -> dict[str, str]:
    """Return the photo of each companion, both below the root."""
    return {
        str(found.path.relative_to(root)): str(found.of.relative_to(root))
        for found in await paired(root, endings=endings)
        if isinstance(found, scan.PairedFile)
    }


async def test_a_companion_is_of_the_photo_of_its_stem_in_its_folder(tmp_path: Path) -> None:
    put_all(
        tmp_path, "a/x.JPG", "a/x.NEF", "a/x.cr2", "a/x.d/y.jpg", "a/x-1.nef", "a/y.nef", "b/x.nef"
    )
    assert await pairs(tmp_path) == {"a/x.NEF": "a/x.JPG", "a/x.cr2": "a/x.JPG"}
    (found,) = await paired(tmp_path / "a/x.NEF")
    assert isinstance(found, scan.PairedFile)
    assert (found.of, found.size) == (tmp_path / "a/x.JPG", 1)


async def test_of_several_photos_the_best_that_the_server_takes_has_it(tmp_path: Path) -> None:
    put_all(tmp_path, "x.heic", "x.jpeg", "x.mov", "x.png")
    for endings in (PAIRED, None):
        assert await pairs(tmp_path, endings=endings) == {"x.mov": "x.jpeg"}
    assert await pairs(tmp_path, endings=("png",)) == {"x.mov": "x.png"}


async def test_a_type_that_the_server_takes_is_a_companion_and_no_other_type_has_one(
    tmp_path: Path,
) -> None:
    put_all(tmp_path, "x.jpg", "x.tif", "y.tif", "z.heic", "z.mov")
    endings = ("jpg", "tif")
    assert await pairs(tmp_path, endings=endings) == {"x.tif": "x.jpg"}
    found = await paired(tmp_path, endings=endings)
    assert [entry.path.name for entry in found if isinstance(entry, Photo)] == ["x.jpg", "y.tif"]
    skipped = [entry.path.name for entry in found if isinstance(entry, scan.Skipped)]
    assert skipped == ["z.heic", "z.mov"]


# lists of files


def split(*pieces: bytes, from0: bool = False) -> list[bytes]:
    splitter = scan.Splitter("the list", from0=from0)
    return [name for piece in pieces for name in splitter.feed(piece)] + splitter.end()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"", []),
        (b"\n\n\r\n", []),
        (b"a.jpg", [b"a.jpg"]),
        (b"a.jpg\nb/c.jpg\n", [b"a.jpg", b"b/c.jpg"]),
        (b"a.jpg\r\nb.jpg\r\n", [b"a.jpg", b"b.jpg"]),
        (b"\xef\xbb\xbfa.jpg\nb.jpg", [b"a.jpg", b"b.jpg"]),
        (b" a.jpg \n#b.jpg\n;c\n*.jpg\n", [b" a.jpg ", b"#b.jpg", b";c", b"*.jpg"]),
        (b"a\xff.jpg\n\xff\xfe.jpg\n", [b"a\xff.jpg", b"\xff\xfe.jpg"]),
        (b"a.jpg\0b.jpg\0", [b"a.jpg", b"b.jpg"]),
        (b"a\nb.jpg\0c\r\0", [b"a\nb.jpg", b"c\r"]),
        (b"a.jpg\0b.jpg", [b"a.jpg", b"b.jpg"]),
        (b"\0\0", []),
        (b"\xff\xfe.jpg\0b\0", [b"\xff\xfe.jpg", b"b"]),
    ],
)
def test_names_end_with_a_line_or_with_a_nul(text: bytes, names: list[bytes]) -> None:
    assert split(text) == names


def test_from0_is_for_names_with_line_ends_in_a_list_without_a_nul() -> None:
    assert split(b"a\nb.jpg", from0=True) == [b"a\nb.jpg"]
    assert split(b"a\n", b"b.jpg\0", from0=True) == [b"a\nb.jpg"]


letters = st.sampled_from([b"a", b"\xff", b" ", b"/", b"\n", b"\r", b"\xef\xbb\xbf"])
zeroed = st.lists(st.lists(letters, min_size=1).map(b"".join), max_size=8)
lines = st.lists(st.text("ab /é", min_size=1).map(str.encode), max_size=8)


@given(zeroed=zeroed, lines=lines, end=st.sampled_from([b"\n", b"\r\n"]), data=st.data())
def test_names_mean_the_same_in_any_pieces(
    zeroed: list[bytes], lines: list[bytes], end: bytes, data: st.DataObject
) -> None:
    for names, ended in ((zeroed, b"\0"), (lines, end)):
        whole = b"".join(name + ended for name in names)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
        pieces = [whole[start:stop] for start, stop in pairwise([0, *cuts, len(whole)])]
        expected = [name for name in names if name]
        if names and names[0].startswith(b"\xef\xbb\xbf"):
            expected = [name for name in [names[0][3:], *names[1:]] if name]
        assert split(*pieces, from0=ended == b"\0") == expected


def test_what_is_no_list_of_paths_is_reported() -> None:
    text = "a.jpg\r\nb.jpg\r\n"
    for data in (text.encode("utf-16"), b"\xfe\xff" + text.encode("utf-16-be")):
        with pytest.raises(RunError, match="UTF-16"):
            split(data)
    assert split(b"x" * scan.LONGEST) == [b"x" * scan.LONGEST]
    with pytest.raises(RunError, match="the list is not a list of paths"):
        split(b"x" * scan.LONGEST, b"x")  # longer than any path


async def read(file: Path | str, *, from0: bool = False) -> list[Path]:
    async with aclosing(scan.read_list(Listing(str(file), from0=from0))) as lists:
        return [path async for paths in lists for path in paths]


async def test_a_file_is_read_in_order_or_reported(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(b"b.jpg\n./a.jpg\n/x//y.jpg\nb.jpg\nc\xff.jpg\n\xf0\x9f\x93\xb7.jpg")
    names = ["b.jpg", "a.jpg", "/x/y.jpg", "b.jpg", os.fsdecode(b"c\xff.jpg"), "📷.jpg"]
    assert await read(file) == [Path(name) for name in names]
    file.write_bytes(b"")
    assert await read(file) == []
    with pytest.raises(RunError, match=r"list .*gone can't be read: No such file or directory"):
        await read(tmp_path / "gone")
    with pytest.raises(RunError, match="can't be read: Is a directory"):
        await read(tmp_path)


async def test_memory_stays_flat_however_long_a_list_is(tmp_path: Path) -> None:
    file = tmp_path / "list"
    # a path interns its name, and Python's table of those grows at once to twice its size
    names = [sys.intern(f"{number:08}.jpg") for number in range(10_000)]

    async def count() -> int:
        async with aclosing(scan.read_list(Listing(str(file)))) as lists:
            return sum([len(paths) async for paths in lists])

    file.write_text("a.jpg\n")
    await count()  # what is imported and started by the first is not counted
    file.write_text("".join(f"a/rather/long/folder/{name}\n" for name in names))
    gc.collect()
    tracemalloc.start()
    try:
        seen = await count()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == len(names)
    assert most < 1_000_000  # all the paths at once take twice that


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Make a pipe that is open for both ends: nobody waits, and there is no end."""
    os.mkfifo(tmp_path / "pipe")
    out = os.open(tmp_path / "pipe", os.O_RDWR)
    yield tmp_path / "pipe", out
    os.close(out)


async def test_what_a_program_has_written_is_read_while_it_writes_on(
    pipe: tuple[Path, int],
) -> None:
    file, out = pipe
    os.write(out, b"a.jpg\nb.j")
    async with aclosing(scan.read_list(Listing(str(file)), wake_s=0.01)) as lists:
        assert await anext(paths async for paths in lists if paths) == [Path("a.jpg")]
        assert await anext(lists) == []
        os.write(out, b"pg\n")
        assert await anext(paths async for paths in lists if paths) == [Path("b.jpg")]


async def test_waiting_for_a_program_can_be_cancelled(pipe: tuple[Path, int]) -> None:
    file, out = pipe
    came = anyio.Event()

    async def read_on() -> None:
        async with aclosing(scan.read_list(Listing(str(file)))) as lists:
            async for paths in lists:
                if paths:
                    came.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_on)
        os.write(out, b"a.jpg\n")
        await came.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
