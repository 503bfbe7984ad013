"""Copies from one gallery to another one."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from aiohttp import web

from bulkup.sandbox import Fault, Sandbox
from bulkup.sandbox.faults import Kind
from bulkup.sandbox.gallery import StoredPhoto
from tests.support.commands import PASSWORD, Ended, Held, bulkup, interrupted, send, start
from tests.support.embedded import FOLDER
from tests.support.galleries import (
    albums_of,
    attached,
    calls,
    only_photo,
    photo_files,
    spoil,
    tags_of,
    uploads,
)
from tests.support.photos import files_in, write_files, write_photo, write_xmp

OLD_PASSWORD = "hunter3-secret"


@pytest.fixture
async def old() -> AsyncIterator[Sandbox]:
    """Run the gallery that photos are copied from."""
    async with Sandbox(
        admin=("chief", OLD_PASSWORD), version="13.8.0", path="/old/", albums=["Trips", "Else"]
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of temporary files, which is empty after each command."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def fill(old: Sandbox, *arguments: str | Path) -> None:
    ended = await bulkup(
        *arguments, url=old.url, user="chief", password=OLD_PASSWORD, finishing="1"
    )
    assert ended.code == 0, ended.err


async def copy(old: Sandbox, new: Sandbox, *arguments: str) -> Ended:
    ended = await bulkup(
        "from-piwigo",
        old.url,
        *arguments,
        url=new.url,
        user="admin",
        password=PASSWORD,
        from_user="chief",
        from_password=OLD_PASSWORD,
        finishing="1",
    )
    assert OLD_PASSWORD not in ended.out + ended.err
    return ended


def md5s(box: Sandbox) -> list[str]:
    return sorted(str(photo.md5) for photo in box.gallery.photos.values())


def named(box: Sandbox, file: str) -> StoredPhoto:
    return next(photo for photo in box.gallery.photos.values() if photo.file == file)


async def test_an_album_arrives_with_its_metadata_and_is_not_downloaded_twice(
    old: Sandbox, box: Sandbox, tmp_path: Path, spool: Path
) -> None:
    write_photo(photo := tmp_path / "a & b's.jpg", 1)
    write_xmp(
        photo, "sea", title="Tide", description="Two\nlines", author="Ann", date="2001-02-03"
    )
    await fill(old, photo, "--album", "1", "--level", "4")
    for _ in range(2):
        ended = await copy(old, box, "--from-album", "1", "--album", "1")
        assert ended.code == 0, ended.err
        assert not files_in(spool)
    found, there = only_photo(box), only_photo(old)
    assert (found.md5, found.file, found.level) == (there.md5, there.file, 4)
    assert (found.name, found.comment, found.author) == ("Tide", "Two\nlines", "Ann")
    assert found.date_creation == "2001-02-03 00:00:00"
    assert tags_of(box, found) == {"sea"}
    assert old.downloads == 1


async def test_trees_of_albums_arrive_and_equal_names_stay_apart(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    root = tmp_path / "2019 – “x” 🎈"
    write_files(root, "a.jpg", "Rome/a.jpg", "Rome/b.jpg", "Oslo/c.jpg")
    await fill(old, root, "--album", "1", "--tree")
    await fill(old, tmp_path / "2019 – “x” 🎈" / "Oslo" / "c.jpg", "--album", "2")
    top = "Trips"
    ended = await copy(old, box, "--from-album", "1", "--album", "1", "--tree", "--unwrap")
    assert ended.code == 0, ended.err
    wanted = {
        path.replace(top, "Sandbox", 1): files
        for path, files in albums_of(old).items()
        if path.startswith(top)
    }
    assert albums_of(box) == wanted
    ended = await copy(old, box, "--tree")
    assert ended.code == 0, ended.err
    assert albums_of(box) == wanted | albums_of(old)
    assert md5s(box) == md5s(old)
    assert old.downloads == 4


async def test_all_albums_of_a_photo_are_renamed_and_have_so_many_levels(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    write_files(tmp_path / "2019_Rome", "Day 1/Noon/a.jpg")
    write_files(tmp_path / "2020_Rome", "a.jpg", "b.jpg")
    await fill(old, tmp_path / "2019_Rome", tmp_path / "2020_Rome", "--album", "1", "--tree")
    flags = ("--tree", "--unwrap", "--album-levels", "2", "--rename-album", "^20(..)_=>")
    ended = await copy(old, box, "--from-album", "1", "--album", "1", *flags)
    assert ended.code == 0, ended.err
    assert albums_of(box) == {
        "Sandbox": [],
        "Sandbox/Rome": ["a.jpg", "b.jpg"],
        "Sandbox/Rome/Day 1": ["a.jpg"],
    }


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
async def test_albums_keep_descriptions_status_order_and_covers(
    box: Sandbox, tmp_path: Path, version: str
) -> None:
    write_files(
        root := tmp_path / "photos", *(f"{name}/{name}{n}.jpg" for name in "ab" for n in "123")
    )
    async with Sandbox(admin=("chief", OLD_PASSWORD), version=version) as old:
        await fill(old, root, "--tree", "--unwrap")
        albums = {album.name: album for album in old.gallery.albums.values()}
        albums["a"].comment = "Two\nlines & <b>more</b>"
        albums["b"].status = "private"
        old.gallery.give_access([albums["b"].id], users={1})
        empty = old.gallery.add_album("empty", status="private", parent=albums["a"].id)
        old.gallery.give_access([empty.id], users={1})
        old.gallery.order_albums([albums["b"].id, albums["Sandbox"].id, albums["a"].id])
        albums["a"].image_order = "`rank` ASC"
        for photo in old.gallery.photos.values():  # by its default order, 1 comes first
            photo.date_available = "2026-01-01 00:00:00"
        manual = [named(old, f"a{n}.jpg").id for n in "312"]
        old.gallery.ranks |= {(albums["a"].id, number): rank for rank, number in enumerate(manual)}
        albums["b"].representative = named(old, "b2.jpg").id
        for album in box.gallery.albums.values():
            album.name = "Mine"
        for _ in range(2):
            ended = await copy(old, box, "--tree")
            assert ended.code == 0, ended.err
            assert "2 private albums are private in the new gallery" in ended.err or _
    made = {album.name: album for album in box.gallery.albums.values()}
    in_order = sorted(box.gallery.albums.values(), key=lambda album: album.order)
    assert [album.name for album in in_order] == ["Mine", "b", "Sandbox", "a", "empty"]
    plain = "Two\nlines & more"  # older versions do not list HTML
    assert made["a"].comment == (plain if version < "16" else "Two\nlines & <b>more</b>")
    assert {name for name, album in made.items() if album.status == "private"} == {"b", "empty"}
    assert made["b"].representative == named(box, "b2.jpg").id
    ranks = {
        box.gallery.photos[photo].file: rank
        for (album, photo), rank in box.gallery.ranks.items()
        if album == made["a"].id
    }
    assert sorted(ranks, key=lambda file: ranks[file]) == ["a3.jpg", "a1.jpg", "a2.jpg"]
    assert "1 album does not show" in ended.err


async def test_private_albums_that_become_public_are_named_and_tags_choose_albums(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    write_files(root := tmp_path / "photos", "A/a.jpg", "A/Secret/b.jpg", "Mine/c.jpg")
    await fill(old, root, "--tree", "--unwrap", "--tag", "sea")
    albums = {album.name: album for album in old.gallery.albums.values()}
    for name in ("Secret", "Mine"):
        albums[name].status = "private"
        old.gallery.give_access([albums[name].id], users={1})
    box.gallery.make_album("Mine")
    flags = ("--tree", "--album-levels", "1", "--album-for-tag", "SEA=By tag/Sea")
    ended = await copy(old, box, *flags)
    assert ended.code == 0, ended.err
    assert "2 private albums are public in the new gallery" in ended.err
    assert "“Secret”, “Mine”" in ended.err
    assert albums_of(box)["By tag/Sea"] == ["a.jpg", "b.jpg", "c.jpg"]


async def test_photos_that_the_account_does_not_see_are_counted(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    await fill(old, *write_folder(tmp_path), "--album", "1")
    await fill(old, tmp_path / "photos" / "a.jpg", "--album", "2")
    old.gallery.albums[1].status = "private"
    ended = await copy(old, box, "--tree")
    assert ended.code == 0, ended.err
    assert "2 photos are not copied" in ended.err
    assert "“Trips”" in ended.err


async def test_order_and_covers_can_be_left_alone(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    await fill(old, *write_folder(tmp_path), "--album", "1")
    old.gallery.albums[1].image_order = "`rank` ASC"
    ended = await copy(old, box, "--from-album", "1", "--album", "1", "--no-arrange")
    assert ended.code == 0, ended.err
    assert not calls(box)["pwg.images.setRank"]


async def test_a_photo_without_md5_is_read_and_recognized(
    old: Sandbox, box: Sandbox, tmp_path: Path, spool: Path
) -> None:
    write_files(root := tmp_path / "photos", "a.jpg", "b.jpg")
    await fill(old, root, "--album", "1")
    await send(box, root / "b.jpg")
    for photo in old.gallery.photos.values():
        old.gallery.set_md5(photo, None)
    sent = uploads(box)
    ended = await copy(old, box, "--from-album", "1", "--album", "1")
    assert ended.code == 0, ended.err
    assert photo_files(box) == {"a.jpg", "b.jpg"}
    assert uploads(box) == sent + 1
    assert not files_in(spool)


async def test_originals_that_the_web_server_refuses_are_taken_through_piwigo(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    await fill(old, next(iter(write_folder(tmp_path))), "--album", "1")
    old.upload_closed = True
    ended = await copy(old, box, "--from-album", "1", "--album", "1")
    assert ended.code == 0, ended.err
    assert md5s(box) == md5s(old)


def write_folder(tmp_path: Path) -> list[Path]:
    write_files(root := tmp_path / "photos", "a.jpg", "b.jpg")
    return [root]


async def test_a_damaged_original_fails_and_the_others_arrive(
    old: Sandbox, box: Sandbox, tmp_path: Path, spool: Path
) -> None:
    await fill(old, *write_folder(tmp_path), "--album", "1")
    await spoil(old, named(old, "a.jpg").id)
    ended = await copy(old, box, "--from-album", "1", "--album", "1")
    assert ended.code == 1
    assert "not the photo whose MD5" in ended.err
    assert photo_files(box) == {"b.jpg"}
    assert not files_in(spool)


async def test_names_with_quotes_and_backslashes_are_those_of_the_photos(
    box: Sandbox, tmp_path: Path
) -> None:
    async with Sandbox(admin=("chief", OLD_PASSWORD), version="16.4.0") as old:
        await fill(old, *write_folder(tmp_path), "--album", "1")
        # as Piwigo 16 stores the names that its own form sends
        named(old, "a.jpg").file = r"O\&#039;Neil \&quot;x\&quot; &amp; co.jpg"
        named(old, "b.jpg").file = "two\nlines.jpg"
        ended = await copy(old, box, "--from-album", "1", "--album", "1", "-v")
        assert ended.code == 0, ended.err
    assert photo_files(box) == {'O\'Neil "x" & co.jpg', "two lines.jpg"}


async def test_an_original_that_the_disk_lacks_fails_and_the_others_arrive(
    old: Sandbox, box: Sandbox, tmp_path: Path, spool: Path
) -> None:
    await fill(old, *write_folder(tmp_path), "--album", "1")
    lost = named(old, "a.jpg")
    await old.gallery.contents.pop(lost.path).remove()
    ended = await copy(old, box, "--from-album", "1", "--album", "1")
    assert ended.code == 1
    assert f"{lost.id}/a.jpg" in ended.err
    assert "HTTP 404" in ended.err
    assert str(spool) not in ended.err
    assert photo_files(box) == {"b.jpg"}


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["truncated", "502"])
async def test_an_interrupted_download_is_repeated(
    old: Sandbox, box: Sandbox, tmp_path: Path, kind: Kind
) -> None:
    await fill(old, *write_folder(tmp_path), "--album", "1")
    old.faults.add(Fault(kind, "download", nth=0))
    ended = await copy(old, box, "--from-album", "1", "--album", "1")
    assert ended.code == 0, ended.err
    assert md5s(box) == md5s(old)


class Leaving(Sandbox):
    """A sandbox that goes away once it has handed out some originals."""

    most = 5

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.downloads >= self.most:
            return web.Response(status=502, content_type="text/html")
        return await super()._serve(request)


@pytest.mark.usefixtures("no_pauses")
async def test_a_source_that_goes_away_ends_the_run_and_the_next_one_continues(
    box: Sandbox, tmp_path: Path, spool: Path
) -> None:
    write_files(root := tmp_path / "photos", *(f"{number}.jpg" for number in range(12)))
    async with Leaving(admin=("chief", OLD_PASSWORD)) as old:
        await fill(old, root, "--album", "1")
        arguments = ("--from-album", "1", "--album", "1", "--patience", "0s")
        ended = await copy(old, box, *arguments)
        assert ended.code == 3
        assert old.url in ended.err
        assert not files_in(spool)
        old.most = 100
        ended = await copy(old, box, *arguments)
        assert ended.code == 0, ended.err
        assert md5s(box) == md5s(old)
        assert old.downloads <= 12 + 8


async def test_ctrl_c_finishes_the_photos_in_flight_and_leaves_no_files(
    old: Sandbox, tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(spool))
    write_files(root := tmp_path / "photos", *(f"{number:02}.jpg" for number in range(30)))
    await fill(old, root, "--album", "1")
    async with Held("pwg.images.uploadAsync", nth=3) as new:
        arguments = ("from-piwigo", old.url, "--from-album", "1", "--finishing", "1")
        process = await start(
            new, *arguments, from_user="chief", from_password=OLD_PASSWORD, concurrency="2"
        )
        await interrupted(new, process)
        assert 0 < len(new.gallery.photos) < 30
        assert not files_in(spool)
        ended = await copy(old, new, "--from-album", "1", "--album", "1")
        assert ended.code == 0, ended.err
        assert md5s(new) == md5s(old)


async def test_originals_that_were_made_smaller_are_copied_without_their_md5(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    await fill(old, *write_folder(tmp_path), "--album", "1")
    old.gallery.set_md5(named(old, "a.jpg"), "0" * 32)
    ended = await copy(old, box, "--from-album", "1", "--album", "1")
    assert ended.code == 1
    assert "--ignore-md5" in ended.err
    for _ in range(2):
        ended = await copy(old, box, "--from-album", "1", "--album", "1", "--ignore-md5")
        assert ended.code == 0, ended.err
    assert sorted(photo.file for photo in box.gallery.photos.values()) == ["a.jpg", "b.jpg"]


async def test_a_dry_run_downloads_and_changes_nothing(
    old: Sandbox, box: Sandbox, tmp_path: Path
) -> None:
    await fill(old, *write_folder(tmp_path), "--album", "1")
    ended = await copy(old, box, "--from-album", "1", "--album", "1", "--dry-run")
    assert ended.code == 0, ended.err
    assert (old.downloads, uploads(box)) == (0, 0)


@pytest.mark.parametrize("version", ["13.8.0", "16.4.0"])
@pytest.mark.parametrize("allowed", [["nef"], None])
async def test_formats_are_copied_once_or_counted(
    tmp_path: Path, version: str, allowed: list[str] | None, spool: Path
) -> None:
    (root := write_folder(tmp_path)[0]).joinpath("a.nef").write_bytes(b"RAW")
    async with (
        Sandbox(admin=("chief", OLD_PASSWORD), formats=["nef", "cr2"]) as old,
        Sandbox(admin=("admin", PASSWORD), formats=allowed, version=version) as new,
    ):
        await fill(old, root, "--album", "1", "--raw-as-format")
        assert attached(old)["a.jpg"]
        for _ in range(2):
            ended = await copy(old, new, "--from-album", "1", "--album", "1")
            assert ended.code == 0, ended.err
            assert not files_in(spool)
        taken = version > "16" and allowed is not None
        assert ("1 format is not copied" in ended.err) == (not taken)
        assert attached(new)["a.jpg"] == ([("nef", b"RAW")] if taken else [])


@pytest.mark.parametrize("plugin", ["", "new"])
async def test_positions_that_the_photos_lack_are_set_or_counted(
    old: Sandbox, tmp_path: Path, plugin: Literal["", "new"]
) -> None:
    (tmp_path / "a.jpg").write_bytes((FOLDER / "photo.jpg").read_bytes())
    write_photo(tmp_path / "b.jpg", 1)
    await fill(old, tmp_path / "a.jpg", tmp_path / "b.jpg", "--album", "1")
    assert named(old, "a.jpg").position
    named(old, "b.jpg").position = "1.500000", "2.500000"
    async with Sandbox(admin=("admin", PASSWORD), map_plugin=plugin) as new:
        ended = await copy(old, new, "--from-album", "1", "--album", "1")
        assert ended.code == 0, ended.err
        assert named(new, "a.jpg").position == named(old, "a.jpg").position
        assert named(new, "b.jpg").position == (("1.500000", "2.500000") if plugin else None)
    assert ("1 photo has a position" in ended.err) == (not plugin)


@pytest.mark.parametrize("origin", ["defaults", "profile", "key", "key file", "variable"])
async def test_the_account_of_the_source_comes_from_where_that_of_the_target_may(
    box: Sandbox, tmp_path: Path, origin: str
) -> None:
    async with Sandbox(admin=("chief", OLD_PASSWORD)) as old:
        await fill(old, *write_folder(tmp_path), "--album", "1")
        since, key = len(old.requests), ":".join(old.make_api_key())
        (file := tmp_path / "key").write_text(key)
        by_password = f'from-user = "chief"\nfrom-password = "{OLD_PASSWORD}"\n'
        wrong = 'from-password-command = "false"\n'
        config = {
            "defaults": f'[defaults]\nledger = "x"\n{by_password}',
            "profile": f"[defaults]\n{wrong}[profiles.p]\n{by_password}",
            "key": f'[profiles.p]\nfrom-api-key = "{key}"\n',
            "key file": f'[defaults]\n{wrong}[profiles.p]\nfrom-api-key-file = "{file}"\n',
            "variable": f"[profiles.p]\n{wrong}",
        }[origin]
        (tmp_path / "config.toml").write_text(config)
        ended = await bulkup(
            *("from-piwigo", old.url, "--from-album", "1", "--album", "1"),
            *([] if origin == "defaults" else ["--profile", "p"]),
            url=box.url,
            user="admin",
            password=PASSWORD,
            config=str(tmp_path / "config.toml"),
            from_api_key=key if origin == "variable" else "",
            finishing="1",
        )
        assert ended.code == 0, ended.err
        assert OLD_PASSWORD not in ended.err
        assert key not in ended.err
        logged_in = "pwg.session.login" in calls(old, since=since)
        assert logged_in == (origin in {"defaults", "profile"})
        assert md5s(box) == md5s(old)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--album", "1"], 2, "--from-album N"),
        (["--album", "1", "--from-album", "0"], 2, "--from-album"),
        (["--album", "1", "--from-album", "77"], 3, "77"),
        (["--album", "1", "--from-album", "1", "--update"], 2, "does not work"),
        (["--album", "1", "--from-album", "1", "--no-ledger"], 2, "does not work"),
    ],
)
async def test_what_is_impossible_is_said(
    old: Sandbox, box: Sandbox, arguments: list[str], code: int, words: str
) -> None:
    ended = await copy(old, box, *arguments)
    assert ended.code == code
    assert words in ended.err
