"""The options: all are there, are kept, and what is wrong is said beside its field."""

import html
import re
from dataclasses import fields
from pathlib import Path

import pytest

from bulkup.api import UploadOptions
from bulkup.gui.steps.options import ELSEWHERE, kind_of, text_of
from bulkup.gui.steps.sources import to_code
from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD
from tests.support.gui import Gui, Opens, Page

ADMIN = ("admin", PASSWORD)
NAMES = [field.name for field in fields(UploadOptions) if field.name not in ELSEWHERE]


async def begin(there: Gui, box: Sandbox, folder: Path) -> None:
    """Do what comes before."""
    await there.sign_in(box)
    await there.post("/sources", {"add": to_code(folder)})
    await there.post("/albums", {"do": "albums", "kind": "tree", "target": "top"})


def form_of(page: Page) -> dict[str, str]:
    """Return what a browser would send of the form, as the page shows it."""
    form: dict[str, str] = {}
    text = page.text.partition('action="/options"')[2].partition("</form>")[0]
    for tag in re.findall(r"<input[^>]*>", text):
        name = re.search(r' name="([^"]*)"', tag)
        value = re.search(r' value="([^"]*)"', tag)
        assert name
        if not re.search(r'type="(radio|checkbox)"', tag) or " checked" in tag:
            form[name[1]] = html.unescape(value[1]) if value else "on"
    for name, body in re.findall(
        r'<textarea name="(\w+)"[^>]*>\n(.*?)</textarea>', text, re.DOTALL
    ):
        form[name] = html.unescape(body).replace("\n", "\r\n")
    for name, body in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', body)
        assert chosen
        form[name] = chosen[1]
    del form["form_token"]
    return form


CHANGES = {
    "private": "on",
    "share_with": "family\r\n o'hara\r\n\r\n",
    "level": "4",
    "tag": "a,b\r\n<b>x</b>",
    "sort": "date",
    "after": "move:",
    "after_folder": "/done here",
    "concurrency": "3",
    "finishing": "2",
    "chunk_size": "500K",
    "bwlimit": "08:00,1M 23:00,off",
    "patterns": "*.tif \r\n!keep\r\n",
    "newer_than": "2020-01-01",
    "comment": "two\r\nlines",
    "max_errors": "7",
    "ledger": "~/x.sqlite",
    "follow_symlinks": "on",
    "takeout_skip": "trashed",
}


async def test_options_are_kept_and_in_the_command(gui: Opens, tmp_path: Path) -> None:
    async with Sandbox(admin=ADMIN) as box:
        async with gui() as there:
            assert (await there.get("/options")).path.startswith("/gallery?for=")
            await begin(there, box, tmp_path)
            before = there.session.draft
            page = await there.get("/options")
            assert {name for name in NAMES if f'name="{name}"' in page.text} == set(NAMES)
            for name in NAMES:  # the help of the command line, word by word
                words = " ".join(there.session.flags[name].text.split())
                assert words in page.words, name
            page = await there.post("/options", {**form_of(page)})
            assert there.session.draft == before
            page = await there.post("/options", {**form_of(page), **CHANGES})
            assert page.status == 200, page.words
            options = there.session.draft.options
            assert options == UploadOptions(
                tree=True,
                private=True,
                share_with=("family", " o'hara"),
                level=4,
                tag=("a,b", "<b>x</b>"),
                sort="date",
                after="move:/done here",
                concurrency=3,
                finishing=2,
                chunk_size="500K",
                bwlimit="08:00,1M 23:00,off",
                patterns=("*.tif ", "!keep"),
                newer_than="2020-01-01",
                comment="two\nlines",
                max_errors=7,
                ledger=str(Path.home() / "x.sqlite"),
                follow_symlinks=True,
                takeout_skip="trashed",
            )
            assert "<b>" not in page.text
            assert "The options are saved." in page.words
            assert "--level 4" in page.words
            draft = there.session.draft
        async with gui() as there:
            assert there.session.draft == draft
            await there.sign_in(box)
            page = await there.get("/options")
            await there.post("/options", {**form_of(page)})
            assert there.session.draft == draft
            await there.post("/options", {"do": "reset"})
            assert there.session.draft.options == UploadOptions(tree=True)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("concurrency", "many", "is not a number"),
        ("concurrency", "99", "from 1 to 64"),
        ("chunk_size", "x", "invalid size"),
        ("share_with", "x", "requires --private"),
        ("takeout_skip", "nonsense", "knows no photos"),
        ("metadata", "/nowhere.csv", "No such file"),
        ("newer_than", "<b>", "invalid date"),
        ("patterns", "a\r\n[", "not a valid pattern"),
        ("max_errors", "0", "max-errors"),
        ("title", "{nonsense}", "title"),
        ("level", "3", "is not one of"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    gui: Opens, tmp_path: Path, name: str, text: str, words: str
) -> None:
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await begin(there, box, tmp_path)
        before = there.session.draft
        form = form_of(await there.get("/options"))
        page = await there.post("/options", {**form, "author": "“me”", name: text})
        assert page.status == 422
        assert there.session.draft == before
        beside = page.text.partition(f'id="option-{name}"')[2].partition('id="option-')[0]
        assert words in beside
        assert page.text.count('aria-invalid="true"') == 1
        assert "<b>" not in page.text
        if name != "level":
            shown = form_of(page)
            assert (shown["author"], shown[name]) == ("“me”", text)
            await there.post("/options", {**shown, name: form.get(name, "")})
            assert there.session.draft.options.author == "“me”"


async def test_odd_values_are_not_changed_by_saving_the_form(gui: Opens, tmp_path: Path) -> None:
    odd = UploadOptions(
        tree=True,
        tag=("a\nb", "\udcff", "\x1b[31m"),
        author="x\ny \u202e",
        patterns="*.tif",
        album_for_tag=["a=b"],
        comment="\n{{ 7 * 7 }}",
    )
    async with Sandbox(admin=ADMIN) as box, gui() as there:
        await begin(there, box, tmp_path)
        await there.session.change(options=odd)
        page = await there.get("/options")
        await there.post("/options", {**form_of(page), "level": "1"})
        kept = there.session.draft.options
        for name in NAMES:
            expected = 1 if name == "level" else getattr(odd, name)
            assert getattr(kept, name) == expected, name


def test_each_option_has_a_control() -> None:
    assert {kind_of(name) for name in NAMES} == {"switch", "choice", "lines", "text"}
    assert text_of("tag", "one") == "one"
