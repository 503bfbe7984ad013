"""New private albums are shared with groups and users of the gallery."""

from pathlib import Path

import pytest

from bulkup.piwigo import sharing
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.accounts import Permission
from bulkup.sandbox.gallery import Group
from bulkup.sandbox.versions import VERSIONS
from tests.support.commands import PASSWORD, UPLOADS, send
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
async def test_new_albums_are_shared_and_those_that_exist_are_not(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MOST_LISTED", 2)
    write_photo(tmp_path / "Rome" / "a.jpg", "a")
    names = ("friends", "--share-with", "group:family", "--share-with", "Zoë 'Q' <b>")
    async with gallery(version) as box:
        box.gallery.albums[1].status = "private"
        planned = await send(box, tmp_path / "Rome", "--tree", *PRIVATE, *names, "--dry-run")
        assert "pwg.permissions.add" not in calls(box)
        first = await send(box, tmp_path / "Rome", "--tree", *PRIVATE, *names)
        write_photo(tmp_path / "Rome" / "Day" / "b.jpg", "b")
        again = await send(box, tmp_path / "Rome", "--tree", *PRIVATE, "user:bob")
        ids = {album.name: album.id for album in box.gallery.albums.values()}
        flags = (tmp_path / "Rome", "--tree", "--private", "--no-ledger")
        good = await send(box, "verify", *flags)
        box.gallery.albums[ids["Day"]].status = "public"
        bad = await send(box, "verify", *flags)
    assert [e.code for e in (planned, first, again, good, bad)] == [0, 0, 0, 0, 1]
    assert f"is in album {ids['Day']}, which is public" in bad.err
    assert "a.jpg" not in bad.err
    rome, day = ids["Rome"], ids["Day"]
    assert box.gallery.group_access == {(group, album) for group in (7, 8) for album in (1, rome)}
    assert {row for row in box.gallery.user_access if row[0] > 1} == {
        *((5, 1), (5, rome)),
        *((BOB, 1), (BOB, rome), (BOB, day)),
    }
    assert "the private album “Sandbox” is shared too" in first.err
    assert "the private album “Rome” is shared too" in again.err


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
    assert "the new album “New” could not be shared" in ended.err


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
