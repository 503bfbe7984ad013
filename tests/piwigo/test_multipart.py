"""Multipart bodies: their length, their writes, and what breaks them."""

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import anyio
import pytest
from aiohttp.abc import AbstractStreamWriter
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from bulkup.errors import PhotoChanged, PhotoError
from bulkup.piwigo.inspect import Filler
from bulkup.piwigo.multipart import GATHERED, PART, ChunkForm, Form, GatheringWriter, Throttle
from bulkup.piwigo.protocol import Request
from bulkup.piwigo.workers import Held
from bulkup.source.files import PIECE
from bulkup.source.photos import Chunk, Photo
from tests.support.events import soon
from tests.support.walks import photo_at

FIELDS = (("name", "Été.jpg"), ("category", "9"))
CONTENT = Random(1).randbytes(2 * PIECE + 1000)


class Recorder(AbstractStreamWriter):
    """A network that keeps each write, and what else it is asked for."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.calls: list[object] = []
        self.form: Form | None = None
        self.ended: list[bool] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(chunk))
        if self.form is not None:
            self.ended.append(self.form.ended)

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.calls.append(chunk)

    async def drain(self) -> None:
        raise AssertionError

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        self.calls.append((encoding, strategy))

    def enable_chunking(self) -> None:
        self.calls.append("chunked")

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        self.calls.append((status_line, headers))


async def written(form: Form) -> list[bytes]:
    """Return the writes of a form, which are as long as it says; the last one ends it."""
    network = Recorder()
    network.form = form
    await form.write(network)
    assert sum(map(len, network.writes)) == form.size
    assert network.ended == [False] * (len(network.writes) - 1) + [True]
    assert b"".join(network.writes).endswith(f"--{form.boundary}--\r\n".encode())
    return network.writes


class Slices(Throttle):
    """Permits so many bytes at a time, and counts them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self.taken = 0

    async def take(self, wanted: int) -> int:
        taken = min(wanted, self._most)
        self.taken += taken
        return taken


def chunk_form(
    photo: Photo,
    length: int,
    *,
    offset: int = 0,
    progress: Callable[[int], None] = lambda _: None,
    throttle: Throttle | None = None,
    **how: bool,
) -> ChunkForm:
    chunk = Chunk(0, 1, offset, length)
    request = Request("pwg.images.upload", FIELDS, chunk=chunk, **how)
    return ChunkForm(
        photo,
        request=request,
        chunk=chunk,
        idle_s=60.0,
        throttle=throttle or Throttle(),
        progress=progress,
    )


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Photo:
    return photo_at(tmp_path_factory.mktemp("photo") / "a.jpg", CONTENT)


lengths = st.integers(0, len(CONTENT)) | st.builds(
    int.__add__, st.sampled_from([GATHERED, PART, PIECE, 2 * PIECE]), st.integers(-500, 500)
)


@given(
    length=lengths,
    offset=st.integers(0, PIECE),
    most=st.sampled_from([10_000, 10**9]),
    encoded=st.booleans(),
    summed=st.booleans(),
)
@example(length=65_069, offset=0, most=10**9, encoded=False, summed=False)  # the end exceeds it
@example(length=65_100, offset=0, most=10**9, encoded=False, summed=True)
def test_a_chunk_is_as_long_as_announced_and_has_its_bytes_and_their_sum(
    photo: Photo, length: int, offset: int, most: int, *, encoded: bool, summed: bool
) -> None:
    content, seen, throttle = CONTENT[offset : offset + length], list[int](), Slices(most)
    how = {"encoded": encoded, "summed": summed, "progress": seen.append, "throttle": throttle}
    form = chunk_form(photo, len(content), offset=offset, **how)  # type: ignore[arg-type]
    writes = anyio.run(written, form)
    assert all(len(write) <= PART for write in writes)
    body = b64encode(content) if encoded else content
    rest = b"".join(writes)[-len(body) - 200 :]
    assert b"\r\n\r\n" + body + b"\r\n" in b"\r\n" + rest
    assert (hashlib.md5(content).hexdigest().encode() in rest) is summed
    assert throttle.taken == len(body)
    assert seen == sorted(seen)
    assert seen[-1] == len(content)


@given(text=st.text(max_size=100_000), size=st.integers(0, 3 * PART))
def test_other_forms_are_as_long_as_announced(text: str, size: int) -> None:
    opened = anyio.Event()
    opened.set()
    filled = Form(FIELDS)
    filled.add("image", Filler(size), filename="bulkup-probe")
    held = Held(Request("x", (*FIELDS, ("y", text))), until=opened)
    for form in (Form((("comment", text),)), filled, held):
        anyio.run(written, form)
    with pytest.raises(TypeError, match="utf-8"):  # a streamed part is never decoded
        Filler(size).decode()


async def test_fields_have_no_content_type_and_the_file_has_one(photo: Photo) -> None:
    form = chunk_form(photo, 10, summed=True)
    (body,) = await written(form)
    field = f'--{form.boundary}\r\nContent-Disposition: form-data; name="'
    assert body.decode("latin-1").split(field)[1:3] == [
        'method"\r\n\r\npwg.images.upload\r\n',
        'name"\r\n\r\nÉté.jpg\r\n'.encode().decode("latin-1"),
    ]
    head = b'name="file"; filename="blob"\r\nContent-Type: application/octet-stream\r\n\r\n'
    assert head + CONTENT[:10] + b"\r\n--" in body


@pytest.mark.parametrize(
    ("length", "most", "writes"),
    [(50_000, 10**9, 1), (50_000, 10_000, 5), (PART, 10**9, 3), (2 * PIECE + 5, 10**9, 6)],
)
async def test_small_pieces_go_out_together_but_no_slice_waits_for_the_next(
    photo: Photo, length: int, most: int, writes: int
) -> None:
    seen: list[int] = []
    form = chunk_form(photo, length, throttle=Slices(most), summed=True, progress=seen.append)
    assert len(await written(form)) == writes
    assert seen == [*range(min(most, PART), length, min(most, PART)), length]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda path: os.truncate(path, len(CONTENT) - 1), PhotoChanged),
        (lambda path: os.truncate(path, len(CONTENT) + 1), PhotoChanged),
        (lambda path: os.utime(path, ns=(1, 1)), PhotoChanged),
        (Path.unlink, PhotoError),
    ],
    ids=["shrunk", "grown", "touched", "gone"],
)
@pytest.mark.parametrize("sent", [0, PIECE])
async def test_a_file_that_changes_breaks_the_body_before_its_end(
    tmp_path: Path, change: Callable[[Path], object], kind: type[PhotoError], sent: int
) -> None:
    photo = photo_at(tmp_path / "a.jpg", CONTENT)

    def progress(count: int) -> None:
        if count == sent:
            soon(partial(change, photo.path))

    if not sent:
        change(photo.path)
    network, form = Recorder(), chunk_form(photo, len(CONTENT), progress=progress)
    with pytest.raises(PhotoError) as caught:
        await form.write(network)
    assert form.error is caught.value
    assert type(caught.value) is kind
    assert not form.ended
    assert len(b"".join(network.writes)) < (form.size or 0)


async def test_a_gathering_writer_passes_on_all_else_that_a_writer_does() -> None:
    network, headers = Recorder(), CIMultiDict[str]()
    writer = GatheringWriter(network, idle_s=60.0)
    writer.enable_chunking()
    writer.enable_compression("gzip", 3)
    await writer.write_headers("POST", headers)
    await writer.write(b"a")
    await writer.write(b"b")
    await writer.write_eof(b"c")
    assert network.writes == [b"ab"]
    assert network.calls == ["chunked", ("gzip", 3), ("POST", headers), b"c"]
