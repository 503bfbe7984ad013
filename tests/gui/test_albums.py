"""The albums: the target, what folders become, and the preview, which is what an upload does."""

import html
import re
from collections import Counter
from pathlib import Path

import pytest

from bulkup.api import Report, upload
from bulkup.gui.steps.albums import SHOWN, rename_rule
from bulkup.gui.steps.sources import to_code
from bulkup.sandbox import Sandbox
from bulkup.source.filters import Patterns, folder_pattern, read_lines
from bulkup.source.renames import read_rename
from tests.support.commands import PASSWORD
from tests.support.gui import Gui, Opens, Page
from tests.support.photos import write_files
from tests.support.takeouts import FILE_TYPES, write_takeout

ADMIN = ("admin", PASSWORD)
TREE = {"do": "albums", "kind": "tree", "target": "top"}


async def choose(there: Gui, box: Sandbox, *paths: Path, **fields: str) -> Page:
    """Sign in, choose paths and albums, and return the page once the preview is complete."""
    await there.sign_in(box)
    await there.post("/sources", {"add": [to_code(path) for path in paths]})
    page = await there.post("/albums", {**TREE, **fields})
    assert page.status == 200, page.words
    await there.settled("/albums")
    return await there.get("/albums")


async def arrive(there: Gui) -> Report:
    """Upload what has been chosen."""
    assert there.session.account is not None
    draft = there.session.draft
    return await upload(draft.paths, account=there.session.account, options=draft.options)


def tree(page: Page) -> str:
    """Return the words of the preview."""
    return page.words.partition("Preview")[2].partition("Look again")[0]


async def test_the_preview_shows_the_albums_that_an_upload_makes(
    gui: Opens, tmp_path: Path
) -> None:
    write_files(
        tmp_path / "all", "x.jpg", "2019/a.jpg", "2019/b.jpg", "2019/rome/c.jpg", "e/t.txt"
    )
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        box.gallery.add_album("all")
        page = await choose(there, box, tmp_path / "all")
        assert "3 albums; new: 2" in page.words
        assert "all 1 photo" in tree(page)
        assert "2019 new 2 photos" in tree(page)
        assert "rome new 1 photo" in tree(page)
        assert "rome" not in {album.name for album in box.gallery.albums.values()}
        assert "--tree" in page.words.partition("The command")[2]
        assert (await arrive(there)).ok
        assert {album.name for album in box.gallery.albums.values()} >= {"all", "2019", "rome"}
        page = await there.post("/albums", {"do": "again"})
        await there.settled("/albums")
        assert "3 albums; new: 0" in (await there.get("/albums")).words


async def test_the_albums_of_the_gallery_appear_as_soon_as_they_are_listed(
    gui: Opens, tmp_path: Path
) -> None:
    write_files(tmp_path, "1.jpg")
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await there.sign_in(box)
        await there.post("/sources", {"add": [to_code(tmp_path)]})
        page = await there.get("/albums")
        assert 'id="listed" data-live' in page.text  # so the page refreshes it
        assert "Sandbox (0)" in (await there.settled("/albums")).words


async def test_albums_are_renamed_merged_dissolved_and_left_out(
    gui: Opens, tmp_path: Path
) -> None:
    write_files(tmp_path, "a.b (c)/1.jpg", "a.b (c)/x/2.jpg", "d/3.jpg", "e[1]/4.jpg", "f/5.jpg")
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        page = await choose(there, box, tmp_path, unwrap="on")
        assert "5 albums; new: 5" in page.words

        async def change(**fields: str) -> str:
            page = await there.post("/albums", {**fields})
            assert page.status == 200, page.words
            await there.settled("/albums")
            return tree(await there.get("/albums"))

        assert "G\\1 new 1 photo" in await change(do="rename", name="a.b%20%28c%29", to="G\\1")
        assert "d new 2 photos" in await change(do="rename", name="f", to="d")
        assert "x new" not in await change(do="rename", name="x", to=" ")
        assert "G\\1 new 2 photos" in await change()
        page = await there.get("/albums")
        code = to_code(tmp_path / "e[1]")
        assert code in page.values("leave")
        assert "e[1]" not in await change(leave=code)
        page = await there.get("/albums")
        assert "Folders and files that are left out /e\\[1\\]/" in page.words
        assert len(page.values("forget")) == 3
        await change(forget=page.values("forget")[0])
        assert "a.b (c) new" in await change(take=page.values("take")[0])
        assert "e[1]" in await change()
        assert "Y-d new" in await change(do="rule", rule="^(.*)$=>Y-\\1")
        page = await there.post("/albums", {"do": "rule", "rule": "("})
        assert page.status == 422
        assert page.values("rule") == ["("]
        # all in one album: rules are for folders only
        await there.post("/albums", {"do": "albums", "kind": "flat", "target": "new", "path": "T"})
        assert there.session.draft.options.rename_album == ()


async def test_an_album_of_the_gallery_is_picked_and_searched_for(
    gui: Opens, tmp_path: Path
) -> None:
    write_files(tmp_path, "a.jpg", "b/c.jpg")
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        above = box.gallery.add_album("<b>Trips</b> \"x'")
        within = box.gallery.add_album("Zwölf", parent=above.id)
        page = await choose(
            there, box, tmp_path, kind="flat", target="existing", album=str(within.id)
        )
        assert there.session.draft.options.album == within.id
        assert "&lt;b&gt;Trips&lt;/b&gt; &#34;x&#39; / Zwölf (0)" in page.text
        assert "<b>" not in page.text
        assert "1 album; new: 0" in page.words
        assert "Zwölf 2 photos" in tree(page)
        assert f"--album {within.id}" in page.words
        for number in range(SHOWN):
            box.gallery.add_album(f"n{number}")
        await there.sign_in(box)
        await there.get("/albums")
        await there.settled("/albums")
        page = await there.get("/albums")
        assert "more, which are not shown: search for them" in page.words
        page = await there.post(
            "/albums", {"do": "search", "q": "N29", "kind": "flat", "target": "existing"}
        )
        assert page.path.startswith("/albums?")
        assert "token" not in page.path
        options = page.text.partition('<select name="album">')[2].partition("</select>")[0]
        assert options.count("<option") == 1 + 11
        assert page.text.count(" checked") == 2


async def test_what_can_not_be_used_is_refused(gui: Opens, tmp_path: Path) -> None:
    write_files(tmp_path, "a.jpg")
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        page = await choose(there, box, tmp_path / "a.jpg")
        assert "1 photo is in no folder that becomes an album" in page.words
        for fields, words in (
            ({"kind": "flat", "target": "top"}, "top level of the gallery"),
            ({"target": "existing", "album": ""}, "no album is chosen"),
            ({"target": "new", "path": " / "}, "the name of the album is missing"),
            ({"levels": "x"}, "not a number of levels"),
            ({"levels": "0"}, "album-levels"),
        ):
            page = await there.post("/albums", {**TREE, **fields})
            assert page.status == 422
            assert words in page.words
        await there.post("/albums", {**TREE, "target": "existing", "album": "4711"})
        page = await there.settled("/albums")
        assert "4711" in page.words
        page = await there.post("/albums", {"leave": to_code(Path("/nowhere"))})
        assert page.status == 422


async def test_the_preview_of_a_takeout_is_what_arrives(gui: Opens, tmp_path: Path) -> None:
    takeout = write_takeout(tmp_path, many=3)
    async with Sandbox(admin=ADMIN, file_types=FILE_TYPES) as box, gui() as there:
        page = await choose(there, box, *takeout.archives)
        shown = re.findall(r'<span class="name">([^<]*)</span>', page.text)
        before = set(box.gallery.albums)
        await arrive(there)
        made = [box.gallery.albums[number] for number in box.gallery.albums.keys() - before]
        # this gallery has no emoji
        names = [re.sub(r"[^\0-\uffff]", "\ufffd", html.unescape(name)) for name in shown]
        assert Counter(names) == Counter(album.name for album in made)
        assert len(names) > 5


async def test_a_large_tree_is_cut_and_searched(
    gui: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = 20
    monkeypatch.setattr("bulkup.gui.steps.albums.SHOWN", shown)
    for number in range(shown + 5):
        (tmp_path / f"f{number:03}").mkdir()
        (tmp_path / f"f{number:03}" / "x.jpg").write_bytes(b"x")
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        page = await choose(there, box, tmp_path, unwrap="on")
        assert f"{shown + 5} albums; new: {shown + 5}" in page.words
        assert "5 more albums" in page.words
        assert "f024" not in page.words
        assert "f024 new 1 photo" in tree(await there.get("/albums?find=F024"))
        assert "No album has this" in (await there.get("/albums?find=F999")).words


ODD = (
    "<b>&amp;\"'",
    "new\nline\x1b[31m",
    "\udcff",
    "😀",
    "a%20b+c",
    "{{ 7 * 7 }}",
    "*?[a]\\",
    "!#",
)


@pytest.mark.parametrize("name", ODD)
async def test_folders_with_odd_names_are_shown_and_left_out(
    gui: Opens, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    write_files(tmp_path / name, "a.jpg")
    write_files(tmp_path, "other/a.jpg")
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        page = await choose(there, box, tmp_path, unwrap="on")
        assert "2 albums" in page.words
        assert "<b>" not in page.text
        assert "\x1b" not in page.text
        code = next(code for code in page.values("name") if code != "other")
        page = await there.post("/albums", {"do": "rename", "name": code, "to": "plain"})
        await there.settled("/albums")
        assert "plain new 1 photo" in tree(await there.get("/albums"))
        await there.post("/albums", {"leave": to_code(tmp_path / name)})
        await there.settled("/albums")
        page = await there.get("/albums")
        assert "1 album; new: 1" in page.words
        assert "other new" in tree(page)
        await there.post("/albums", {"take": page.values("take")[0]})
        assert there.session.draft.options.patterns == ()


@pytest.mark.parametrize("name", [*ODD, "a.b", "x ", "(y)"])
def test_patterns_and_rules_match_one_name(name: str) -> None:
    patterns = Patterns((*read_lines(folder_pattern(Path(name)), file="x"),))
    assert patterns.decision(f"{name}/") is False
    assert patterns.decision(f"{name}x/") is None
    assert patterns.decision(f"x{name}/") is None
    if not name.endswith(" "):
        rule = read_rename(rename_rule(name, "\\1 new"), flag="x")
        assert rule(name) == "\\1 new"
        assert rule(f"{name}x") == f"{name}x"
