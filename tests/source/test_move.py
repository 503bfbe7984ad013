"""Where files are moved: nothing is overwritten, and nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from anyio import CancelScope, from_thread, to_thread

from bulkup.errors import PhotoChanged, PhotoError, UsageError
from bulkup.source.filters import Filters, Patterns, read_flag
from bulkup.source.move import Mover, _is_one_folder
from bulkup.source.photos import Photo
from tests.support.disks import disk, protect
from tests.support.walks import link, photo_at

__all__ = ["disk"]

PHOTO = b"a photo"


async def put(photo: Photo, done: Path, *roots: Path) -> Path:
    return await to_thread.run_sync(lambda: Mover(done, roots=roots).put(photo))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    return folder


@pytest.fixture
def photo(root: Path) -> Photo:
    return photo_at(root / "a.jpg", PHOTO)


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


async def test_a_file_arrives_whole_in_its_folders_below_the_root(root: Path, done: Path) -> None:
    content = os.urandom(3 * 1024 * 1024 + 17)
    photo = photo_at(root / "DCIM" / "100" / "a.mp4", content)
    where = await put(photo, done, root)
    assert where == done / "DCIM" / "100" / "a.mp4"
    assert held(done) == {"DCIM/100/a.mp4": content}
    assert where.stat().st_mtime_ns == photo.mtime_ns
    assert held(root) == {}
    assert (root / "DCIM" / "100").is_dir()
    named = photo_at(root / "sub" / "a.jpg", PHOTO)  # it lands in the folder itself
    assert await put(named, done, named.path) == done / "a.jpg"


async def test_a_file_of_a_list_keeps_its_folders(
    tmp_path: Path, root: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "sub").mkdir()
    for name in ("2019/a.jpg", "sub/../2020/a.jpg"):
        await put(photo_at(Path(name), PHOTO), done)
    assert held(done) == {"2019/a.jpg": PHOTO, "2020/a.jpg": PHOTO}
    elsewhere = photo_at(tmp_path / "elsewhere" / "a.jpg", PHOTO)
    assert await put(elsewhere, done) == done / elsewhere.path.relative_to("/")
    with pytest.raises(PhotoError, match="already"):
        await put(photo_at(done / "2019" / "b.jpg", PHOTO), done)
    assert (done / "2019" / "b.jpg").is_file()
    assert held(root) == {}


async def test_an_equal_file_replaces_this_one_and_another_gets_a_number(
    root: Path, photo: Photo, done: Path
) -> None:
    photo_at(done / "a.jpg", PHOTO)
    (done / "a (2).jpg").mkdir()
    assert await put(photo, done, root) == done / "a.jpg"
    for _ in range(2):  # the second time an equal one is there
        other = photo_at(root / "a.jpg", b"another")
        assert await put(other, done, root) == done / "a (3).jpg"
    assert held(done) == {"a.jpg": PHOTO, "a (3).jpg": b"another"}
    assert held(root) == {}
    linked = photo_at(root / "b.jpg", PHOTO)
    link(done / "b.jpg", linked.path)  # a link to the file itself is no copy
    assert await put(linked, done, root) == done / "b (2).jpg"
    assert (done / "b (2).jpg").read_bytes() == PHOTO


async def test_a_file_stays_that_is_in_the_folder_already_under_another_path_or_name(
    tmp_path: Path, root: Path
) -> None:
    photo = photo_at(root / "DCIM" / "a.jpg", PHOTO)
    folder = photo.path.parent
    way = link(tmp_path / "other" / "way", root)  # further up than the folder
    for done in (folder, link(tmp_path / "link", folder), way / "DCIM"):
        with pytest.raises(PhotoError, match="it is the same file"):
            await put(photo, done, photo.path)
    done = tmp_path / "done"
    for name in ("a (2).jpg", "a.jpg"):
        photo_at(done / "a.jpg", b"another")
        (done / name).unlink(missing_ok=True)
        (done / name).hardlink_to(photo.path)
        before = held(done)
        with pytest.raises(PhotoError, match="it is the same file"):
            await put(photo, done, folder)
        assert held(done) == before
    assert held(root) == {"DCIM/a.jpg": PHOTO}


def test_a_folder_whose_names_show_in_another_is_the_same(tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert _is_one_folder(root, link(tmp_path / "way" / "there", root))
    assert not _is_one_folder(root, other)
    assert held(root) == held(other) == {}


async def test_a_folder_mounted_twice_is_one(root: Path, photo: Photo, second_way: Path) -> None:
    for folder in (second_way, second_way / "sub"):
        with pytest.raises(UsageError, match="lies inside"):
            await put(photo, folder, root)
    with pytest.raises(PhotoError, match="it is the same file"):
        await put(photo, second_way, photo.path)
    assert held(root) == {"a.jpg": PHOTO}


async def test_a_link_and_a_file_that_changed_stay(root: Path, photo: Photo, done: Path) -> None:
    path = link(root / "link.jpg", photo.path)
    with pytest.raises(PhotoError, match="symbolic link"):
        await put(replace(photo, path=path), done, path)
    photo_at(photo.path, b"more of it")
    with pytest.raises(PhotoChanged):
        await put(photo, done, root)
    assert held(root) == dict.fromkeys(("a.jpg", "link.jpg"), b"more of it")
    assert not held(done)


async def test_an_obstacle_is_reported_and_nothing_is_left_behind(
    root: Path, photo: Photo, done: Path
) -> None:
    photo_at(done / "sub", b"a file")
    with pytest.raises(PhotoError, match="it can't be moved to"):
        await put(photo_at(root / "sub" / "a.jpg", PHOTO), done, root)
    with pytest.raises(PhotoError):
        await put(replace(photo, path=root / ("x" * 300 + ".jpg")), done, root)
    assert held(root) == {"sub/a.jpg": PHOTO, "a.jpg": PHOTO}
    assert held(done) == {"sub": b"a file"}


async def test_a_cancelled_copy_leaves_no_partial_file(root: Path, tmp_path: Path) -> None:
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


async def test_a_full_disk_gets_no_partial_copy_and_a_write_protected_one_gives_none(
    tmp_path: Path, root: Path, disk: Path
) -> None:
    photo = photo_at(root / "a.mp4", os.urandom(400_000))
    with pytest.raises(PhotoError, match="No space left"):
        await put(photo, disk, root)
    assert held(disk) == {}
    assert held(root).keys() == {"a.mp4"}
    photo = photo_at(disk / "a.jpg", PHOTO)
    await protect(disk)
    with pytest.raises(PhotoError, match="is not writable"):
        await put(photo, tmp_path / "done", disk)
    assert not held(tmp_path / "done")


def test_a_folder_that_can_not_be_created_or_that_the_next_run_would_walk_is_refused(
    tmp_path: Path, root: Path
) -> None:
    photo_at(tmp_path / "file", PHOTO)
    for name in ("no/done", "file"):
        with pytest.raises(UsageError, match="is not a folder"):
            Mover(tmp_path / name, roots=[root])
    for inside in (".", "sub", "sub/../done"):
        with pytest.raises(UsageError, match="lies inside"):
            Mover(root / inside, roots=[root])
    rule = read_flag("done/", take=False, flag="--exclude")
    Mover(root / "done", roots=[root], filters=Filters(patterns=Patterns((rule,))))
    Mover(root / ".done", roots=[root])  # hidden
    with pytest.raises(UsageError, match="lies inside"):
        Mover(root / ".done", roots=[root], filters=Filters(default_excludes=False))
