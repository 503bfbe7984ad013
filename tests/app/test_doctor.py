"""What a check-up finds at galleries of all kinds, and that it leaves each as it was."""

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import AsyncMock

import anyio
import pytest

from bulkup.app.doctor import EXAMPLES, OTHER_TYPES, TYPES_KEPT, estimate, examine
from bulkup.app.settings import Account, DoctorSettings
from bulkup.engine.ledger_port import NoLedger
from bulkup.engine.retry import Sleep
from bulkup.output import doctor, findings
from bulkup.output.findings import AccountFound, AddressFound, Check, Failed, LatencyFound, Mark
from bulkup.sandbox import Fault, Faults, Sandbox
from bulkup.sandbox.accounts import Permission
from bulkup.sandbox.versions import VERSIONS
from bulkup.source.metadata import Labels
from bulkup.store.ledger import SqliteLedger
from tests.support.embedded import iptc, write_jpeg
from tests.support.photos import write_files
from tests.support.raw import Connection, answering, raw_server
from tests.support.runs import ADMIN, FOUR_METHODS, make_archive, no_wait, run

K, M = 1024, 1024 * 1024
OLD, NEW = VERSIONS[0], VERSIONS[-1]
small = partial(Sandbox, max_file=2 * M, max_post=3 * M, max_body=5 * M)
USUAL = [check for check in Check if check is not Check.COMMUNITY]
ALL_WELL = {check.value: "ok" for check in USUAL if check is not Check.ARCHIVE} | {
    "workers": "warning"  # as questions cost this sandbox nothing, they can't be counted
}
F = TypeVar("F", bound=findings.Finding)


@pytest.fixture(autouse=True)
def short_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the questions that count workers small, where no worker is counted anyway."""
    monkeypatch.setattr("bulkup.piwigo.workers.MOST_LENGTH", 20_000)


class Findings(dict[Check, findings.Finding]):
    """What was found, by check."""

    def __init__(self) -> None:
        super().__init__()
        self.signs: list[findings.CheckProgress] = []

    def add(self, found: findings.Finding | findings.CheckProgress) -> None:
        if isinstance(found, findings.CheckProgress):
            self.signs.append(found)
            return
        assert found.check not in self, "found twice"
        json.dumps(findings.to_json(found))
        self[found.check] = found

    def of(self, kind: type[F]) -> F:
        (found,) = [finding for finding in self.values() if isinstance(finding, kind)]
        return found

    @property
    def marks(self) -> dict[str, str]:
        return {check.value: finding.mark.value for check, finding in self.items()}


async def look(
    url: str,
    *roots: Path,
    album: int | None = 1,
    ledger: Path | None = None,
    fill_md5: bool = False,
    tick_s: float = 0.001,
    sleep: Sleep = no_wait,
    **account: Any,  # noqa: ANN401 (an account names them)
) -> Findings:
    """Examine a gallery without waiting anywhere, by a clock that ticks when it is looked at."""
    report, times = Findings(), count(0.0, tick_s)
    await examine(
        roots,
        account=Account(url=url, **({"user": ADMIN.user, "password": ADMIN.password} | account)),
        settings=DoctorSettings(album=album, ledger=ledger, fill_md5=fill_md5),
        on_finding=report.add,
        clock=lambda: next(times),
        wall_clock=lambda: 0.0,
        sleep=sleep,
    )
    return report


def state(box: Sandbox) -> object:
    """Return everything that a gallery holds."""
    gallery = box.gallery
    return repr(
        (gallery.photos, gallery.albums, gallery.tags, gallery.buffers, gallery.lounge)
    ), sorted(gallery.contents)


async def visit(box: Sandbox, *roots: Path, **how: Any) -> Findings:  # noqa: ANN401
    """Examine a sandbox, which must be left as it was."""
    async with box:
        before = state(box)
        report = await look(box.url, *roots, **how)
        assert state(box) == before
    return report


# MD5s that photos lack


async def fill(box: Sandbox, *, synchronised: int, unreadable: int = 0, filled: int = 0) -> None:
    """Add photos as a synchronisation of folders does, some of them filled afterwards."""
    for number in range(synchronised):
        content = bytes([number % 256, number // 256])
        photo = await box.gallery.synchronise(f"{number}.jpg", content, 1)
        if number < unreadable:
            del box.gallery.contents[photo.path]
        elif number < unreadable + filled:
            box.gallery.set_md5(photo, hashlib.md5(content).hexdigest())


@pytest.mark.parametrize(
    ("version", "photos", "found"),
    [
        ("16.4.0", {"synchronised": 30}, (20, 20, False)),
        ("16.4.0", {"synchronised": 30, "filled": 30}, (20, 0, True)),
        ("14.5.0", {"synchronised": 30, "filled": 30}, (20, 0, None)),
        ("14.5.0", {"synchronised": 3, "filled": 1}, (3, 2, False)),
        ("17.0.0beta1", {"synchronised": 0}, (0, 0, True)),
    ],
)
async def test_it_is_noticed_that_photos_lack_an_md5_and_nothing_is_changed(
    version: str, photos: dict[str, int], found: tuple[int, int, bool | None]
) -> None:
    async with small(version=version) as box:
        await fill(box, **photos)
        before = state(box)
        md5s = (await look(box.url)).of(findings.Md5sFound)
        assert state(box) == before
    assert (md5s.sampled, md5s.without, md5s.complete) == found
    assert md5s.mark is (Mark.WARNING if found[1] else Mark.OK)
    assert (md5s.fillable, md5s.filled) == (version != "14.5.0", None)


@pytest.mark.parametrize("given", [[], [Fault("401-html", "pwg.images.setMd5sum", 0)]])
async def test_that_none_of_a_sample_lacks_it_is_no_proof(
    given: list[Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.app.doctor.SAMPLE", 0)
    async with small(faults=Faults(given)) as box:
        await fill(box, synchronised=2, filled=1)
        md5s = (await look(box.url)).of(findings.Md5sFound)
    # PHP dies of the question, which may have other reasons
    assert (md5s.without, md5s.complete, md5s.mark) == (0, None, Mark.OK)


@pytest.mark.parametrize(
    ("photos", "faults", "found"),
    [
        ({"synchronised": 40}, [], (40, 0)),
        ({"synchronised": 40, "unreadable": 3}, [], (40, 3)),
        ({"synchronised": 60, "unreadable": 30}, [], (69, 9)),  # more than a block
        # the second block takes too long
        (
            {"synchronised": 20},
            [Fault("504", "pwg.images.setMd5sum", n) for n in (1, 2, 3)],
            (20, 0),
        ),
        ({"synchronised": 0}, [], (0, 0)),
    ],
)
async def test_the_gallery_computes_them_on_request(
    photos: dict[str, int], faults: list[Fault], found: tuple[int, int]
) -> None:
    async with small(faults=Faults(faults), show_errors=True) as box:
        await fill(box, **photos)
        report = await look(box.url, fill_md5=True)
        md5s = report.of(findings.Md5sFound)
        for photo in box.gallery.photos.values():
            content = box.gallery.contents.get(photo.path)
            assert (photo.md5 or None) == (content and content.md5)
        left = [sign.at for sign in report.signs if sign.check is Check.MD5S][1:]
    assert (md5s.filled, md5s.unread) == found
    assert left == sorted(left, key=lambda at: -(at or 0))
    assert md5s.complete is not bool(md5s.unread)


async def test_a_version_that_mixes_them_up_is_not_asked_to_compute_them() -> None:
    async with small(version="14.5.0") as box:
        await fill(box, synchronised=3)
        report = await look(box.url, fill_md5=True)
        assert {photo.md5 for photo in box.gallery.photos.values()} == {None}
    assert report.marks["md5s"] == "problem"
    assert "14.5.0 may give an MD5 to the wrong photo" in report.of(Failed).reason


# accounts that are no administrators


@pytest.mark.parametrize(
    ("permissions", "by_key", "mark", "words"),
    [
        ([Permission(album=1)], False, "warning", "may upload to 1 album: Ours (1)\nno quota"),
        (
            [Permission(photos=5, megabytes=3)],
            False,
            "warning",
            "may upload to 2 albums: Theirs (2), Ours (1)\nleft of its quota: 5 photos, 3.15 MB",
        ),
        ([Permission(photos=5)], True, "warning", "quota unknown"),
        ([Permission(create=True)], False, "problem", "the Community plugin permits no album"),
    ],
)
async def test_what_the_community_plugin_permits_is_told(
    permissions: list[Permission], by_key: bool, mark: str, words: str
) -> None:
    albums = () if mark == "problem" else ("Ours", "Theirs")
    box = Sandbox(
        admin=("root", "rootsecret"),
        users={"admin": "secret"},
        albums=albums,
        community=permissions,
    )
    account = {}
    if by_key:
        user = box._accounts.users["admin"]
        now = "2026-01-01 00:00:00"
        key = box._accounts.make_key(user, name="", duration=30, created_on=now, expired_on=now)
        account = {"user": "", "password": "", "api_key": f"{key.pkid}:{key.secret}"}
    report = await visit(box, **account)
    assert report.of(AccountFound).status == "normal"
    found = report.of(findings.CommunityFound)
    assert found.mark == mark
    assert words in "\n".join(doctor.words(found).lines)


# what is found where all is well


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_good_gallery_is_reported_and_left_as_it_was(version: str, tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)
    async with small(version=version) as box:
        await run(box, tmp_path)
        before = state(box)
        report = await look(box.url, tmp_path)
        assert state(box) == before
        assert not box._accounts.sessions
    assert list(report) == USUAL
    assert set(report.marks.values()) <= {"ok", "warning"}
    assert report.of(AddressFound) == AddressFound(url=box.url, given=box.url)
    assert report.of(findings.TlsFound) == findings.TlsFound(local=True)
    assert report.of(findings.VersionFound).version == version
    assert report.of(AccountFound) == AccountFound(user="admin", status="webmaster", api_key=False)
    assert report.of(findings.MethodsFound) == findings.MethodsFound(
        offered=("async", "upload", "legacy"), auto="async", missing=()
    )
    assert report.of(findings.AlbumFound) == findings.AlbumFound(album=1, name="Sandbox")
    assert report.of(findings.OrderFound).page.endswith("/admin.php?page=album-1-sort_order")
    assert report.of(findings.DuplicatesFound) == findings.DuplicatesFound(
        by_md5=True, detection=False if version.startswith("13.") else None
    )
    assert report.of(findings.ArchiveFound).photos == 3


async def test_neither_messages_of_php_nor_a_request_that_fails_once_is_a_finding() -> None:
    faults = Faults(
        [
            Fault("503", "pwg.getVersion", 0),
            Fault("expired-session", "reflection.getMethodList"),
            Fault("answer-lost", "pwg.images.addSimple", 1),
            Fault("502", "pwg.categories.getList", 0),
        ]
    )
    report = await visit(small(faults=faults, php_noise=True, show_errors=True))
    assert faults.hit == 4
    assert report.marks == ALL_WELL


async def test_nobody_waits_as_long_as_a_server_asks_for() -> None:
    sleep, faults = (
        AsyncMock(),
        Faults([Fault("429", "pwg.categories.getList", retry_after="3600")]),
    )
    report = await visit(small(faults=faults), sleep=sleep)
    assert {call.args for call in sleep.await_args_list} == {(10.0,)}
    failed = report.of(Failed)
    assert (failed.check, bool(failed.hint)) == (Check.ALBUM, True)


async def test_a_redirect_to_another_server_is_a_problem() -> None:
    async with small() as box:
        location = f"Location: {box.url}ws.php"  # another port is another server
        async with raw_server(answering("301 x", b"", location)) as raw:
            report = await look(raw.url)
    assert report.marks == {"address": "problem"}


async def test_the_folder_that_a_redirect_leads_to_is_reported() -> None:
    async def handle(connection: Connection) -> None:
        while True:
            request = await connection.receive()
            if request.target.startswith("/old/"):
                await connection.answer("301 x", b"", f"Location: /new/{request.target[5:]}")
            else:
                await connection.answer("200 OK", b'{"stat":"ok","result":{"status":"guest"}}')

    async with raw_server(handle) as raw:
        report = await look(f"{raw.url}old")
    assert report.of(AddressFound) == AddressFound(url=f"{raw.url}new/", given=f"{raw.url}old/")


# the size of a chunk


async def test_the_named_size_and_doubled_ones_are_tried_until_one_is_refused() -> None:
    report = await visit(small())
    chunk = report.of(findings.ChunkFound)
    assert (chunk.named, chunk.passed, chunk.refused) == (500 * K, 2000 * K, 4000 * K)
    assert "post_max_size" in chunk.reason
    assert chunk.rate == pytest.approx(2000 * K / 0.001)
    sizes = [sign.at for sign in report.signs if sign.check is Check.CHUNK and sign.at]
    assert sizes == [500 * K, 1000 * K, 2000 * K, 4000 * K]


@pytest.mark.parametrize(
    ("version", "limits", "sizes", "reason"),
    [
        (OLD, {"max_file": 3 * M}, (2000 * K, 4000 * K, Mark.OK), "upload_max_filesize"),
        (NEW, {"max_post": 3 * M}, (2000 * K, 4000 * K, Mark.OK), "post_max_size"),
        # the connection may break before the answer comes
        (OLD, {"max_body": 3 * M}, (2000 * K, 4000 * K, Mark.OK), ""),
        # it takes less than it names, or nothing
        (NEW, {"max_file": 300 * K}, (250 * K, 500 * K, Mark.WARNING), "upload_max_filesize"),
        (OLD, {"max_file": K}, (None, 125 * K, Mark.PROBLEM), "upload_max_filesize"),
    ],
)
async def test_every_limit_is_found(
    version: str, limits: dict[str, Any], sizes: tuple[int | None, int, Mark], reason: str
) -> None:
    wide = {"max_file": 20 * M, "max_post": 21 * M, "max_body": 25 * M}
    report = await visit(Sandbox(version=version, **(wide | limits)))
    chunk = report.of(findings.ChunkFound)
    assert chunk.named == 500 * K
    assert (chunk.passed, chunk.refused, chunk.mark) == sizes
    assert reason in chunk.reason


async def test_what_takes_long_is_not_doubled_and_the_latency_is_reported() -> None:
    report = await visit(small(), tick_s=5.0)
    chunk = report.of(findings.ChunkFound)
    assert (chunk.passed, chunk.refused, chunk.slow) == (500 * K, None, True)
    assert chunk.mark is Mark.OK
    assert report.of(LatencyFound) == LatencyFound(median_s=5.0, worst_s=5.0, requests=10)
    assert report.marks["latency"] == "warning"


@pytest.mark.parametrize("version", [OLD, "16.4.0", NEW])
async def test_nothing_stays_where_all_types_are_taken_either(version: str) -> None:
    types = ["jpg", "png", "tif", "mp4", "zip", "bin"]
    report = await visit(small(version=version, file_types=types))
    assert report.of(findings.ChunkFound).passed == 2000 * K
    assert report.of(findings.TypesFound) == findings.TypesFound(endings=tuple(sorted(types)))


async def test_half_a_file_leaves_nothing() -> None:
    report = await visit(Sandbox(faults=Faults([Fault("cut", "pwg.images.addSimple")])))
    assert report.marks["chunk"] == "problem"
    assert "connection broke" in report.of(findings.ChunkFound).reason


# what the gallery does not offer, or not answer


async def test_a_gallery_with_the_least_of_methods_or_too_few_is_reported_as_that() -> None:
    report = await visit(Sandbox(only=FOUR_METHODS))
    # it does not even list its methods: what can't be asked is left alone
    assert report.of(findings.MethodsFound).offered == ("upload",)
    assert "pwg.images.exist" in report.of(findings.MethodsFound).missing
    assert report.of(findings.ChunkFound).tried is False
    assert report.of(findings.DuplicatesFound).by_md5 is False
    assert report.of(findings.AlbumFound) == findings.AlbumFound(album=1, name="")
    assert Mark.PROBLEM not in report.marks.values()
    none = FOUR_METHODS - {"pwg.images.upload"} | {"reflection.getMethodList"}
    report = await visit(Sandbox(only=none))
    assert report.marks["methods"] == "problem"
    assert Check.CHUNK not in report


async def test_what_makes_an_upload_less_certain_and_albums_to_choose_from_are_reported() -> None:
    albums = {n: f"Album {n}" for n in range(7, 0, -1)}  # Piwigo puts new ones first
    box = small(uniqueness_mode="filename", albums=[*albums.values()][::-1])
    report = await visit(box, album=None)
    assert report.of(findings.DuplicatesFound) == findings.DuplicatesFound(
        by_md5=False, detection=None
    )
    assert report.marks["duplicates"] == "warning"
    first = {n: albums[n] for n in (7, 6, 5, 4, 3)}
    assert report.of(findings.OrderFound).newest_first
    assert report.of(findings.OrderFound).page.endswith("/admin.php?page=configuration")
    assert report.of(findings.AlbumMissing) == findings.AlbumMissing(first=first, count=7)


# PHP workers


@pytest.mark.parametrize("workers", [1, 3])
async def test_workers_are_counted_and_what_they_bear_is_reported(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulkup.piwigo.workers.MOST_LENGTH", 500_000)
    async with small(workers=workers, exist_cost_s=0.2) as box:
        report = await look(box.url)
        assert not box.finishing_peak
    found = report.of(findings.WorkersFound)
    assert found.workers in range(1, workers + 1)
    assert 1 <= found.finishing <= max(1, workers - 1)


# what makes the other checks impossible


def left(report: Findings) -> Sequence[str]:
    """Return the checks that were made; the last one is the only problem, and says what to do."""
    *others, last = report.values()
    assert isinstance(last, Failed)
    assert last.reason
    assert last.hint
    assert all(finding.mark is not Mark.PROBLEM for finding in others)
    return [check.value for check in report]


NO_KEY = {"user": "", "password": "", "api_key": "pkid-1-x:hunter2"}


@pytest.mark.parametrize(
    ("version", "account", "reason"),
    [
        ("16.4.0", {"password": "hunter2-secret"}, ""),
        ("14.5.0", NO_KEY, ""),
        ("16.4.0", NO_KEY, ""),
        ("16.4.0", {"user": "bob", "password": "bobsecret"}, "bob is not an administrator"),
    ],
)
async def test_a_failed_log_in_or_no_administrator_leaves_what_a_guest_sees(
    version: str, account: dict[str, Any], reason: str
) -> None:
    box = Sandbox(version=version)
    report = await visit(box, **account)
    assert not box._accounts.sessions  # logged out all the same
    assert left(report) == ["address", "tls", "version", "latency", "account"]
    assert report.of(findings.VersionFound).version == version
    assert reason in report.of(Failed).reason
    assert "hunter2" not in repr(list(report.values()))


async def test_an_api_key_is_reported_as_that() -> None:
    async with small() as box:
        pkid, secret = box.make_api_key()
        report = await look(box.url, user="", password="", api_key=f"{pkid}:{secret}")
    assert report.of(AccountFound) == AccountFound(user="admin", status="webmaster", api_key=True)
    assert report.of(findings.ChunkFound).passed == 2000 * K
    assert secret not in repr(list(report.values()))


async def test_what_is_no_piwigo_is_reported() -> None:
    async with raw_server(answering("200 OK", b"<html>Welcome to nginx!</html>")) as raw:
        report = await look(raw.url)
    assert left(report) == ["address"]


async def test_nobody_listening_is_reported_and_the_archive_still_counted(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)
    async with raw_server(answering("200 OK")) as raw:
        url = raw.url
    report = await look(url, tmp_path)
    assert report.marks == {"address": "problem", "archive": "ok"}
    assert "no connection" in report.of(Failed).reason
    archive = report.of(findings.ArchiveFound)
    assert (archive.photos, archive.types, archive.seconds) == (3, None, None)


async def test_a_server_that_goes_away_in_the_middle_is_reported(tmp_path: Path) -> None:
    faults = Faults([Fault("503", "reflection.getMethodList")])
    report = await visit(Sandbox(faults=faults), tmp_path)
    assert report.marks["methods"] == "problem"
    assert list(report)[-1] is Check.ARCHIVE
    assert report.of(findings.ArchiveFound).mark is Mark.WARNING  # nothing to upload


# the archive


async def test_what_an_upload_would_be_about_is_counted_and_what_will_fail_is_a_problem(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    make_archive(folder, count=5, names=5, size=(1300 * K, 1300 * K))
    for name in ("a.mov", "b.mov", "c.txt", "none", ".hidden", "empty.jpg"):
        (folder / name).write_bytes(b"x" * (name != "empty.jpg"))
    archive = (await visit(Sandbox(max_file=M), folder)).of(findings.ArchiveFound)
    assert (archive.photos, archive.size) == (5, 5 * 1300 * K)
    assert (archive.requests, archive.chunk_size) == (5 * 2, 1000 * K)  # each by itself
    assert archive.seconds == pytest.approx(5 * 1300 * K / (1000 * K / 0.001))
    assert archive.types == {"mov": 2, "txt": 1, "": 1}
    assert (archive.by_rule, archive.empty, archive.mark) == (1, 1, Mark.PROBLEM)
    assert archive.examples == {str(folder / "empty.jpg"): "it is empty"}


async def test_what_the_ledger_knows_is_not_counted_again_and_the_last_photo_ids_are_noticed(
    tmp_path: Path,
) -> None:
    folder, file = tmp_path / "photos", tmp_path / "ledger"
    make_archive(folder, count=4, names=4)
    async with small() as box:
        missing = await look(box.url, tmp_path / "photos", ledger=file)
        assert not await anyio.Path(file).exists()
        box.gallery._last_ids["photo"] = 2**24 - 6
        async with SqliteLedger(file, server=box.url) as ledger:
            await run(box, folder, memory=ledger)
            (folder / "new.jpg").write_bytes(b"\xff\xd8\xff new")
            busy = await look(box.url, folder, ledger=file)
        report = await look(box.url, folder, ledger=file)
        elsewhere = await look(box.url, folder, ledger=file, album=None)
    archive = report.of(findings.ArchiveFound)
    assert (archive.photos, archive.present, archive.requests) == (5, 4, 1)
    assert (archive.ids_left, archive.mark) == (1, Mark.WARNING)
    assert elsewhere.of(findings.ArchiveFound).present == 4
    assert busy.of(findings.ArchiveFound).present == missing.of(findings.ArchiveFound).present == 0


async def test_of_very_many_types_and_unreadable_files_all_are_counted_and_the_first_named(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, *(f"x.t{n:04}" for n in range(TYPES_KEPT + 50)))
    missing = [tmp_path / f"{n}.jpg" for n in range(EXAMPLES + 2)]
    signs: list[int] = []
    counts = await estimate(
        [tmp_path, *missing],
        endings={"jpg"},
        chunk_size=10,
        ledger=NoLedger(),
        album=None,
        progress=signs.append,
    )
    assert len(counts.types) == TYPES_KEPT + 1
    assert counts.types[OTHER_TYPES] == 50
    assert (counts.photos, counts.unreadable) == (0, EXAMPLES + 2)
    assert counts.examples == dict.fromkeys(missing[:EXAMPLES], "No such file or directory")
    assert signs == [64, 128, 192, 256, 257]


# what uploads have shown


@pytest.mark.parametrize("use_iptc", [False, True])
async def test_whether_the_gallery_reads_iptc_is_what_the_last_upload_has_shown(
    tmp_path: Path, use_iptc: bool
) -> None:
    folder, file = tmp_path / "photos", tmp_path / "ledger.sqlite"
    folder.mkdir()
    write_jpeg(folder / "a.jpg", iptc("Title", "sea"))
    async with small(use_iptc=use_iptc) as box:
        before = await look(box.url, ledger=file)
        async with SqliteLedger(file, server=box.url) as ledger:
            await run(box, folder, memory=ledger, labels=Labels())
        after = await look(box.url, ledger=file)
    assert before.of(findings.IptcFound) == findings.IptcFound(reads={}, days=None)
    shown = dict.fromkeys(("title", "keywords"), use_iptc)
    assert after.of(findings.IptcFound) == findings.IptcFound(reads=shown, days=0)
