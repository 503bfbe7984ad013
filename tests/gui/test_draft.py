"""The draft, its file, and the command that does the same."""

import subprocess
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from unittest.mock import ANY

import pytest

from bulkup.api import UploadOptions, filters_of, settings_of
from bulkup.app.settings import Account
from bulkup.cli import app
from bulkup.cli.config import write_profile
from bulkup.cli.gui import save_profile
from bulkup.errors import UsageError
from bulkup.gui.draft import Draft, DraftFile, command_text

OPTIONS = {field.name for field in fields(UploadOptions)}

ODD = ('a\'b "c"', "new\nline", "émoji 😀", "$(touch x)", "back\\slash", "-dash", "\udcff\udc80")


def words_of(command: str) -> list[str]:
    """Return the arguments of a command, as bash reads it."""
    script = f"bulkup() {{ printf '%s\\0' \"$@\"; }}; {command}"
    bash = ["bash", "-c", script]
    done = subprocess.run(bash, capture_output=True, check=True)  # noqa: S603 (a test's own words)
    return done.stdout.decode(errors="surrogateescape").split("\0")[:-1]


def draft_of(**options: object) -> Draft:
    account = Account(url="https://photos.example.org/", user="o'hara", insecure=True)
    paths = tuple(Path("/photos") / name for name in ODD)
    return Draft(account=account, paths=paths, options=UploadOptions(**options))  # type: ignore[arg-type]


DRAFTS = [
    draft_of(album=9, level=8, finishing=3, update=True, keyword_paths=True, ledger="/a b.sqlite"),
    draft_of(album="Trips/2019 – “x”", create_albums=True, private=True, share_with=["a", "-b"]),
    draft_of(
        tree=True, unwrap=True, rename_album=["^\\d+ =>", "a=>'b'"], bwlimit="08:00,1M 23:00,off"
    ),
    draft_of(album=1, patterns=["!*.jpg", "raw/", "\\!x", "", "# no", "a b "], min_size="2K"),
    draft_of(album=1, tag=["-x", "y,z", "a\nb"], title="-{name}", comment="", author="“A”"),
]


@pytest.mark.parametrize("draft", DRAFTS)
def test_the_command_does_the_same(draft: Draft) -> None:
    words = words_of(command_text(draft.arguments()))
    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    bound.apply_defaults()
    given = bound.arguments
    assert command.__name__ == "upload"
    assert given["paths"] == draft.paths
    assert given["gallery"].address() == replace(draft.account, cautions=ANY)
    assert given["upload"].settings(
        given["albums"], given["retry"], given["after"]
    ) == settings_of(draft.options)
    assert given["selection"].filters() == filters_of(draft.options)
    for flags in given.values():
        for field in fields(flags) if is_dataclass(flags) else ():
            if field.name in OPTIONS - {"patterns"}:
                value, wanted = getattr(flags, field.name), getattr(draft.options, field.name)
                assert str(value) == str(tuple(wanted) if isinstance(wanted, list) else wanted)


def test_a_profile_has_the_same_settings(own_state: Path) -> None:
    config = own_state / "config" / "bulkup" / "config.toml"
    for number, draft in enumerate(DRAFTS):
        name = f"{number} – “é”"
        assert save_profile(name, draft.settings()) == config
        words = ["upload", "--profile", name]
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
        _, other, _ = app.parse_args(draft.arguments(), exit_on_error=False, print_error=False)
        for key, flags in other.arguments.items():
            if is_dataclass(flags):
                without = {"profile": None} if hasattr(flags, "profile") else {}
                assert replace(bound.arguments[key], **without) == flags
    assert config.stat().st_mode & 0o77 == 0
    for patterns, kept in (
        (["!*.jpg", "!b", "raw/"], {"include": ["*.jpg", "b"], "exclude": ["raw/"]}),
        (["raw/", "!b"], {"exclude": ["raw/"], "include": ["b"]}),
    ):
        settings = draft_of(patterns=patterns).settings()
        assert {k: v for k, v in settings.items() if k in kept} == kept
        assert [key for key in settings if key in kept] == list(kept)
    with pytest.raises(UsageError, match="in turn"):
        draft_of(patterns=["a", "!b", "c"]).settings()


CONFIG = """# mine
[defaults]
album = 9  # usual

[profiles.old]
url = "https://a.example"
[profiles."a b"]  # with a remark
level = 8
"""


def test_saving_a_profile_changes_nothing_else_in_the_file(tmp_path: Path) -> None:
    file, link = tmp_path / "real.toml", tmp_path / "config.toml"
    file.write_text(CONFIG)
    file.chmod(0o640)
    link.symlink_to(file)
    write_profile(link, "new", {"tree": True, "tag": ["a\n", '"'], "level": 4})
    write_profile(link, "old", {"url": "https://b.example"})
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    changed = CONFIG.replace("https://a", "https://b").replace('example"\n', 'example"\n\n')
    added = '\n[profiles.new]\ntree = true\ntag = ["a\\n", "\\""]\nlevel = 4\n'
    assert file.read_text() == changed + added
    write_profile(link, "new", {"level": 1})
    assert file.read_text().endswith("[profiles.new]\nlevel = 1\n\n")
    before = file.read_text()
    for name, values, words in (
        ("a b", {"level": 1}, "without losing something"),
        ("", {}, "no usable name"),
        ("x\ny", {}, "no usable name"),
        ("z", {"ledger": "\udcff"}, "not UTF-8"),
    ):
        with pytest.raises(UsageError, match=words):
            write_profile(link, name, values)
    assert file.read_text() == before
    assert {path.name for path in tmp_path.iterdir()} == {"real.toml", "config.toml"}
    file.write_text("[")
    with pytest.raises(UsageError, match="not valid TOML"):
        write_profile(link, "new", {})


def test_the_command_has_no_secrets_and_its_file_neither() -> None:
    account = Account(
        url="https://photos.example.org/",
        user="admin",
        password="secret-1",
        api_key="secret-2",
        http_password="secret-3",
        headers={"X": "secret-4"},
        proxy="http://me:secret-5@proxy:3128",
    )
    draft = Draft(account=account)
    assert "secret" not in command_text(draft.arguments())
    assert "secret" not in draft.to_json()
    assert draft.arguments("login") == ["login", "--url", account.url, "--user", "admin"]


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_draft_is_kept(draft: Draft, tmp_path: Path) -> None:
    file = DraftFile(tmp_path / "new" / "gui.json")
    assert file.read() == (Draft(), None)
    file.write(draft)
    kept, aside = file.read()
    assert aside is None
    assert (kept.account, kept.paths) == (draft.account, draft.paths)
    assert kept.arguments() == draft.arguments()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["gui.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "[" * 100_000,
        '{"account": {}, "options": {}, "paths": 7}',
        '{"account": {"password": "x"}, "options": {}}',
        '{"account": {}, "options": {"album": [1]}}',
        '{"account": {}, "options": {"tree": 1}}',
        '{"account": {}, "options": {"nothing": 1}}',
        '{"account": {}, "options": {"level": 3}}',
        '{"account": {"url": "\\udcff"}, "options": {}}',
    ],
)
def test_a_file_that_is_no_draft_is_set_aside(text: str, tmp_path: Path) -> None:
    file = tmp_path / "gui.json"
    file.write_text(text)
    draft, aside = DraftFile(file).read()
    assert draft == Draft()
    assert aside == tmp_path / "gui.broken"
    assert aside.read_text() == text
    assert not file.exists()
