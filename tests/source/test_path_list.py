"""Lists of paths: what separates them, how they are read, and waiting for a program."""

import gc
import os
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.errors import RunError
from bulkup.source import path_list
from bulkup.source.filters import Listing


def split(*pieces: bytes, from0: bool = False) -> list[bytes]:
    splitter = path_list.Splitter("the list", from0=from0)
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
    assert split(b"x" * path_list.LONGEST) == [b"x" * path_list.LONGEST]
    with pytest.raises(RunError, match="the list is not a list of paths"):
        split(b"x" * path_list.LONGEST, b"x")  # longer than any path


async def read(file: Path | str, *, from0: bool = False) -> list[Path]:
    async with aclosing(path_list.read_list(Listing(str(file), from0=from0))) as lists:
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
        async with aclosing(path_list.read_list(Listing(str(file)))) as lists:
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
    async with aclosing(path_list.read_list(Listing(str(file)), wake_s=0.01)) as lists:
        assert await anext(paths async for paths in lists if paths) == [Path("a.jpg")]
        assert await anext(lists) == []
        os.write(out, b"pg\n")
        assert await anext(paths async for paths in lists if paths) == [Path("b.jpg")]


async def test_waiting_for_a_program_can_be_cancelled(pipe: tuple[Path, int]) -> None:
    file, out = pipe
    came = anyio.Event()

    async def read_on() -> None:
        async with aclosing(path_list.read_list(Listing(str(file)))) as lists:
            async for paths in lists:
                if paths:
                    came.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_on)
        os.write(out, b"a.jpg\n")
        await came.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
