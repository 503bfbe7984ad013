"""Zip archives as folders: hostile ones too, and members that are read in pieces."""

import hashlib
import shlex
import struct
import zipfile
import zlib
from pathlib import Path
from random import Random

import pytest
from anyio import to_thread

from bulkup.errors import PhotoChanged, PhotoError, UsageError
from bulkup.source import zips
from bulkup.source.files import PIECE, FolderCache, is_gone, version
from bulkup.source.filters import Filters, read_flag
from bulkup.source.pairing import PairedFile, paired
from bulkup.source.photos import Chunk, Photo, fingerprint, plan_chunks, read_chunk
from bulkup.source.scan import Unreadable, check_roots, find, scan
from tests.support import archives
from tests.support.archives import number, patch_headers, write_zip
from tests.support.walks import put, scanned

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
BIG = Random(1).randbytes(PIECE) + bytes(PIECE) + Random(2).randbytes(999)


def member(path: Path) -> Photo:
    return Photo(path, *version(path))


async def at(path: Path) -> Photo:
    return await to_thread.run_sync(member, path)


async def content(photo: Photo, chunks: tuple[Chunk, ...]) -> bytes:
    return b"".join([piece for chunk in chunks async for piece in read_chunk(photo, chunk)])


def test_members_are_found_like_files_in_folders(tmp_path: Path) -> None:
    names = ["b/2.jpg", "a.jpg", "b/.x.jpg", "a.jpg.xmp", "b/raw/3.jpg", "./c/4.JPG", "5.txt"]
    path = write_zip(tmp_path / "A.ZIP", dict.fromkeys(names, b"x") | {"empty/": b""})
    assert scanned(path, endings=["jpg"]) == {
        "taken": ["a.jpg", "b/2.jpg", "b/raw/3.jpg", "c/4.JPG"],
        "junk": ["b/.x.jpg"],
        "sidecar": ["a.jpg.xmp"],
        "type": ["5.txt"],
    }
    order = [found.path.name for found in scan([path], endings=["jpg"])]
    assert order == ["5.txt", "a.jpg", "a.jpg.xmp", ".x.jpg", "2.jpg", "3.jpg", "4.JPG"]
    assert set(scanned(path, Filters(min_size=2))) == {"size", "junk"}


def test_several_archives_are_one_tree_of_which_each_folder_is_listed_once(
    tmp_path: Path,
) -> None:
    one = write_zip(tmp_path / "1.zip", {"b/1.jpg": b"x", "a/1.jpg": b"x", "1.jpg": b"x"})
    two = write_zip(tmp_path / "2.zip", {"a/0.jpg": b"x", "c/d.jpg": b"x", "a.xmp": b"x"})
    put(tmp_path / "0.jpg")
    broken = put(tmp_path / "3.zip", b"no archive")
    roots = [one, tmp_path / "0.jpg", broken, two]
    assert [found.path for found in scan(roots, endings=None)] == [
        *(broken, one / "1.jpg", two / "a.xmp", one / "a/1.jpg", two / "a/0.jpg"),
        *(one / "b/1.jpg", two / "c/d.jpg", tmp_path / "0.jpg"),
    ]

    listed: list[set[str]] = []
    folders = FolderCache(lambda files: listed.append({*files}), parts=[one, two], most=2)
    for folder in (one, two, one / "a", two / "a", one / "b", two / "a"):
        folders.of(folder)
    assert listed == [{"1.jpg", "a.xmp"}, {"0.jpg", "1.jpg"}, {"1.jpg"}]
    folders.of(tmp_path / "1.zip")  # the last two were kept
    FolderCache(lambda files: listed.append({*files}), most=1).of(two / "a")
    assert listed[3:] == [{"1.jpg", "a.xmp"}, {"0.jpg"}]


def test_an_archive_in_a_folder_is_looked_into_only_where_it_is_given_itself(
    tmp_path: Path,
) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.jpg": b"x"})
    assert scanned(tmp_path, endings=["jpg"]) == {"type": ["a.zip"]}
    assert check_roots([tmp_path, path, path]) == [tmp_path, path]
    with pytest.raises(UsageError) as raised:
        check_roots([path / "it's [2] *new*"])
    rule = read_flag(shlex.split(raised.value.hint)[-1], take=True, flag="--include")
    assert rule.matches("it's [2] *new*/a.jpg")
    assert not rule.matches("it's 2 xnew/a.jpg")
    (tmp_path / "folder.zip").mkdir()
    put(tmp_path / "folder.zip" / "b.jpg")
    assert scanned(tmp_path / "folder.zip") == {"taken": ["b.jpg"]}


@pytest.mark.parametrize("method", METHODS)
async def test_a_member_is_read_in_any_order(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", {"b/a.jpg": BIG, "c.jpg": b"c"}, method=method)
    photo = await at(path / "b" / "a.jpg")
    assert photo.size == len(BIG)
    assert await fingerprint(photo) == (photo, hashlib.md5(BIG).hexdigest())
    chunks = plan_chunks(photo.size, chunk_size=300_000)
    assert await content(photo, chunks) == BIG
    for chunk in (*reversed(chunks), chunks[1], chunks[1]):  # retries
        expected = BIG[chunk.offset : chunk.offset + chunk.length]
        assert await content(photo, (chunk,)) == expected


async def test_of_many_members_read_at_once_each_is_whole(tmp_path: Path) -> None:
    contents = {f"{i}.jpg": Random(i).randbytes(5000) for i in range(zips.STREAMS + 5)}
    path = write_zip(tmp_path / "a.zip", contents, method=zipfile.ZIP_DEFLATED)
    photos = [await at(path / name) for name in contents]
    halves = plan_chunks(5000, chunk_size=4096)
    first = [await content(photo, halves[:1]) for photo in photos]
    second = [await content(photo, halves[1:]) for photo in photos]
    assert [a + b for a, b in zip(first, second, strict=True)] == list(contents.values())


async def test_a_member_that_changes_is_noticed_also_where_its_date_stays(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.jpg": b"one", "b.jpg": b"b"})
    photo, other = await at(path / "a.jpg"), await at(path / "b.jpg")
    write_zip(path, {"a.jpg": b"two", "b.jpg": b"b", "c.jpg": b""})
    with pytest.raises(PhotoChanged):
        await content(photo, plan_chunks(3, chunk_size=4096))
    assert await content(other, plan_chunks(1, chunk_size=4096)) == b"b"
    assert await at(path / "b.jpg") == other
    path.unlink()
    with pytest.raises(PhotoError) as caught:
        await fingerprint(other)
    assert caught.value.code == "vanished"


def test_a_member_is_gone_once_its_archive_lacks_it(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.jpg": b"x"})
    assert not is_gone(path / "a.jpg")
    assert is_gone(path / "b.jpg")
    path.write_bytes(b"broken")
    assert not is_gone(path / "a.jpg")
    path.unlink()
    assert is_gone(path / "a.jpg")


BAD_NAMES = ["../up.jpg", "a/../../up.jpg", "/abs.jpg", "C:/win.jpg", "a//b.jpg", "nul\0.jpg"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("x" * len(name))
        info.filename = name
        archive.writestr(info, b"x")
        archive.writestr("good.jpg", b"x")
    words = {found.path.name: found for found in scan([path], endings=["jpg"])}
    assert isinstance(words.pop("good.jpg"), Photo)
    (bad,) = words.values()
    assert isinstance(bad, Unreadable)
    assert bad.failure.code == "zip-name"
    assert bad.path.is_relative_to(path)
    assert ".." not in bad.path.parts


@pytest.mark.parametrize(
    ("raw", "flag", "name"),
    [
        ("é.jpg".encode(), 0, "é.jpg"),
        ("é.jpg".encode(), 0x800, "é.jpg"),
        (b"\x82.jpg", 0, "é.jpg"),
        ("日本🙂.jpg".encode(), 0, "日本🙂.jpg"),
        (b"a\nb'\".jpg", 0, "a\nb'\".jpg"),
        (b"a\\b.jpg", 0, "a/b.jpg"),
    ],
)
def test_names_of_other_encodings_and_systems(
    tmp_path: Path, raw: bytes, flag: int, name: str
) -> None:
    path = write_zip(tmp_path / "a.zip", {"x" * len(raw): b"x"})
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    patch_headers(path, offset=archives.FLAGS, value=number(flag, size=2))
    patch_headers(path, offset=5, value=b"\0")  # made on DOS
    (found,) = scan([path], endings=["jpg"])
    assert found == member(path / name)


@pytest.mark.parametrize("copy", ["Ёж.jpg", "../up.jpg", "of another name.jpg"])
def test_a_copy_of_a_name_in_utf8_counts_if_it_is_of_this_name(tmp_path: Path, copy: str) -> None:
    path, raw = tmp_path / "a.zip", "Ёж.jpg".encode("cp866")
    crc = zlib.crc32(b"other" if "another" in copy else raw)
    extra = struct.pack("<HHI", 0x5455, 4, 0)  # another field before it
    extra += struct.pack("<HHBI", 0x7075, 5 + len(copy.encode()), 1, crc) + copy.encode()
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("x" * len(raw))
        info.extra = extra
        archive.writestr(info, b"x")
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    (found,) = scan([path], endings=["jpg"])
    if copy.startswith(".."):
        assert isinstance(found, Unreadable)
    else:
        assert found.path.name == (raw.decode("cp437") if "another" in copy else copy)


async def test_each_damaged_or_hostile_member_is_named_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    contents = {f"{i}.jpg": Random(i).randbytes(3000) for i in range(7)}
    path = write_zip(tmp_path / "a.zip", contents)
    first = zipfile.ZipFile(path).getinfo("1.jpg").header_offset
    patch_headers(path, member=0, offset=archives.FLAGS, value=number(1, size=2))
    patch_headers(path, member=2, offset=archives.METHOD, value=number(99, size=2))
    patch_headers(path, member=3, offset=archives.SIZE, value=number(2**31))
    patch_headers(path, member=4, offset=archives.LOCAL, value=number(first))
    patch_headers(path, member=5, offset=archives.CRC, value=number(1))
    codes = {}
    for found in await to_thread.run_sync(lambda: list(scan([path], endings=["jpg"]))):
        if isinstance(found, Unreadable):
            codes[found.path.name] = found.failure.code
            continue
        assert isinstance(found, Photo)
        try:
            _, md5 = await fingerprint(found)
        except PhotoError as error:
            codes[found.path.name] = error.code
        else:
            assert md5 == hashlib.md5(contents[found.path.name]).hexdigest()
    assert codes == {
        "0.jpg": "zip-encrypted",
        "2.jpg": "zip-method",
        "3.jpg": "zip-bomb",
        "1.jpg": "zip-overlap",
        "4.jpg": "zip-overlap",
        "5.jpg": "zip-damaged",
    }


async def test_bombs_and_broken_compression(tmp_path: Path) -> None:
    contents = {"bomb.jpg": bytes(zips.BOMB_SIZE + 1), "flat.jpg": bytes(zips.BOMB_SIZE // 64)}
    path = write_zip(tmp_path / "a.zip", contents, method=zipfile.ZIP_DEFLATED)
    bomb, flat = await to_thread.run_sync(lambda: list(scan([path], endings=["jpg"])))
    assert isinstance(bomb, Unreadable)
    assert bomb.failure.code == "zip-bomb"
    assert isinstance(flat, Photo)
    await fingerprint(flat)
    path = write_zip(tmp_path / "b.zip", {"a.jpg": b"a" * 9000}, method=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[37] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(PhotoError) as caught:
        await fingerprint(await at(path / "a.jpg"))
    assert caught.value.code == "zip-damaged"


def test_of_two_members_with_one_name_the_second_is_named_unless_it_is_equal(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {"a.jpg": b"one", "b.jpg": b"two", "c.jpg": b"one"})
    path.write_bytes(path.read_bytes().replace(b"b.jpg", b"a.jpg").replace(b"c.jpg", b"a.jpg"))
    assert scanned(path, endings=["jpg"]) == {"taken": ["a.jpg"], "zip-twice": ["a (2).jpg"]}


@pytest.mark.parametrize("keep", [0, 10, 2000, -1])
def test_what_is_cut_off_or_no_archive_is_one_failure(tmp_path: Path, keep: int) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.jpg": BIG[:5000]})
    path.write_bytes(path.read_bytes()[:keep])
    (found,) = scan([path], endings=["jpg"])
    assert isinstance(found, Unreadable)
    assert (found.path, found.failure.code) == (path, "zip-broken")


async def test_a_raw_file_in_an_archive_is_paired_with_its_photo_in_any_part(
    tmp_path: Path,
) -> None:
    path = write_zip(tmp_path / "a-1.zip", {"b/1.jpg": b"j", "b/1.dng": b"d", "b/2.dng": b"d"})
    other = write_zip(tmp_path / "a-2.zip", {"b/1.cr2": b"r", "c/1.cr2": b"r", "b/2.png": b"p"})
    parts = [path, other]
    walk = paired(find(parts, endings=["jpg", "png"]), endings=["jpg", "png"], parts=parts)
    pairs = {
        found.path: found.of
        async for batch in walk
        for found in batch
        if isinstance(found, PairedFile)
    }
    assert pairs == {
        path / "b/1.dng": path / "b/1.jpg",
        other / "b/1.cr2": path / "b/1.jpg",
        path / "b/2.dng": other / "b/2.png",
    }


def test_an_archive_with_too_many_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zips, "DIRECTORY", 2000)
    path = write_zip(tmp_path / "a.zip", {f"{name}.jpg": b"x" for name in range(50)})
    (found,) = scan([path], endings=None)
    assert isinstance(found, Unreadable)
    assert "the list of its files is larger" in found.failure.message


async def test_a_stop_comes_between_the_archives(tmp_path: Path) -> None:
    paths = [write_zip(tmp_path / f"{name}.zip", {"a.jpg": b"x"}) for name in "ab"]
    sizes = [len(batch) async for batch in find(paths, endings=None)]
    assert sizes == [0, 0, 2]
