# ruff: noqa: PT017 (not every input raises)
"""Whatever comes from outside gives a value or an error for the user, never a long one.

Reading it takes memory in proportion to its size.

`make test` draws a few examples for each kind of input, `make chaos` for half an hour in all
(BULKUP_FUZZ_S: seconds).
"""

import hashlib
import json
import os
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from itertools import count, cycle
from pathlib import Path
from typing import ParamSpec

import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st

from bulkup.cli.config import check, read_layers
from bulkup.errors import FormatRefused, NotOffered, PhotoError, RunError, Transient, UsageError
from bulkup.piwigo import protocol
from bulkup.piwigo.protocol import Answer, interpret
from bulkup.piwigo.session import retry_after
from bulkup.source.cells import TableFile
from bulkup.source.embedded import read_embedded
from bulkup.source.exports import flickr, icloud, photoprism, picasa
from bulkup.source.files import opened
from bulkup.source.filters import EVERYTHING
from bulkup.source.path_list import LONGEST, Splitter
from bulkup.source.photos import Photo
from bulkup.source.scan import Unreadable, Walk
from bulkup.source.table import Table
from bulkup.source.takeout.sidecars import read_takeout, states_of
from bulkup.source.xmp import read_xmp
from tests.support.embedded import FOLDER as EMBEDDED
from tests.support.photos import takeout_album

P = ParamSpec("P")
FUZZ_S = float(os.environ.get("BULKUP_FUZZ_S", "0"))
LONG = 1000
READERS: tuple[Callable[[object], object], ...] = (
    *(protocol.read_status, protocol.read_methods, protocol.read_found, protocol.read_identity),
    *(protocol.read_checked, protocol.read_members, protocol.read_tags, protocol.read_tag_id),
    *(protocol.read_held, protocol.image_id, protocol.read_albums),
    lambda result: protocol.read_has_format(result, 1),
    lambda result: protocol.read_formats(result, 1),
)

KEYS = [
    *(
        "id",
        "image_id",
        "message",
        "categories",
        "images",
        "paging",
        "per_page",
        "tags",
        "methods",
    ),
    *("name", "uppercats", "file", "format", "status", "title", "people", "photoTakenTime"),
    *("timestamp", "description", "format_exist", "md5sum"),
]

pytestmark = pytest.mark.plans
fuzzed = settings(
    max_examples=200 if FUZZ_S else 25,
    derandomize=not FUZZ_S,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def lean(test: Callable[P, None]) -> Callable[P, None]:
    """Check that a property takes at most 100 times the memory of its arguments, and 32 MB."""

    @wraps(test)
    def measured(*values: P.args, **named: P.kwargs) -> None:
        size = sum(len(value) for value in values if isinstance(value, bytes | str))
        tracemalloc.start()
        try:
            test(*values, **named)
            assert tracemalloc.get_traced_memory()[1] < 32_000_000 + 100 * size
        finally:
            tracemalloc.stop()

    return measured


def fuzz(test: Callable[[], None]) -> None:
    """Run a property, in `make chaos` with other seeds until its share of the time is over."""
    ends = time.monotonic() + FUZZ_S / 7
    for number in count():
        (seed(number)(test) if FUZZ_S else test)()
        if time.monotonic() >= ends:
            return


def pieces(*words: bytes) -> st.SearchStrategy[bytes]:
    """Draw a text of these words, some of them repeated very often, and of any bytes."""
    word = st.sampled_from(words)
    often = st.builds(lambda text, times: text * times, word, st.integers(2, 20_000))
    nested = st.builds(lambda a, b, n: a * n + b * n, word, word, st.integers(2, 5000))
    return st.lists(word | word | often | nested | st.binary(max_size=9), max_size=9).map(b"".join)


numbers = st.integers() | st.floats() | st.sampled_from([10**400, -1, 2**63, "9" * 5000, "٣"])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
        )
    ),
    max_leaves=9,
)
messages = st.sampled_from(
    [
        *("Invalid api_key", "Access denied", "unexpected format extension", "chunks uploaded = "),
        *("formats are disabled", "error while merging chunk ", "MD5 checksum chunk mismatched"),
    ]
)
bodies = pieces(
    *(b'{"stat":"ok","result":', b'{"stat":"fail","err":', b'{"jsonrpc":', b"[", b"]", b"{", b"}"),
    *(
        b"<br />\n<b>Warning</b>",
        b"<b>",
        b"</b>",
        b"<br />",
        b"<script>",
        b"</script>",
        b"<",
        b"&",
    ),
    *(b'"', b"9", b"\xff", b'"message":"', b"forbidden file type", b"\n", b" "),
) | st.builds(
    lambda stat, code, message, tail, times: json.dumps(
        {"stat": stat, "err": code, "message": message + tail * times, "result": message}
    ).encode(),
    st.sampled_from(["ok", "fail"]),
    st.sampled_from([401, 403, 404, 405, 415, 500, 501, 999]),
    messages,
    st.sampled_from(["x", '"', " ", "9", ", ", "ab"]),
    st.integers(0, 20_000),
)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_answers_of_a_server() -> None:
    @fuzzed
    @given(st.sampled_from([200, 302, 401, 404, 500, 502]), bodies, values, st.text(max_size=20))
    @example(200, b"", {"message": "chunks uploaded = " + "9" * 5000}, "9" * 400)
    @example(302, b"", None, "https://x/" + "x" * 8000)
    @example(
        401,
        json.dumps(
            {"stat": "fail", "err": 401, "message": "unexpected format extension" + "x" * 200_000}
        ).encode(),
        None,
        "",
    )
    @lean
    def holds(status: int, body: bytes, result: object, header: str) -> None:
        try:
            interpret(Answer(status, body, location=header))
        except (Transient, NotOffered, PhotoError) as error:
            assert 0 < len(error.message) < LONG
            if isinstance(error, FormatRefused):
                assert sum(map(len, error.endings)) < LONG
        for read in READERS:
            try:
                read(result)
            except NotOffered as error:
                assert len(error.message) < LONG
        assert (retry_after(header, date=header) or 0.0) >= 0.0

    fuzz(holds)


TYPES: dict[str, set[type]] = {
    "album": {int},
    "quiet": {int},
    "url": {str},
    "tag": {list},
    "tree": {bool},
}
config_texts = pieces(
    *(b"[defaults]\n", b"[profiles.x]\n", b"[[profiles]]\n", b"album = ", b"quiet = ", b"url = "),
    *(b"tag = ", b"tree = ", b"true", b"9", b"0xf", b"1e9", b"inf", b"2020-01-01", b"[", b"]"),
    *(b"{a=", b"}", b'"', b"'", b'"x"', b"\n", b",", b'"\\u0000"', b"#", b".", b"\xef\xbb\xbf"),
)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_config_files(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"

    @fuzzed
    @given(config_texts)
    @example(b"a = " + b"[" * 5000)
    @example(b"[defaults]\nalbum = " + b"9" * 5000)
    @example(b"[defaults]\nquiet = 0x" + b"f" * 5000)
    @example(b"[defaults]\nquiet = " + b"9" * 400)
    @example(b'[defaults]\nurl = "a\\u0000b"')
    @example(b"#" * 2_000_000)
    @lean
    def holds(text: bytes) -> None:
        file.write_bytes(text)
        try:
            for layer in read_layers(file, "x" if b"profiles" in text else None):
                check(layer, TYPES)
                for key in layer.values:
                    assert all("\0" not in value for value in layer.texts(key))
                    if key == "quiet":
                        int(float(layer.texts(key)[0]))
        except UsageError as error:
            assert error.message
            assert error.hint

    fuzz(holds)


RDF = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
ABOUT = b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/">'
SUBJECT = b"<dc:subject><rdf:Bag><rdf:li>"
xmp_texts = pieces(
    *(RDF + b">", b"</rdf:RDF>", ABOUT, b"</rdf:Description>", SUBJECT, b"<rdf:value>", b"a"),
    *(b"</rdf:li></rdf:Bag></dc:subject>", b"<!DOCTYPE x [", b"<!--", b"&amp;", b"&#x0;", b"<x>"),
    *(b"</x>", b"<?xml version='1.0' encoding='utf-7'?>", b"\0", b"\xff\xfe", b'xml:lang="x"'),
)
LEVEL = ABOUT + SUBJECT, b"</rdf:li></rdf:Bag></dc:subject></rdf:Description>"


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_xmp_files() -> None:
    @fuzzed
    @given(xmp_texts)
    @example(RDF + b">" + LEVEL[0] * 20_000 + LEVEL[1] * 20_000 + b"</rdf:RDF>")
    @example(
        RDF + b'xmlns:xmp="http://ns.adobe.com/xap/1.0/"><rdf:Description xmp:Rating="1e999"/>'
    )
    @example(b"<?xml version='1.0' encoding='punycode'?><x/>")
    @example(b"<x>" * 1_000_000)
    @lean
    def holds(text: bytes) -> None:
        try:
            found = read_xmp(text)
        except ValueError as error:
            assert len(str(error)) < LONG
        else:
            assert 0 <= found.rating <= 5

    fuzz(holds)


PHOTOS = [path.read_bytes() for path in sorted(EMBEDDED.iterdir())]
COUNT = b"\xff\xff\xff\xff"
photo_parts = pieces(
    *(b"Exif\0\0II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\4\0\0\0\1\0\0\0\x08"),
    *(b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xed\0\xffPhotoshop 3.0\0", b"8BIM\4\4\0\0", COUNT),
    *(
        b"\x1c\2\x19\x80\4",
        b"\x89PNG\r\n\x1a\n",
        b"\0\0\0\0iTXt",
        b"XML:com.adobe.xmp\0\1\0\0\0x\x9c",
    ),
    *(b"RIFF\0\0\0\0WEBP", b"EXIF\0\0\0\0", b"XMP \xff\0\0\0", b"\0\0\0\x10ftypheic\0\0\0\0"),
    *(
        b"\0\0\1\0meta\0\0\0\0",
        b"\0\0\0\0iinf\0\0\0\0\xff\xff",
        b"\0\0\0\x15infe\2\0\0\0\0\1\0\0Exif\0",
    ),
    b"\0\0\0\0iloc\1\0\0\0\0\0\xff\xff\0\1\0\0\0\0\xff\xff",
)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_metadata_in_photos(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"

    @fuzzed
    @given(
        st.sampled_from(PHOTOS),
        st.floats(0, 1),
        photo_parts,
        st.sampled_from([0, 1, 4, 2**40]),
    )
    @lean
    def holds(content: bytes, place: float, damage: bytes, skipped: int) -> None:
        at = int(place * len(content))
        photo.write_bytes(content[:at] + damage + content[at + skipped :])
        with opened(photo) as file:
            found = read_embedded(file)
        assert all(len(reason) < LONG for reason in found.reasons)
        assert 0 <= found.metadata.rating <= 5

    fuzz(holds)


json_texts = values.map(lambda value: json.dumps(value).encode()) | pieces(
    *(
        b'{"title":',
        b'"photoTakenTime":{"timestamp":',
        b"}",
        b"[",
        b"]",
        b'"',
        b"9",
        b",",
        b"\\ud800",
    ),
    *(b'"people":[{"name":', b'"description":', b"null", b"1e9", b"\xff\xfe", b"\0", b"{"),
)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_takeout_files(tmp_path: Path) -> None:
    album = tmp_path / "metadata.json"

    @fuzzed
    @given(json_texts)
    @example(b'{"title":"x","photoTakenTime":{"timestamp":' + b"[" * 900 + b"]" * 900 + b"}}")
    @example(b'{"title":"x","photoTakenTime":{"timestamp":' + b"9" * 5000 + b"}}")
    @example(b'{"title":"x","photoTakenTime":{"timestamp":"999999999999"}}')
    @example(b'{"title":"\\ud800"}')
    @lean
    def holds(text: bytes) -> None:
        album.write_bytes(text)
        for read in (
            lambda: read_takeout(text, photo="a.jpg"),
            lambda: states_of(text),
            lambda: takeout_album(tmp_path),
        ):
            try:
                read()
            except ValueError as error:
                assert len(str(error)) < LONG

    fuzz(holds)


table_texts = pieces(
    *(
        b"path,title,date,latitude,longitude,level,tags,albums,",
        b"path;",
        b"title;",
        b"sep=",
        b"\n",
    ),
    *(
        b"a.jpg,",
        b"x/a.jpg,",
        b"C:\\a.jpg",
        b"../",
        b'"',
        b",",
        b";",
        b"\t",
        b"|",
        b"/",
        b"\r",
        b" ",
    ),
    *(
        b"2019-07-04",
        b"9",
        b"-",
        b"\xc2\xb0",
        b"'",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\0",
        b"PK\x03\x04",
    ),
)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_tables(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"

    @fuzzed
    @given(table_texts, st.booleans())
    @example(b"path,title\n" + b"a.jpg,x\n" * 3000, False)
    @example(b'path,title\n"' + b"a" * 2_000_000, False)
    @example(b"path,title,date\n" + b"a.jpg,x,1 2 3 4 5 6 7 8 9 " * 9000, False)
    @example(b"path,latitude,longitude\na.jpg," + b"9" * 5000 + b",1\n", False)
    @example(b"path," * 20_000, False)
    @lean
    def holds(text: bytes, headed: bool) -> None:
        file.write_bytes(b"path,title,date,level\n" + text if headed else text)
        try:
            table = Table(TableFile(file), roots=[tmp_path])
        except UsageError as error:
            assert error.hint
            assert len(error.message) + len(error.hint) < LONG
            return
        for photo in ("a.jpg", "x/a.jpg", "C:\\a.jpg"):
            table.count(tmp_path / photo)
            table.metadata_of(tmp_path / photo)
        assert all(len(problem.reason) < LONG for problem in table.problems)
        for number in range(min(len(table), 9)):
            table.row(number)
            table.is_ambiguous(number)

    fuzz(holds)


exports = pieces(
    *(
        b'{"albums":[{"title":"',
        b'","photos":["1",',
        b'"id":"12345","name":"',
        b'"geo":',
        b'"tags":[',
    ),
    *(b'{"tag":"', b"imgName,originalCreationDate\n", b'"Saturday June 4,2022 12:11 PM GMT"'),
    *(b"[Picasa]\nname=", b"[a.jpg]\n", b"[.album:", b"<contacts>", b"<contact id='1' name='"),
    *(
        b"UID: abc\n",
        b"Title: ",
        b"Type: album\n",
        b"TakenAt: ",
        b"Lat: ",
        b"Details:\n  Keywords: ",
    ),
    *(b"Photos:\n", b"- UID: ", b"&a ", b"*a", b"- ", b"? ", b"|\n", b"{", b"}", b"[", b"]"),
    *(b"'", b'"', b",", b"\n", b" ", b"9", b"\xff", b"</contacts>", b"'/>"),
)


EXPORT_READERS: tuple[Callable[[bytes], object], ...] = (
    *(lambda text: flickr.read_photo(text, number="12345"), flickr.read_albums),
    *(icloud.read_details, icloud.read_album, picasa.read_ini, picasa.read_contacts),
    *(photoprism.read_photo, photoprism.read_album),
)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_files_of_exports() -> None:
    @fuzzed
    @given(exports, st.sampled_from(EXPORT_READERS))
    @example(
        b'{"albums":[' + b'{"title":"a","photos":["12345"]},' * 9000 + b"{}]}", flickr.read_albums
    )
    @example(b"UID: abc\nTitle: &a [x]\nTakenAt: " + b"[" * 900, photoprism.read_photo)
    @example(b"UID: abc\n" + b"a:\n - " * 1000, photoprism.read_photo)
    @lean
    def holds(text: bytes, read: Callable[[bytes], object]) -> None:
        try:
            read(text)
        except ValueError as error:
            assert len(str(error)) < LONG

    fuzz(holds)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_file_lists(tmp_path: Path) -> None:
    words = (
        b"\0",
        b"\n",
        b"\r\n",
        b"a.jpg",
        b"/",
        b"..",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"x" * 300,
    )
    walk = Walk(EVERYTHING, endings=None)

    @fuzzed
    @given(pieces(*words), st.integers(1, 70_000), st.booleans())
    @example(b"a.jpg\nb\0c.jpg\n", 3, False)
    @example(b"/" + b"x" * 5000 + b"\n", 1000, False)
    @example(b"x" * LONGEST * 3, LONGEST, True)
    @lean
    def holds(text: bytes, size: int, from0: bool) -> None:
        splitter = Splitter("the list", from0=from0)
        names: list[bytes] = []
        try:
            for start in range(0, len(text), size):
                names += splitter.feed(text[start : start + size])
                assert len(splitter._rest) <= LONGEST
            names += splitter.end()
        except RunError as error:
            assert error.hint
        paths = [tmp_path / os.fsdecode(name) for name in names[:50]]
        assert len(walk.named(paths)) == len(paths)

    fuzz(holds)


CONTENTS = {b"a" * 99, b"c"}
names = st.text(min_size=1, max_size=20) | st.sampled_from(
    ["../a", "/a", "a/", "a\\b", "\0", "a//b"]
)


@pytest.mark.timeout(0 if FUZZ_S else 120)
def test_zip_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    sums = {hashlib.md5(content).hexdigest() for content in CONTENTS}

    @fuzzed
    @given(
        st.lists(names, max_size=4),
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
        st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
    )
    @lean
    def holds(members: list[str], method: int, damage: list[tuple[float, int]]) -> None:
        with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two members of one name
            for name, content in zip(members, cycle(CONTENTS)):
                archive.writestr(zipfile.ZipInfo(name), content, method)
        data = bytearray(path.read_bytes())
        for place, value in damage:
            data[int(place * (len(data) - 1))] = value
        path.write_bytes(data)
        found_all = list(Walk(EVERYTHING, endings=None).over([path]))
        assert len({found.path for found in found_all}) == len(found_all)
        for found in found_all:
            assert found.path.is_relative_to(path)
            assert ".." not in found.path.parts
            if isinstance(found, Unreadable):
                assert 0 < len(found.failure.message) < LONG
            if isinstance(found, Photo):
                with suppress(PhotoError), opened(found.path) as file:
                    assert file.md5() in sums or not file.size

    fuzz(holds)
