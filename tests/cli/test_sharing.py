"""New private albums are shared with groups and users of the gallery."""

from functools import partial
from pathlib import Path

import pytest

from bulkup.piwigo import sharing
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.accounts import Permission
from bulkup.sandbox.gallery import Group
from bulkup.sandbox.versions import VERSIONS
from tests.support.commands import PASSWORD, UPLOADS, has_rows, send, start
from tests.support.faults import HookedFaults
from tests.support.galleries import calls
from tests.support.photos import write_photo

PRIVATE = ("--private", "--no-ledger", "--share-with")
BOB = 3


def gallery(version: str = "16.4.0", *, faults: Faults | None = None) -> Sandbox:
    users = {"bob": PASSWORD, "Family": PASSWORD, "Zoë 'Q' <b>": PASSWORD}
    box = Sandbox(version=version, faults=faults, admin=("admin", PASSWORD), users=users)
    box.gallery.groups = {7: Group("family"), 8: Group("Friends", {BOB})}
    return box


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_private_albums_of_a_run_are_shared(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MOST_LISTED", 2)
    write_photo(tmp_path / "Rome" / "a.jpg", "a")
    names = ("friends", "--share-with", "group:family", "--share-with", "Zoë 'Q' <b>")
    async with gallery(version) as box:
        box.gallery.albums[1].status = "private"
        box.gallery.give_access([1], users={1})
        planned = await send(box, tmp_path / "Rome", "--tree", *PRIVATE, *names, "--dry-run")
        assert "the private album “Sandbox” gets shared, too" in planned.err
        assert "pwg.permissions.add" not in calls(box)
        first = await send(box, tmp_path / "Rome", "--tree", *PRIVATE, *names)
        write_photo(tmp_path / "Rome" / "Day" / "b.jpg", "b")
        again = await send(box, tmp_path / "Rome", "--tree", *PRIVATE, "user:bob")
        ids = {album.name: album.id for album in box.gallery.albums.values()}
        asked = calls(box)["pwg.permissions.add"]
        last = await send(box, tmp_path / "Rome", "--tree", *PRIVATE, "user:bob")
        assert calls(box)["pwg.permissions.add"] == asked
        assert "gets shared" not in last.err
    assert [ended.code for ended in (planned, first, again, last)] == [0] * 4
    rome, day = ids["Rome"], ids["Day"]
    assert box.gallery.group_access == {(group, album) for group in (7, 8) for album in (1, rome)}
    assert {row for row in box.gallery.user_access if row[0] > 1} == {
        *((5, 1), (5, rome)),
        *((BOB, 1), (BOB, rome), (BOB, day)),
    }
    assert "the private album “Sandbox” gets shared, too" in first.err
    assert "gets shared" not in again.err  # bob has access to “Rome”, as one of his friends


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
async def test_who_sees_private_albums_is_verified(tmp_path: Path, version: str) -> None:
    root = tmp_path / "Rome"
    write_photo(root / "a.jpg", "a")
    write_photo(root / "Day 'n' <b> 🙂" / "b.jpg", "b")
    names = ("bob", "--share-with", "group:family")
    async with gallery(version) as box:
        assert (await send(box, root, "--tree", *PRIVATE, *names)).code == 0
        verify = partial(send, box, "verify", root, "--tree", "--private", "--no-ledger")
        assert (await verify()).code == (await verify("--share-with", *names)).code == 0
        assert calls(box)["pwg.permissions.getList"] == 1
        rome = next(album for album in box.gallery.albums.values() if album.name == "Rome")
        day = next(album for album in box.gallery.albums.values() if album.parent == rome.id)
        fewer = await verify("--share-with", "Bob")
        assert has_rows(fewer, "2 +albums +not shown as asked")
        assert f"album {rome.id} can be seen by group:family, too" in fewer.err
        box.gallery.user_access.discard((BOB, rome.id))
        box.gallery.group_access |= {(8, day.id), (7, day.id)}
        other = await verify("--share-with", *names)
        assert f"album {rome.id} can't be seen by bob" in other.err
        assert f"album {day.id} can be seen by group:Friends, too" in other.err
        day.status = "public"
        public = await verify()
        assert f"album {day.id} is public" in public.err
        assert has_rows(public, "1 +albums +not shown as asked")
        assert (fewer.code, other.code, public.code) == (1, 1, 1)
        assert (await send(box, root, "--tree", *PRIVATE, *names)).code == 0
        assert (BOB, rome.id) in box.gallery.user_access


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
@pytest.mark.parametrize("nth", [0, 1])
async def test_killed_before_it_shares_an_album_the_next_run_does(
    tmp_path: Path, version: str, nth: int
) -> None:
    root = tmp_path / "Rome"
    write_photo(root / "Day" / "b.jpg", "b")
    flags = (
        root,
        "--tree",
        "--private",
        "--share-with",
        "group:family",
        "--ledger",
        tmp_path / "l",
    )
    faults = HookedFaults(
        Fault("request-lost", "pwg.permissions.add", nth), method="pwg.permissions.add", nth=nth
    )
    async with gallery(version, faults=faults) as box:
        async with await start(box, *flags) as process:
            faults.act = process.kill
            assert await process.wait() == -9
        made = sorted(set(box.gallery.albums) - {1})
        assert len(made) == nth + 1
        assert len(box.gallery.group_access) == nth
        faults.on = False
        assert (await send(box, *flags)).code == 0
        private = [album.id for album in box.gallery.albums.values() if album.id > 1]
        assert box.gallery.group_access == {(7, album) for album in private}
        assert len(private) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Nobody%", "neither a group nor a user at {url} is named “Nobody%”"),
        ("group:bob", "no group at {url} is named “bob”"),
        ("Family", "“Family” is the name of a group and of a user"),
    ],
)
async def test_a_name_that_is_not_one_group_or_user_ends_the_run(
    tmp_path: Path, name: str, words: str
) -> None:
    write_photo(tmp_path / "a.jpg", "a")
    async with gallery() as box:
        flags = ("--album", "Trips/New", "--create-albums")
        ended = await send(box, tmp_path, *flags, *PRIVATE, "bob", "--share-with", name)
        assert len(box.gallery.albums) == 1
        assert not UPLOADS & calls(box).keys()
    assert ended.code == 3
    assert words.format(url=box.url) in ended.err


async def test_an_album_that_could_not_be_shared_is_reported(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.jpg", "a")
    down = [Fault("empty-500-before", "pwg.permissions.add", nth) for nth in range(99)]
    async with gallery(faults=Faults(down)) as box:
        flags = ("--album", "New", "--create-albums", "--retries", "0")
        ended = await send(box, tmp_path, *flags, *PRIVATE, "bob")
    assert ended.code == 0
    assert "the album “New” could not be shared" in ended.err


async def test_only_administrators_share(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.jpg", "a")
    rights = [Permission(create=True)]
    async with Sandbox(users={"bob": PASSWORD}, community=rights) as box:
        ended = await send(box, tmp_path, "--tree", *PRIVATE, "bob", user="bob", password=PASSWORD)
    assert ended.code == 3
    assert "only administrators of the gallery may share albums" in ended.err


async def test_a_gallery_without_the_methods_is_named(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.jpg", "a")
    methods = {"pwg.session.login", "pwg.session.getStatus", "pwg.images.upload"}
    async with Sandbox(admin=("admin", PASSWORD), only=methods) as box:
        ended = await send(box, tmp_path, "--tree", *PRIVATE, "bob")
    assert ended.code == 3
    assert "albums can't be shared" in ended.err


async def test_privacy_is_only_checked_of_named_albums(box: Sandbox, tmp_path: Path) -> None:
    ended = await send(box, "verify", tmp_path, "--private", album="")
    assert ended.code == 2
    assert "--private checks the albums of the photos" in ended.err
    ended = await send(box, "verify", tmp_path, "--share-with", "bob")
    assert ended.code == 2
    assert "--share-with requires --private" in ended.err
