"""Photo files: fingerprints, chunks and their bytes."""

import asyncio
import gc
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random

import anyio
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bulkup.errors import PhotoChanged, PhotoError
from bulkup.source.files import PIECE
from bulkup.source.photos import (
    BLOCK,
    Chunk,
    Photo,
    fingerprint,
    plan_chunks,
    read_chunk,
    writable,
)
from tests.support.walks import photo_at, put

# fingerprints


async def test_a_fingerprint_is_of_the_content_and_the_size_of_now(tmp_path: Path) -> None:
    for size in (1, 4096, 300_000):
        found, content = photo_at(tmp_path / "a.jpg", b"old"), Random(size).randbytes(size)
        put(found.path, content)
        now, md5 = await fingerprint(found)
        assert (now, md5) == (photo_at(found.path), hashlib.md5(content).hexdigest())


async def test_a_file_that_is_not_a_photo_has_no_fingerprint(tmp_path: Path) -> None:
    put(tmp_path / "empty.jpg", b"")
    for path, reason in (
        (tmp_path / "empty.jpg", "the file is empty"),
        (tmp_path / "gone.jpg", "vanished"),
        (tmp_path, "can't be read: Is a directory"),
    ):
        with pytest.raises(PhotoError, match=reason):
            await fingerprint(Photo(path, 1, 1))


async def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(60_000_000)
    photo = photo_at(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(touch_for_ever, path)
        with pytest.raises(PhotoChanged, match="changed while it was being read"):
            await fingerprint(photo)
        tasks.cancel_scope.cancel()


async def touch_for_ever(path: Path) -> None:
    for second in count():
        os.utime(path, (second, second))
        await anyio.lowlevel.checkpoint()


# chunks

sizes = st.integers(0, 3 * 10**6) | st.builds(
    lambda blocks, more: max(0, blocks * BLOCK + more), st.integers(0, 700), st.integers(-2, 2)
)
tails = st.sampled_from([0, 1, 4096, 5000, 16_384])
chunk_sizes = st.integers(1, 2 * 10**6)


@example(size=BLOCK + 1, chunk_size=2 * BLOCK, tail=0)  # one chunk, of which two are made
@given(size=sizes, chunk_size=chunk_sizes, tail=tails)
def test_chunks_cover_the_photo_in_order_and_are_as_few_and_large_as_they_may_be(
    size: int, chunk_size: int, tail: int
) -> None:
    chunks = plan_chunks(size, chunk_size=chunk_size, tail=lambda _: tail)
    end = 0
    for number, chunk in enumerate(chunks):
        assert (chunk.index, chunk.count, chunk.offset) == (number, len(chunks), end)
        assert chunk.length <= max(BLOCK, chunk_size)
        assert chunk.length or size == 0
        assert chunk.length % BLOCK != 1 or size == 1  # it could lose a last zero digit
        end += chunk.length
    assert end == size
    assert len(chunks) <= size // max(BLOCK, chunk_size // BLOCK * BLOCK) + 3


@given(size=sizes, chunk_size=chunk_sizes)
def test_a_tail_is_small_and_what_is_before_it_is_cut_as_ever(size: int, chunk_size: int) -> None:
    assume(size % BLOCK != 1)  # then a boundary is moved, see above
    plain = plan_chunks(size, chunk_size=chunk_size)
    tailed = plan_chunks(
        size, chunk_size=chunk_size, tail=lambda last: 5000 if last > 20_000 else 0
    )
    if plain[-1].length <= 20_000:
        assert tailed == plain
    else:
        assert 5000 <= tailed[-1].length <= 5000 + BLOCK
        assert len(tailed) == len(plain) + 1


async def test_a_chunk_has_the_bytes_of_its_place_in_small_pieces_and_feeds_the_digest(
    tmp_path: Path,
) -> None:
    content = Random(1).randbytes(3 * PIECE)
    photo = photo_at(tmp_path / "a.jpg", content)
    for offset, length in ((0, 10), (5, 0), (100, PIECE), (7, 2 * PIECE + 9)):
        chunk, digest = Chunk(0, 1, offset, length), hashlib.md5()
        pieces = [piece async for piece in read_chunk(photo, chunk, digest=digest)]
        assert b"".join(pieces) == content[offset : offset + length]
        assert b"".join([piece async for piece in read_chunk(photo, chunk)]) == b"".join(pieces)
        assert all(len(piece) <= PIECE for piece in pieces)
        assert digest.digest() == hashlib.md5(b"".join(pieces)).digest()
    with pytest.raises(PhotoChanged, match="shorter"):
        [piece async for piece in read_chunk(photo, Chunk(0, 1, 5, len(content)))]


async def test_a_file_is_closed_even_if_that_is_cancelled_before_a_thread_is_free(
    tmp_path: Path,
) -> None:
    loop, busy = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))

    def free_the_thread(turns: int) -> None:
        """Let the thread go on after some turns of the loop."""
        if turns:
            loop.call_soon(free_the_thread, turns - 1)
        else:
            busy.set()

    async with anyio.create_task_group() as tasks, writable(tmp_path / "a.jpg") as write:
        await write(b"photo")
        waiting = loop.run_in_executor(None, busy.wait)
        loop.call_soon(tasks.cancel_scope.cancel)
        loop.call_soon(free_the_thread, 9)
    await waiting
    gc.collect()  # a file that is still open would be reported
    assert (tmp_path / "a.jpg").read_bytes() == b"photo"
