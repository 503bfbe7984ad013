"""`bulkup status`: after runs, during one, after a killed one, and to retry."""

import json
import os
from pathlib import Path
from random import Random

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, UPLOADS, Held, bulkup, send, start
from tests.support.galleries import photo_files
from tests.support.runs import make_archive, picture, stored_sums

HOSTILE = [
    b"new\nline.jpg",
    b"\xff\xfe.jpg",
    b" -0 --album.jpg",
    b"[red]x\x1b[31m.jpg",
    b"quote'\"$(x).jpg",
    b"tab\tand \r.jpg",
]


async def test_uploads_and_failures_are_shown_without_the_server(tmp_path: Path) -> None:
    make_archive(tmp_path, count=3, names=3)
    (tmp_path / "empty.jpg").touch()
    async with Sandbox(admin=("admin", PASSWORD)) as box:
        assert (await send(box, tmp_path)).code == 1
    ended = await bulkup("status")
    assert (ended.code, ended.err) == (0, "")
    assert f"{box.url}: 3 files, " in ended.out
    assert "(album 1): 3 files, " in ended.out
    assert "; 3 uploaded, 1 failed\n" in ended.out
    assert "1 failure open: bulkup status --failed --album 1" in ended.out
    assert f"failed: {tmp_path}/empty.jpg\n        the file is empty\n" in ended.out
    assert "Look for an intact copy" in ended.out
    assert box.url not in (await bulkup("status", "--failed")).out


async def test_a_file_that_is_no_ledger_is_reported_and_left_alone(tmp_path: Path) -> None:
    file, content = tmp_path / "photo.sqlite", b"This is no database.\n" * 1000
    file.write_bytes(content)
    ended = await bulkup("status", "--ledger", file)
    assert ended.code == 3
    assert f"the ledger {file} can't be read: file is not a database" in ended.err
    assert file.read_bytes() == content


async def test_failed_files_of_any_name_can_be_retried(box: Sandbox, photos: Path) -> None:
    paths = [photos / os.fsdecode(name) for name in HOSTILE]
    for path in paths:
        path.touch()
    assert (await send(box, photos)).code == 1
    assert len(box.gallery.photos) == 1
    told = await bulkup("status")
    assert told.out.count("      failed: ") == len(HOSTILE)
    assert "new\\nline.jpg" in told.out

    for path in paths[1:]:
        path.write_bytes(picture(Random(os.fsencode(path.name)), size=3000))
    (photos / "a.jpg").unlink()  # were it walked, it would be missed
    reading, writing = os.pipe()
    assert (await bulkup("status", "--failed", "-0", out=writing)).code == 0
    os.close(writing)
    retried = await send(box, "--files-from", "-", "--json", given=reading)
    os.close(reading)
    assert retried.code == 1
    events = [json.loads(line) for line in retried.out.splitlines()]
    assert sum(event["event"] == "file_found" for event in events) == len(HOSTILE)
    (failed,) = [event for event in events if event["event"] == "photo_failed"]
    assert (Path(failed["path"]).name, failed["code"]) == ("new\nline.jpg", "empty")
    assert photo_files(box) >= {" -0 --album.jpg", "[red]x [31m.jpg", "tab and  .jpg"}
    assert len(box.gallery.photos) == len(HOSTILE)
    assert set(stored_sums(box).values()) == {1}

    left = await bulkup("status", "--failed", "--print0")
    assert left.out == f"{paths[0]}\0"


async def test_a_missing_photo_is_open_until_it_is_uploaded(box: Sandbox, photos: Path) -> None:
    assert (await send(box, "verify", photos)).code == 1
    (line,) = (await bulkup("status", "--failed", "--json")).out.splitlines()
    assert json.loads(line) == {
        "schema": 1,
        "url": box.url,
        "album": 1,
        "path": f"{photos}/a.jpg",
        "size": 5000,
        "code": "missing",
        "reason": "the gallery does not have it",
        "hint": "Upload it again.",
        "time": json.loads(line)["time"],
    }
    await send(box, photos)
    assert (await bulkup("status", "--failed")).out == ""
    told = await bulkup("status")
    assert "    upload   " in told.out
    assert "    verify   " in told.out


async def test_json_contains_what_the_ledger_knows(box: Sandbox, photos: Path) -> None:
    (photos / "b.jpg").touch()
    await send(box, photos)
    await send(box, photos, "--dry-run")
    document = json.loads((await bulkup("status", "--json")).out)
    (gallery,) = document["galleries"]
    (album,) = gallery["albums"]
    dry, real = album["runs"]
    assert document["schema"] == 1
    assert (gallery["url"], gallery["files"], gallery["bytes"]) == (box.url, 1, 5000)
    assert (album["album"], album["open_failures"]) == (1, 1)
    assert (dry["task"], real["task"], real["ending"]) == ("dry-run", "upload", "done")
    assert real["counts"]["uploaded"] == real["counts"]["failed"] == 1
    url = "https://no.example.org/"
    for flags, unknown in ((["--url", url], url), (["--album", "77"], "album 77")):
        ended = await bulkup("status", *flags)
        assert ended.code == 2
        assert f"has nothing about {unknown}" in ended.err
        assert ("--url" in flags) is (box.url in ended.err)


# beside a run, and after one that died


async def test_a_running_upload_is_shown_and_not_disturbed(tmp_path: Path) -> None:
    make_archive(tmp_path, count=5, names=5)
    (tmp_path / "empty.jpg").touch()
    async with Held(*UPLOADS) as box, await start(box, tmp_path, finishing="1") as process:
        await box.came.wait()
        assert "running for" in (await bulkup("status")).out
        assert (await bulkup("status", "--failed")).out == f"{tmp_path}/empty.jpg\n"
        assert process.returncode is None
        process.kill()
        await process.wait()
        box.go.set()
        after = await bulkup("status")
        assert "ended abruptly" in after.out
        assert f"failed: {tmp_path}/empty.jpg" in after.out
        document = json.loads((await bulkup("status", "--json")).out)
        (run,) = document["galleries"][0]["albums"][0]["runs"]
        assert run["ending"] == "broken-off"
        assert (await send(box, tmp_path)).code == 1
        assert "broken off" not in (await bulkup("status")).out
