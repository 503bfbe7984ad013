"""Where a file is put: nothing is overwritten, and nothing is lost whatever lies there already."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from anyio import CancelScope, from_thread, to_thread

from bulkup.errors import PhotoChanged, PhotoError, UsageError
from bulkup.source.disposal import Mover, _is_one_folder
from bulkup.source.filters import Filters, Patterns, read_flag
from bulkup.source.photos import Photo
from tests.support.disks import disk, protect

__all__ = ["disk"]


def photo_at(path: Path, content: bytes = b"a photo") -> Photo:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    status = path.stat()
    return Photo(path, status.st_size, status.st_mtime_ns)


def link(path: Path, target: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target)
    return path


async def put(photo: Photo, done: Path, *roots: Path) -> Path:
    return await to_thread.run_sync(lambda: Mover(done, roots=roots).put(photo))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    return folder


@pytest.fixture
def second_way(root: Path, tmp_path: Path) -> Iterator[Path]:
    """Mount the root a second time, where the system lets us."""
    way = tmp_path / "way"
    way.mkdir()
    command = ["mount", "--bind", str(root), str(way)]
    if subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603
        pytest.skip("no right to mount a folder twice")
    yield way
    subprocess.run(["umount", "-l", str(way)], check=True)  # noqa: S603, S607


@pytest.fixture(params=["same disk", "other disk"])
def done(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    shm = Path("/dev/shm")
    if request.param == "same disk":
        yield tmp_path / "done"
    elif not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second disk")
    else:
        with TemporaryDirectory(dir=shm) as folder:
            yield Path(folder) / "done"


def held(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


async def test_the_folders_below_the_root_are_kept(root: Path, done: Path) -> None:
    photo = photo_at(root / "DCIM" / "100" / "a.jpg")
    where = await put(photo, done, root)
    assert where == done / "DCIM" / "100" / "a.jpg"
    assert held(done) == {"DCIM/100/a.jpg": b"a photo"}
    assert where.stat().st_mtime_ns == photo.mtime_ns
    assert held(root) == {}
    assert (root / "DCIM" / "100").is_dir()


async def test_large_files_arrive_whole(root: Path, done: Path) -> None:
    content = os.urandom(3 * 1024 * 1024 + 17)
    await put(photo_at(root / "a.mp4", content), done, root)
    assert held(done) == {"a.mp4": content}


async def test_a_named_file_lands_in_the_folder_itself(root: Path, done: Path) -> None:
    photo = photo_at(root / "sub" / "a.jpg")
    assert await put(photo, done, photo.path) == done / "a.jpg"


async def test_a_file_of_a_list_keeps_its_folders(
    tmp_path: Path, root: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "sub").mkdir()
    for name in ("2019/a.jpg", "sub/../2020/a.jpg"):
        await put(photo_at(Path(name)), done)
    assert held(done) == {"2019/a.jpg": b"a photo", "2020/a.jpg": b"a photo"}
    elsewhere = photo_at(tmp_path / "elsewhere" / "a.jpg")
    assert await put(elsewhere, done) == done / elsewhere.path.relative_to("/")
    with pytest.raises(PhotoError, match="already"):
        await put(photo_at(done / "2019" / "b.jpg"), done)
    assert (done / "2019" / "b.jpg").is_file()
    assert held(root) == {}


async def test_an_equal_file_there_makes_this_one_needless(root: Path, done: Path) -> None:
    photo_at(done / "a.jpg")
    assert await put(photo_at(root / "a.jpg"), done, root) == done / "a.jpg"
    assert held(done) == {"a.jpg": b"a photo"}
    assert held(root) == {}


async def test_another_file_there_stays_and_this_one_gets_a_number(root: Path, done: Path) -> None:
    photo_at(done / "a.jpg", b"another")
    (done / "a (2).jpg").mkdir()
    assert await put(photo_at(root / "a.jpg"), done, root) == done / "a (3).jpg"
    assert held(done) == {"a.jpg": b"another", "a (3).jpg": b"a photo"}
    again = photo_at(root / "a.jpg")
    assert await put(again, done, root) == done / "a (3).jpg"
    assert held(root) == {}


async def test_a_link_to_the_file_itself_is_not_taken_for_a_copy(root: Path, done: Path) -> None:
    photo = photo_at(root / "a.jpg")
    link(done / "a.jpg", photo.path)
    assert await put(photo, done, root) == done / "a (2).jpg"
    assert (done / "a (2).jpg").read_bytes() == b"a photo"


async def test_a_file_that_lies_there_already_stays(tmp_path: Path, root: Path) -> None:
    photo = photo_at(root / "a.jpg")
    with pytest.raises(PhotoError, match="it is the same file"):
        await put(photo, root, photo.path)
    done = tmp_path / "done"
    link(done, root)
    with pytest.raises(PhotoError, match="it is the same file"):
        await put(photo, done, photo.path)
    assert held(root) == {"a.jpg": b"a photo"}


@pytest.mark.parametrize("number", ["", " (2)"])
async def test_a_second_name_of_the_file_is_not_taken_for_a_copy(
    tmp_path: Path, root: Path, number: str
) -> None:
    photo = photo_at(root / "a.jpg")
    done = tmp_path / "done"
    if number:
        photo_at(done / "a.jpg", b"another")
    else:
        done.mkdir()
    (done / f"a{number}.jpg").hardlink_to(photo.path)
    before = held(done)
    with pytest.raises(PhotoError, match="it is the same file"):
        await put(photo, done, root)
    assert held(root) == {"a.jpg": b"a photo"}
    assert held(done) == before


async def test_the_same_folder_by_a_link_further_up_loses_nothing(
    tmp_path: Path, root: Path
) -> None:
    photo = photo_at(root / "DCIM" / "a.jpg")
    link(tmp_path / "other" / "way", root)
    with pytest.raises(PhotoError, match="it is the same file"):
        await put(photo, tmp_path / "other" / "way" / "DCIM", photo.path)
    assert held(root) == {"DCIM/a.jpg": b"a photo"}


def test_a_folder_whose_names_show_in_another_is_the_same(tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert _is_one_folder(root, link(tmp_path / "way" / "there", root))
    assert not _is_one_folder(root, other)
    assert held(root) == held(other) == {}


async def test_a_folder_that_is_mounted_twice_is_still_one(root: Path, second_way: Path) -> None:
    photo = photo_at(root / "a.jpg")
    for folder in (second_way, second_way / "sub"):
        with pytest.raises(UsageError, match="lies inside"):
            await put(photo, folder, root)
    with pytest.raises(PhotoError, match="it is the same file"):
        await put(photo, second_way, photo.path)
    assert held(root) == {"a.jpg": b"a photo"}


async def test_a_file_that_changed_stays(root: Path, done: Path) -> None:
    photo = photo_at(root / "a.jpg")
    photo_at(root / "a.jpg", b"more of it")
    with pytest.raises(PhotoChanged):
        await put(photo, done, root)
    assert held(root) == {"a.jpg": b"more of it"}
    assert not held(done)


async def test_a_symbolic_link_stays(root: Path, done: Path) -> None:
    photo = photo_at(root / "a.jpg")
    path = link(root / "link.jpg", photo.path)
    with pytest.raises(PhotoError, match="symbolic link"):
        await put(Photo(path, photo.size, photo.mtime_ns), done, path)
    assert held(root).keys() == {"a.jpg", "link.jpg"}


async def test_what_is_in_the_way_is_told_and_nothing_is_left_behind(
    root: Path, done: Path
) -> None:
    photo_at(done / "sub", b"a file")
    with pytest.raises(PhotoError, match="it can't be moved to"):
        await put(photo_at(root / "sub" / "a.jpg"), done, root)
    name = "x" * 300 + ".jpg"
    photo = photo_at(root / "a.jpg")
    with pytest.raises(PhotoError):
        await put(Photo(root / name, photo.size, photo.mtime_ns), done, root)
    assert held(root) == {"sub/a.jpg": b"a photo", "a.jpg": b"a photo"}
    assert held(done) == {"sub": b"a file"}


async def test_whoever_cancels_finds_no_half_copy(root: Path, tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as shm:
        if Path(shm).stat().st_dev == tmp_path.stat().st_dev:  # noqa: ASYNC240
            pytest.skip("no second disk")
        photo = photo_at(root / "a.mp4", os.urandom(5 * 1024 * 1024))
        mover = await to_thread.run_sync(lambda: Mover(Path(shm) / "done", roots=[root]))
        with CancelScope() as scope:

            def cancel_and_put() -> None:
                from_thread.run_sync(scope.cancel)
                mover.put(photo)

            await to_thread.run_sync(cancel_and_put)
        assert scope.cancelled_caught
        assert held(Path(shm)) == {}
    assert held(root).keys() == {"a.mp4"}


async def test_a_full_disk_leaves_the_file_and_no_half_copy(root: Path, disk: Path) -> None:
    photo = photo_at(root / "a.mp4", os.urandom(400_000))
    with pytest.raises(PhotoError, match="No space left"):
        await put(photo, disk, root)
    assert held(disk) == {}
    assert held(root).keys() == {"a.mp4"}


async def test_from_a_write_protected_disk_nothing_is_copied(tmp_path: Path, disk: Path) -> None:
    photo = photo_at(disk / "a.jpg")
    await protect(disk)
    done = tmp_path / "done"
    with pytest.raises(PhotoError, match="may not be written to"):
        await put(photo, done, disk)
    assert not held(done)


@pytest.mark.parametrize("inside", [".", "sub", "sub/../done"])
def test_a_folder_that_the_next_run_would_walk_is_refused(root: Path, inside: str) -> None:
    with pytest.raises(UsageError, match="lies inside"):
        Mover(root / inside, roots=[root])


def test_a_folder_that_is_left_out_inside_is_no_trouble(root: Path) -> None:
    rule = read_flag("done/", take=False, flag="--exclude")
    Mover(root / "done", roots=[root], filters=Filters(patterns=Patterns((rule,))))
    with pytest.raises(UsageError, match="lies inside"):
        Mover(root / ".done", roots=[root], filters=Filters(default_excludes=False))


def test_a_hidden_folder_inside_is_no_trouble(root: Path) -> None:
    Mover(root / ".done", roots=[root])


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path, root: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        Mover(tmp_path / "no" / "done", roots=[root])
    photo_at(tmp_path / "file")
    with pytest.raises(UsageError, match="is no folder"):
        Mover(tmp_path / "file", roots=[root])
