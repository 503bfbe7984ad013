"""The steps as a browser without JavaScript sees them: what works, and what goes wrong."""

from pathlib import Path

import pytest

from bulkup.api import UploadOptions
from bulkup.gui.steps.sources import from_code, to_code
from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, own_state
from tests.support.galleries import lock_out
from tests.support.gui import Opens
from tests.support.photos import write_files
from tests.support.runs import make_archive

__all__ = ["own_state"]

ADMIN = ("admin", PASSWORD)


async def test_a_step_that_needs_another_leads_there(gui: Opens) -> None:
    async with gui() as there:
        page = await there.get("/checkup")
        assert page.path == "/gallery?for=checkup"
        assert "Sign in to the gallery first. Then: Check-up." in page.words
        assert (await there.get("/gallery?for=<script>")).status == 200
        assert (await there.get("/nothing")).status == 404


async def test_signing_in_leads_on_and_keeps_no_password(gui: Opens, own_state: Path) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        page = await there.sign_in(box)
        assert (page.status, page.path) == (200, "/checkup")
        page = await there.get("/gallery")
        assert f"Signed in as admin at {box.url} (Piwigo 16.4.0)" in page.words
        assert PASSWORD not in page.text
        assert f"bulkup login --url {box.url} --user admin" in page.words
        assert PASSWORD not in (own_state / "gui.json").read_text()
        assert (own_state / "gui.json").stat().st_mode & 0o77 == 0
        # again without typing the password
        assert (await there.sign_in(box, password="")).path == "/checkup"
        assert (await there.sign_in(box, password="", user="bob")).status == 422


async def test_signing_in_says_what_is_wrong_and_keeps_what_was_typed(gui: Opens) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        page = await there.sign_in(box, password="wrong")
        assert page.status == 422
        assert "refused the user name or password" in page.words or "log" in page.words
        assert page.values("url") == [box.url]
        assert page.values("user") == ["admin"]
        assert "wrong" not in page.text
        for fields, words in (
            ({"url": ""}, "the address of the gallery is missing"),
            ({"url": "//"}, "is not a web address"),
            ({"url": "http://me:secret-9@127.0.0.1/"}, "contains a user name or password"),
            ({"user": ""}, "the user name is missing"),
            ({"password": ""}, "the password is missing"),
            ({"kind": "key", "api_key": "x"}, "API key does not have the form"),
            ({"ca_cert": "/nothing.pem"}, "/nothing.pem"),
        ):
            page = await there.sign_in(box, **fields)
            assert page.status == 422
            assert words in page.words
        assert there.session.account is None
        assert (await there.get("/checkup")).path == "/gallery?for=checkup"


async def test_a_server_that_is_away_is_reported(gui: Opens) -> None:
    async with gui() as there:
        async with Sandbox(admin=ADMIN) as box:
            pass
        page = await there.sign_in(box)
        assert page.status == 422
        assert box.url.removesuffix("/") in page.words


async def test_the_check_up_shows_findings_as_they_come_and_can_be_repeated(gui: Opens) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        assert "It sends test files" in (await there.get("/checkup")).words
        page = await there.post("/checkup", {"do": "start"})
        assert "data-live" in page.text
        page = await there.settled("/checkup")
        assert "<html" not in page.text
        assert "0 problems." in page.words
        page = await there.get("/checkup")
        assert "Fine: Piwigo 16.4.0" in page.words
        assert "--album" not in page.words  # it is chosen later, on a page
        assert "Check again" in page.words
        assert f"bulkup doctor --url {box.url}" in page.words
        await there.post("/checkup", {"do": "start"})
        page = await there.post("/checkup", {"do": "stop"})
        assert "data-live" not in page.text
        # another account: the findings of the first one are gone
        await there.sign_in(box)
        assert "It sends test files" in (await there.get("/checkup")).words


async def test_problems_found_by_the_check_up_are_counted(gui: Opens) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        lock_out(box)
        await there.post("/checkup", {"do": "start"})
        page = await there.settled("/checkup")
        assert "Problem:" in page.words


async def test_sources_are_picked_counted_and_dropped(gui: Opens, tmp_path: Path) -> None:
    folder = tmp_path / "all" / "trip"
    make_archive(folder, count=5, names=5)
    write_files(folder, "a.xmp", "b.txt", ".hidden/c.jpg")
    (folder / "empty.jpg").touch()
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        page = await there.get(f"/sources?at={to_code(folder.parent)}")
        assert "trip" in page.words
        assert to_code(folder) in page.values("add")
        page = await there.post("/sources", {"add": to_code(folder), "at": to_code(folder)})
        assert str(folder) in page.words
        await there.settled("/sources")
        page = await there.get("/sources")
        assert "5 photos, " in page.words
        assert "1 txt: the gallery does not accept this type" in page.words
        assert "1: empty files, which will fail" in page.words
        assert "1: metadata of photos" in page.words
        assert str(folder) in page.words.partition("The command that does the same")[2]
        page = await there.post("/sources", {"again": "1"})
        assert there.session.draft.paths == (folder,)
        page = await there.post("/sources", {"drop": page.values("drop")})
        assert "Nothing is chosen yet" in page.words


async def test_a_path_can_be_typed_and_a_wrong_one_is_refused(gui: Opens, tmp_path: Path) -> None:
    write_files(tmp_path, "a/b.jpg", "a/c.zip")
    async with gui() as there:
        page = await there.post("/sources", {"path": str(tmp_path / "a")})
        assert "c.zip" in page.words
        assert "1 file in this folder itself" in page.words
        await there.post("/sources", {"path": str(tmp_path / "a" / "c.zip")})
        assert there.session.draft.paths == (tmp_path / "a" / "c.zip",)
        page = await there.settled("/sources")
        assert "can’t be read, and will fail" in page.words
        page = await there.post("/sources", {"path": str(tmp_path / "nothing")})
        assert page.status == 422
        assert "No such file" in page.words
        assert (await there.get("/sources?at=/nothing/at%00all")).status == 200


@pytest.mark.parametrize(
    "name", ["<b>&amp;\"'", "new\nline\x1b[31m\u202e", "\udcff", "😀", "a%20b+c", "{{ 7 * 7 }}"]
)
async def test_folders_with_odd_names_can_be_picked(gui: Opens, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    assert from_code(to_code(folder)) == folder
    async with gui() as there:
        page = await there.get(f"/sources?at={to_code(tmp_path)}")
        code = next(code for code in page.values("add") if code == to_code(folder))
        page = await there.post("/sources", {"add": code})
        assert there.session.draft.paths == (folder,)
        assert "<b>" not in page.text
        assert "\x1b" not in page.text
        assert "\u202e" not in page.text
        assert (await there.get("/")).status == 200
    async with gui() as there:  # the draft has it, too
        assert there.session.draft.paths == (folder,)


async def test_a_restart_goes_on_with_the_draft_and_asks_for_the_password(
    gui: Opens, tmp_path: Path
) -> None:
    async with Sandbox(admin=ADMIN) as box:
        async with gui() as there:
            await there.sign_in(box)
            await there.post("/sources", {"add": to_code(tmp_path)})
        async with gui() as there:
            page = await there.get("/")
            assert box.url in page.words
            assert str(tmp_path) in page.words
            assert (await there.get("/gallery")).values("url") == [box.url]
            assert (await there.get("/checkup")).path == "/gallery?for=checkup"
            page = await there.post("/")
            assert there.session.draft.paths == ()
            assert there.session.draft.account.url == box.url


async def test_a_broken_draft_and_an_unwritable_folder_are_reported(
    gui: Opens, own_state: Path, tmp_path: Path
) -> None:
    (own_state / "gui.json").write_text("{")
    async with gui() as there:
        assert "It was moved to" in (await there.get("/")).words
    (own_state / "gui.json").unlink(missing_ok=True)
    (own_state / "gui.part").mkdir()
    async with gui() as there:
        page = await there.post("/sources", {"add": to_code(tmp_path)})
        assert "could not be saved" in page.words
        assert there.session.draft.paths == (tmp_path,)


async def test_a_profile_is_saved_from_the_start_page(gui: Opens, own_state: Path) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        page = await there.post("/", {"profile": " <museum> "})
        assert "Saved as profile <museum> in" in page.words
        text = (own_state / "config" / "bulkup" / "config.toml").read_text()
        assert text == f'[profiles."<museum>"]\nurl = "{box.url}"\nuser = "admin"\n'
        page = await there.post("/", {"profile": ""})
        assert page.status == 422
        assert "no usable name" in page.words


async def test_a_password_in_the_key_ring_signs_in_after_a_restart(
    gui: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keyrings.alt")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    async with Sandbox(admin=ADMIN) as box:
        async with gui() as there:
            await there.sign_in(box, keep="on")
        async with gui() as there:
            await there.settled("/gallery")
            assert "Signed in as admin" in (await there.get("/gallery")).words
        lock_out(box)
        async with gui() as there:
            await there.settled("/gallery")
            assert "failed" in (await there.get("/gallery")).words
            assert there.session.account is None


async def test_a_key_ring_that_fails_is_reported(gui: Opens) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        page = await there.sign_in(box, keep="on")
        assert page.status == 422
        assert "key ring" in page.words


async def test_a_fault_of_a_page_is_reported_and_the_others_stay(
    gui: Opens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with gui() as there:
        monkeypatch.setattr("bulkup.gui.steps.sources.starts", None)
        page = await there.get("/sources")
        assert page.status == 500
        assert "This is a fault of bulkup" in page.words
        assert "TypeError" in caplog.text
        assert (await there.get("/gallery")).status == 200


async def test_a_fault_of_a_task_is_reported_and_ends_nothing_else(
    gui: Opens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        monkeypatch.setattr("bulkup.app.doctor.REQUESTS", None)
        await there.post("/checkup", {"do": "start"})
        page = await there.settled("/checkup")
        assert "this is a fault of bulkup: TypeError" in page.words
        assert "TypeError" in caplog.text
        assert (await there.get("/")).status == 200


async def test_the_language_is_that_of_the_browser(gui: Opens) -> None:
    async with gui() as there:
        page = await there.get("/sources", **{"Accept-Language": "tlh, fr-CH;q=0.9, de;q=0.8"})
        assert '<html lang="fr">' in page.text
        assert "Choisir des dossiers et des archives ZIP" in page.words


async def test_the_language_is_chosen_by_a_form(gui: Opens) -> None:
    async with gui() as there:
        page = await there.post("/language", {"language": "en", "back": "/sources"})
        assert page.path == "/sources"
        assert "Choose folders" in page.words
        page = await there.get("/sources", **{"Accept-Language": "fr;q=0.5, de-CH"})
        assert '<html lang="en">' in page.text  # the form's choice has precedence
        page = await there.post("/language", {"language": "de", "back": "/sources"})
        assert "Ordner und ZIP-Archive auswählen" in page.words
        page = await there.post("/language", {"language": "xx", "back": "//evil.example"})
        assert page.path == "/"


async def test_settings_that_the_command_line_would_add_are_named(
    gui: Opens, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = own_state / "config" / "bulkup" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[defaults]\ntree = true\nlevel = 4\nquiet = 1\npassword = "secret-1"\n')
    monkeypatch.setenv("BULKUP_TAG", "<b>x</b>")
    monkeypatch.setenv("BULKUP_EXCLUDE", "*.tif")
    monkeypatch.setenv("BULKUP_PASSWORD", "secret-2")
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        page = await there.get("/sources")
        told = page.words.partition("the command line adds to it")[2]
        for words in ("--tree – [defaults]", "--level – [defaults]", "--tag – environment"):
            assert words in told
        assert "--exclude – environment BULKUP_EXCLUDE" in told
        assert "--quiet" not in told
        assert "secret-" not in page.text
        options = UploadOptions(tree=True, level=1, tag=("a",), patterns=("*.png",))
        await there.session.change(options=options)
        assert "the command line adds" not in (await there.get("/sources")).words
        config.write_text("[")
        assert "is not valid TOML" in (await there.get("/sources")).words
