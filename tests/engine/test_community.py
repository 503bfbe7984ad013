"""Accounts of the Community plugin: its rules in the sandbox, and uploads that keep to them."""

from collections import Counter
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bulkup.errors import RunError
from bulkup.events import (
    AlbumChecked,
    PhotoChecked,
    PhotoFailed,
    PhotoPresent,
    PhotoUploaded,
    Verdict,
)
from bulkup.piwigo.community import Quota, read_quota
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.accounts import Permission
from bulkup.sandbox.versions import VERSIONS
from tests.support.galleries import calls, photo_of
from tests.support.gallery_client import JPEG, GalleryClient, async_chunk
from tests.support.ledgers import ledger_of, run_with_ledger
from tests.support.runs import check, failures, make_archive, run, stored_sums

ROOT = ("root", "rootsecret")
ALBUMS = ("Ours", "Theirs")
member = partial(Sandbox, admin=ROOT, users={"admin": "secret", "eve": "evesecret"}, albums=ALBUMS)
"""A gallery whose user admin, as which all tests log in, is no administrator."""


async def upload_as(box: Sandbox, name: str, password: str, content: bytes, album: int) -> int:
    """Upload a photo as another user, and return its id."""
    async with GalleryClient(box.url, logged_in=False) as client:
        await client.call("pwg.session.login", username=name, password=password)
        client.token = (await client.call("pwg.session.getStatus")).result["pwg_token"]
        answer = await client.upload(content, name="other.jpg", category=album)
        await client.call("pwg.images.uploadCompleted", category_id=1, pwg_token=client.token)
    return int(answer.result["image_id"])


# the sandbox, held to the plugin's source and to a gallery with Piwigo 16.4.0


@pytest.mark.parametrize(
    ("method", "fields", "err"),
    [
        ("pwg.images.exist", {"md5sum_list": "0" * 32}, 0),
        ("pwg.images.checkFiles", {"image_id": 1}, 0),  # also a photo of others
        ("pwg.images.uploadCompleted", {"image_id": 1, "category_id": 1}, 0),
        ("pwg.tags.add", {"name": "x"}, 0),
        ("pwg.tags.getAdminList", {}, 0),
        ("pwg.categories.add", {"name": "x", "parent": 1}, 0),
        ("pwg.categories.add", {"name": "x", "parent": 2}, 401),
        ("pwg.categories.add", {"name": "x"}, 401),
        ("pwg.categories.setInfo", {"category_id": 1, "name": "x"}, 401),
        ("pwg.categories.getAdminList", {}, 401),
        ("pwg.images.setCategory", {"image_id": 2, "category_id": 1}, 401),
        ("pwg.images.emptyLounge", {}, 401),
        ("pwg.images.getInfo", {"image_id": 2}, 404),  # hidden
        ("pwg.images.setInfo", {"image_id": 2, "categories": "2"}, 0),
        ("pwg.images.setInfo", {"image_id": 1, "categories": "2"}, 401),
        ("pwg.images.delete", {"image_id": 2}, 0),
        ("pwg.images.delete", {"image_id": 1}, 401),
    ],
)
async def test_what_the_plugin_lets_through(method: str, fields: dict[str, Any], err: int) -> None:
    async with member(community=[Permission(album=1, create=True)]) as box:
        assert await upload_as(box, *ROOT, JPEG + b"1", 1) == 1
        async with GalleryClient(box.url) as client:
            await client.upload(JPEG, name="a.jpg")
            reply = await client.call(method, **fields, pwg_token=client.token)
    assert (reply.status, reply.json.get("err", 0)) == (err or 200, err)


async def test_the_plugin_lists_albums_pretends_a_status_and_moderates_even_known_photos() -> None:
    async with member(community=[Permission(album=1, create=True)]) as box:
        known = await upload_as(box, *ROOT, JPEG, 2)
        async with GalleryClient(box.url) as client:
            ask = client.call
            assert (await ask("pwg.session.getStatus")).result["status"] == "admin"
            real = (await ask("community.session.getStatus")).result
            assert real["real_user_status"] == "normal"
            for listing in (real["upload_categories_getList_method"], "pwg.categories.getList"):
                rows = (await ask(listing, recursive="true")).result["categories"]
                assert [row["id"] for row in rows] == [1]
            usual = await ask(
                "pwg.categories.getList", recursive="true", faked_by_community="false"
            )
            assert [row["id"] for row in usual.result["categories"]] == [2]
            other = JPEG + b"2"
            await ask("pwg.images.uploadAsync", other, **async_chunk(other), level=4)
            assert (await client.upload(JPEG, name="a.jpg")).result["image_id"] == str(known)
            assert {photo.level for photo in box.gallery.photos.values()} == {16}
            done = partial(
                ask, "community.images.uploadCompleted", pwg_token=client.token, category_id=1
            )
            assert (await done(image_id="0")).result is None
            assert len((await done(image_id=f"{known},2")).result["pending"]) == 2
            box.community.approve(2)
            assert [p["id"] for p in (await done(image_id="1,2")).result["pending"]] == ["1"]
            assert (await done(image_id="1", pwg_token="x")).status == 403
    assert box.community.mails == ["2 photos uploaded by admin to Ours"]


@pytest.mark.parametrize(
    ("permissions", "level"),
    [
        ([Permission(album=1)], 16),
        ([Permission(album=1), Permission(moderated=False)], 0),
        ([Permission(album=1, moderated=False)], 0),
        ([Permission(album=1), Permission(album=2, moderated=False)], 16),
        ([Permission(album=1), Permission(user="eve", moderated=False)], 16),
    ],
)
async def test_photos_are_moderated_unless_one_permission_says_otherwise(
    permissions: list[Permission], level: int
) -> None:
    async with member(community=permissions) as box:
        async with GalleryClient(box.url) as client:
            await client.upload(JPEG, name="a.jpg", level=8)
        assert [photo.level for photo in box.gallery.photos.values()] == [level]


# the page that tells quotas

SHAPE = (
    '<div class="errors" style="display:none"><ul></ul></div>{}<p id="uploadWarningsSummary">{}<a'
)


@pytest.mark.parametrize(
    ("page", "quota"),
    [
        ("<html>Login</html>", None),
        (SHAPE.format("", "1000MB. jpg, png.  \n"), Quota()),
        (SHAPE.format("", "2MB. jpg, png. 16Mpx. \n"), Quota()),
        (SHAPE.format("", "2MB. jpg. 16Mpx. Noch 3 Fotos verfügbar."), Quota(photos=3)),
        (
            SHAPE.format("var limit_storage = 10485760;", "2MB. jpg. Available 10MB, 3 photos."),
            Quota(photos=3, size=10 * 2**20),
        ),
        (
            '<div class="errors">\n <ul>\n <li>Maximum number of photos reached (2)</li>\n</ul>',
            Quota(refusal="Maximum number of photos reached (2)"),
        ),
    ],
)
def test_quotas_are_read_from_the_page_in_any_language(page: str, quota: Quota | None) -> None:
    assert read_quota(page) == quota


# uploads


@pytest.mark.parametrize(
    ("version", "method"),
    [
        *((VERSIONS[0], "upload"), (VERSIONS[1], "async")),
        *((VERSIONS[3], "async"), (VERSIONS[3], "legacy")),
    ],
)
async def test_moderated_photos_are_uploaded_reported_once_and_found_again(
    version: str, method: str, folder: Path, archive: dict[Path, str]
) -> None:
    only = Permission(album=1)
    async with member(version=version, community=[only], show_errors=True) as box:
        outcome = await run_with_ledger(box, folder, method=method)
        assert len(outcome.of(PhotoUploaded)) == len(archive)
        (checked,) = outcome.of(AlbumChecked)
        assert (checked.unapproved, checked.verified, checked.not_in_album) == (4, 4, 0)
        assert stored_sums(box) == Counter(archive.values())
        names = {photo.file for photo in box.gallery.photos.values()}
        assert names == {path.name for path in archive}
        assert {photo.level for photo in box.gallery.photos.values()} == {16}
        assert box.community.mails == ["4 photos uploaded by admin to Ours"]
        before = len(box.requests)
        again = await run_with_ledger(box, folder, method=method)
        assert len(again.of(PhotoPresent)) == len(archive)
        assert not calls(box, since=before).keys() & {
            *("pwg.images.setInfo", "pwg.images.setCategory", "community.images.uploadCompleted")
        }
        async with ledger_of(box, folder) as ledger:
            verified = await check(box, folder, memory=ledger)
        assert {event.verdict for event in verified.of(PhotoChecked)} == {Verdict.PRESENT}
        unsure = {event.code for event in (await check(box, folder)).of(PhotoChecked)}
        anywhere = (await check(box, folder, album=None)).of(PhotoChecked)
        without = await run(box, folder, method=method)
        assert stored_sums(box) == Counter(archive.values())
    assert unsure == {"hidden"}
    assert {event.verdict for event in anywhere} == {Verdict.PRESENT}
    assert len(without.of(PhotoPresent)) == len(archive)
    asked = set(calls(box))
    assert not asked & {"pwg.categories.getAdminList", "pwg.images.setCategory"}


async def test_a_duplicate_of_another_account_is_named_and_an_own_one_is_added(
    folder: Path, archive: dict[Path, str]
) -> None:
    foreign, own, *_ = archive
    async with member(community=[Permission(album=1), Permission(album=2)]) as box:
        number = await upload_as(box, *ROOT, foreign.read_bytes(), 2)
        await upload_as(box, "admin", "secret", own.read_bytes(), 2)
        outcome = await run(box, folder)
        verdicts = {e.path: e.verdict for e in (await check(box, folder)).of(PhotoChecked)}
        photo = box.gallery.photos[number]
        assert (photo.albums, photo.level) == ({2}, 0)  # sending it would have hidden it
        assert box.gallery.photos[photo_of(box, archive[own])].albums == {1, 2}
    (failed,) = outcome.of(PhotoFailed)
    assert (failed.path, failed.code) == (foreign, "not-linked")
    assert f"photo {number}" in failed.reason
    assert "another account" in failed.reason
    assert verdicts.pop(foreign) == Verdict.NOT_IN_ALBUM
    assert set(verdicts.values()) == {Verdict.UNKNOWN}
    assert [event.path for event in outcome.of(PhotoPresent)] == [own]
    assert outcome.balances()


@pytest.mark.parametrize(
    ("permissions", "album", "tree", "codes"),
    [
        ([Permission(album=1, create=True)], 1, True, set()),
        ([Permission(create=True)], 0, True, set()),
        ([Permission(album=1)], 1, True, {"no-new-albums"}),
        ([Permission(album=1, create=True)], 0, True, {"no-new-albums"}),
        ([Permission(album=1)], 2, False, {"no-upload-here"}),
    ],
)
async def test_albums_are_created_and_filled_only_where_that_is_permitted(
    permissions: list[Permission], album: int, tree: bool, codes: set[str], tmp_path: Path
) -> None:
    make_archive(tmp_path, count=4, names=2)
    async with member(community=permissions) as box:
        outcome = await run(box, tmp_path, album=album, tree=tree, unwrap=True)
        created = len(box.gallery.albums) - len(ALBUMS)
    assert {event.code for event in outcome.of(PhotoFailed)} == codes
    assert len(outcome.of(PhotoUploaded)) == (0 if codes else 4)
    assert created == (0 if codes else 2)
    assert outcome.balances()


@pytest.mark.parametrize(
    ("permission", "stored", "quota"),
    [
        (Permission(photos=4), 4, False),
        (Permission(photos=3), 3, True),
        (Permission(megabytes=1), 4, False),
    ],
)
async def test_a_run_ends_when_the_gallery_says_that_the_quota_is_used_up(
    permission: Permission, stored: int, quota: bool, folder: Path, archive: dict[Path, str]
) -> None:
    async with member(community=[permission]) as box:
        ends = pytest.raises(RunError, match=rf"reached \({permission.photos}\)")
        with ends if quota else nullcontext():
            await run(box, folder)
        assert len(stored_sums(box)) == stored
        assert box.community.mails == [f"{stored} photos uploaded by admin to Ours"]
        assert not box.gallery.lounge
        if quota:
            box.community.permissions = [Permission()]
            await run(box, folder)
        assert stored_sums(box) == Counter(archive.values())


async def test_a_photo_larger_than_what_is_left_fails_alone(folder: Path) -> None:
    archive = make_archive(folder, count=3, names=3)
    large = next(iter(archive))
    large.write_bytes(JPEG + bytes(2**20))
    async with member(community=[Permission(megabytes=1)]) as box:
        outcome = await run(box, folder)
    assert {event.path: event.code for event in outcome.of(PhotoFailed)} == {large: "over-quota"}
    assert len(outcome.of(PhotoUploaded)) == 2


async def test_a_lost_session_is_told_from_what_the_plugin_refuses(
    folder: Path, archive: dict[Path, str]
) -> None:
    faults = Faults([Fault("expired-session", "pwg.images.setInfo", 0)])
    async with member(community=[Permission(album=1)], faults=faults) as box:
        outcome = await run(box, folder, method="upload")
        assert {photo.file for photo in box.gallery.photos.values()} == {p.name for p in archive}
    assert not failures(outcome)
