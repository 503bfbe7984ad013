"""The command line as a whole: flags and their variables, help, completion, wrong usage."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bulkup.app.demo import EXIST_S
from bulkup.cli import app, run
from bulkup.cli.help import COMMANDS as HELP
from bulkup.sandbox import Sandbox
from docs.generate import COMMANDS, arguments, flag_table
from tests.support.commands import PASSWORD, send
from tests.support.photos import files_in

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is empty, and the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_every_flag_has_a_help_text_a_variable_of_its_name_and_a_row() -> None:
    cells = [line.split(" | ")[0] for line in flag_table().splitlines()]
    shorts: dict[str, set[str]] = {}
    for command in COMMANDS:
        for argument in arguments(command):
            long = [name for name in argument.names if name.startswith("--")]
            variables = {f"BULKUP_{name[2:].upper().replace('-', '_')}" for name in long}
            assert set(argument.parameter.env_var or ()) == variables, argument.name
            assert argument.parameter.help, argument.name
            assert argument.show
            named = {f"`{name}`" for name in (*argument.names, *variables)}
            assert any(all(name in cell for name in named) for cell in cells), argument.name
            for name in argument.names:
                if re.fullmatch("-[a-z]", name):
                    shorts.setdefault(name, set()).add(argument.name)
    assert all(len(names) == 1 for names in shorts.values()), "one means two things"
    assert {"-a", "-c", "-n", "-v"} <= shorts.keys()
    assert shorts["-a"] == {"--album"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_names_flags_no_empty_default_and_examples(
    command: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([command, "--help"]) == 0
    text, found, examples = capsys.readouterr().out.rpartition("Examples:")
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())
    assert all(argument.name in words for argument in arguments(command))
    assert not any(re.search(rf"{flag}\b", words) for flag in HELP[command].unusable)
    assert not re.search(r"\[default: (None|False|\(\))\]", words)
    assert command != "doctor" or "130 interrupted" in words
    assert found
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    for (line, remark), shown in zip(HELP[command].examples, lines, strict=True):
        assert re.fullmatch(rf"{re.escape(line)} +# {re.escape(remark)}", shown)


def test_the_examples_are_valid_command_lines(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "config.toml").write_text("[profiles.museum]\nurl = 'https://photos.example.org'\n")
    monkeypatch.setenv("BULKUP_CONFIG", "config.toml")
    for text in HELP.values():
        for line, _ in text.examples:
            name, *words = shlex.split(line)
            assert name == "bulkup"
            app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_help_names_the_commands_in_groups(capsys: Captured) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    groups = ("Photos", "Gallery and history", "Setup", "Testing", "Gallery", "Albums", "Upload")
    places = [out.index(f" {group} ─") for group in (*groups, "Retries and ledger")]
    assert places == sorted(places)
    assert "BULKUP_URL" in out
    for command in COMMANDS:
        assert re.search(rf"^\W*{command}\b", out, re.MULTILINE), command


def test_paths_may_be_given_before_and_after_flags() -> None:
    words = ["a", "--album", "9", "b", "-q", "--tag", "x", "c"]
    for command in ([], ["upload"], ["verify"], ["watch"]):
        given = [word for word in words if command != ["verify"] or word not in {"--tag", "x"}]
        _, bound, *_ = app.parse_args([*command, *given], exit_on_error=False, print_error=False)
        assert bound.args == (Path("a"), Path("b"), Path("c"))


def test_a_command_line_keeps_no_values_of_the_one_before() -> None:
    for words, paths in ((["a", "--exclude", "b"], 1), (["c", "d"], 2)):
        _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
        assert len(bound.args) == paths
        assert ("selection" in bound.arguments) is ("--exclude" in words)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_flags_and_values(capsys: Captured, here: Path) -> None:
    begun = {
        "bulkup doc": "doctor",
        "bulkup --alb": "--album --album-levels --album-for-tag",
        "bulkup upload --conc": "--concurrency",
        "bulkup upload --method a": "auto async",
    }
    assert run(["completion", "bash"]) == 0
    asked = [
        f"COMP_WORDS=({line}); COMP_CWORD={len(line.split()) - 1}; _bulkup; echo ${{COMPREPLY[@]}}"
        for line in begun
    ]
    (here / "script").write_text("\n".join([capsys.readouterr().out, *asked]))
    done = subprocess.run(["bash", "script"], capture_output=True, text=True, check=True)  # noqa: S607
    assert done.stdout.splitlines() == [*begun.values()]


def test_completion_scripts_know_commands_and_are_installed(capsys: Captured, here: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert run(["completion", shell]) == 0
        script = capsys.readouterr().out
        assert all(word in script for word in ("doctor", "completion", "concurrency", "album"))
    assert run(["completion", "bash", "--install"]) == 0
    file = here / ".local/share/bash-completion/completions/bulkup"
    assert capsys.readouterr().out == f"Installed {file}; open a new shell.\n"
    assert "complete -F _bulkup bulkup" in file.read_text()
    assert str(file) in (here / ".bashrc").read_text()


def test_a_sandbox_is_slow_enough_to_count_its_workers() -> None:
    _, bound, *_ = app.parse_args(["sandbox"], exit_on_error=False, print_error=False)
    bound.apply_defaults()
    assert bound.arguments["load"].exist_time == EXIST_S


# wrong usage: exit code 2, the flag named, what to do, and no request to the gallery


WRONG_VALUES = {
    "--album a//b": "empty name",
    "--unwrap": "--tree",
    "--tree --flat": "--tree and --flat",
    "--tree --album-levels 0": "--album-levels 0 is out of range",
    "--private": "--create-albums",
    "--album-for-tag family": "invalid value for --album-for-tag: “family”",
    "--album-for-tag a=b//c": "invalid value for --album-for-tag: “a=b//c”",
    "--share-with Family": "--share-with requires --private",
    "--tree --private --share-with ''": "--share-with is empty",
    "--album 0": "--album 0",
    "--url 'not an address'": "not an address",
    f"--url http://admin:{PASSWORD}@127.0.0.1:99999/": "not a web address",
    "--no-ledger --update": "--update needs the ledger",
    "--title {{number}}": "--title has no field {number}",
    "--title {{stem": "the braces do not match",
    "--exclude-from gone": "--exclude-from gone: No such file or directory",
    "--exclude-from {folder}": "--exclude-from {folder}: Is a directory",
    "--exclude-from {folder}/patterns": "{folder}/patterns, line 2",
    "--include '!a'": "--include “!a”",
    "--newer-than 1d --older-than 2d": "both --newer-than 1d and --older-than 2d",
    "--newer-than 2024-01-01 --older-than 2024-01-01": "no file can match both",
    "--min-size 2M --max-size 1M": "both --min-size 2M and --max-size 1M",
    "--max-size ''": "invalid size for --max-size: “”",
    "--max-errors=0": "--max-errors",
    "--after bin": "invalid value for --after",
    "--after move:": "invalid value for --after",
    "--after move:{folder}/done": "lies inside",
    "--after move:/no/such/place": "is not a folder",
    "--notify json://127.0.0.1 --notify nosuch://s3cret": "the nosuch:// address (number 2)",
    "--notify-file {folder}/empty": "is empty",
    "--notify-file {folder}/nothing": "No such file",
    "--ca-cert {folder}/nothing": "BEGIN CERTIFICATE",
    "--ca-cert {folder}/empty": "it contains no certificate",
    "--log-file {folder}/nothing/log": "log can't be written: No such file or directory",
    "--report {folder}/report.txt": ".csv, .jsonl or .html",
    "--report {folder}/.csv": ".csv, .jsonl or .html",
    "--report {folder}/nowhere/report.html": "does not exist",
    "--monitor 0.0.0.0:0 --monitor-token-file {folder}/weak": "is shorter than",
    "--monitor 0.0.0.0:0 --monitor-token-file {folder}/none": "No such file",
    "--monitor-token-file {folder}/weak": "requires --monitor",
    "-qv": "-q",
    "-qq --report {folder}/a.pdf": "--report",
}
OTHER_LINES = {
    "upload": "no folders or photos given",
    "upload {folder}/nothing": "nothing: No such file or directory",
    "upload --files-from gone": "--files-from gone: No such file or directory",
    "verify --files-from /": "--files-from /: it is a folder",
    "upload {folder} --from0": "--from0 requires --files-from",
    "verify {folder} --chunk-size 1": "--chunk-size",
    "verify {folder} --create-albums": "--create-albums",
    "verify {folder} --unwrap": "--tree",
    "verify {folder} --underscores-to-spaces": "--tree",
    "verify {folder} --album-levels 2": "--album-levels requires --tree",
    "verify {folder} --tree --flat": "--tree",
    "verify {folder} --rename-album a=>b": "--rename-album requires --tree",
    "upload {folder} --tree --rename-album (a=>b": "--rename-album “(a=>b”",
    "upload {folder} --tree --rename-album (a+)+=>b": "could take very long",
    "upload {folder} --metadata {folder}": "--metadata {folder}: it is a folder",
    "upload {folder} --metadata-map title=a": "--metadata-map requires --metadata",
    "verify {folder} --album 0": "--album 0 is out of range",
    "verify {folder} --concurrency 65": "--concurrency 65 is out of range",
    "watch {folder} --settle soon": "invalid time for --settle",
    "watch {folder} --after move:{folder}/done": "lies inside",
    "watch {folder} --after move:{folder}/.done --no-default-excludes": "lies inside",
    "watch {folder} --dry-run": "--dry-run does not work with",
    "watch {folder} --files-from -": "--files-from does not work with",
    "watch {folder} {folder}/nothing": "No such file or directory",
    "watch {folder} --report {folder}/r.csv": "--log-file",
    "upload {folder} --dask scheduler": "is not a scheduler's address",
    "upload {folder} --dask local:0": "is not a number of workers",
    "upload {folder} --dask tls://127.0.0.1:8786": "needs certificates",
    "upload {folder} --dask tls://127.0.0.1:8786 --dask-tls-ca {folder}/empty": "needs cert",
    "upload {folder} --dask local:2 --map here": "does not name two folders",
    "upload {folder} --map a=b": "for the workers of a Dask cluster",
    "watch {folder} --dask local:2": "--dask only works with bulkup upload and verify",
    "status -0": "--print0 requires --failed",
    "status --failed -0 --json": "exclude each other",
    "status --url 'no web'": "is not a web address",
    "status --ledger {folder}/none.sqlite": "there is no ledger {folder}/none.sqlite",
    "doctor nosuch": "nosuch",
    "doctor --album 0": "--album 0 is out of range",
    "doctor --concurrency 1": "--concurrency",
    "sandbox --workers 0": "--workers 0 is out of range",
    "sandbox --workers 2 --start-workers 3": "--start-workers 3 is out of range",
    "sandbox --start-workers 3": "--start-workers requires --workers",
    "sandbox --cpus 0": "--cpus 0 is out of range",
    "sandbox --finish-time -1": "--finish-time is out of range",
    "sandbox --page-time nan": "--page-time is out of range",
    "sandbox --exist-time inf": "--exist-time is out of range",
    "sandbox --gateway-timeout -1": "--gateway-timeout is out of range",
    "sandbox --piwigo 1.0": "there is no sandbox of Piwigo 1.0",
}
MISTYPED = {
    "dcotor": ("there is no command, file or folder “dcotor”", "Did you mean bulkup doctor?"),
    "help": ("there is no command, file or folder “help”", "Did you mean bulkup --help?"),
    "x --ablum 9": ("there is no flag --ablum", "Did you mean --album?"),
    "x --ablum=9": ("there is no flag --ablum", "Did you mean --album?"),
    "x --conc 9": ("there is no flag --conc", "Did you mean --concurrency?"),
    "--verison": ("there is no flag --verison", "Did you mean --version?"),
    "albums --hlep": ("there is no flag --hlep", "Did you mean --help?"),
    "x -z": ("there is no flag -z", "See bulkup --help."),
    "x -z.jpg": ("-z.jpg", "write ./-z.jpg"),
    "albums --nosuch": ("there is no flag --nosuch", "See bulkup albums --help."),
    "x --password hunter2": ("--password is not a flag", "BULKUP_PASSWORD"),
    "x --api-key=hunter2": ("--api-key is not a flag", "BULKUP_API_KEY"),
    "x --album": ("--album needs a value", "Write --album ALBUM."),
    "x --bwlimit": ("--bwlimit needs a value", "Write --bwlimit off|RATE|TABLE."),
    "x --include": ("--include needs a value", "Write --include GLOB."),
    "x --exclude-from": ("--exclude-from needs a value", "Write --exclude-from GLOB."),
    "x -a 1 --album 2": ("--album is given twice", "Give it once."),
    "x -c many": ("invalid value for -c: “many”", "Give a whole number."),
    "x --finishing x": ("invalid value for --finishing: “x”", "Give auto or a whole"),
    "x --method asynk": ("invalid value for --method: “asynk”", "Did you mean async?"),
    "x --level 3": ("invalid value for --level: “3”", "Give 0, 1, 2, 4 or 8."),
    "x --tree=perhaps": ("invalid value for --tree: “perhaps”", "true or false"),
    "watch": ("no folders given", "bulkup watch --help"),
    "albums x": ("bulkup albums takes no argument “x”", "See bulkup albums --help."),
    "completion tcsh": ("“tcsh”", "Give bash, zsh, fish or powershell."),
    "album": ("the album is missing", "--album"),
}


async def test_wrong_values_and_paths_are_named(box: Sandbox, photos: Path) -> None:
    (photos / "empty").write_text("# none\n")
    (photos / "weak").write_text("s3cret")
    (photos / "patterns").write_text("a\n[z-a]\n")
    uploads = {f"upload {{folder}} {flags}": words for flags, words in WRONG_VALUES.items()}
    for line, words in (uploads | OTHER_LINES).items():
        ended = await send(box, *shlex.split(line.format(folder=photos)))
        assert (ended.code, ended.out) == (2, ""), line
        what, hint = ended.err.splitlines()
        assert what.startswith("bulkup: "), line
        assert hint.startswith("  "), line
        assert words.replace("{folder}", str(photos)) in what + hint, line
        assert "s3cret" not in ended.err, line
    assert not box.requests
    assert files_in(photos) == {"a.jpg", "empty", "patterns", "weak"}


async def test_missing_values_are_named_with_their_flag(box: Sandbox, photos: Path) -> None:
    for missing, sentence, hint in (
        ("url", "the gallery URL is missing", "Give --url, or set BULKUP_URL."),
        ("user", "the user name is missing", "Give --user, or set BULKUP_USER."),
        ("album", "the album is missing", "--album N"),
        ("password", "the password is missing", "BULKUP_PASSWORD"),
    ):
        ended = await send(box, photos, **{missing: ""})
        assert ended.code == 2
        first, second = ended.err.splitlines()
        assert first == f"bulkup: {sentence}"
        assert hint in second
    assert not box.requests


def test_mistyped_lines_have_a_sentence_and_a_hint(capsys: Captured, here: Path) -> None:
    (here / "-z.jpg").touch()
    (here / "album").mkdir()  # a folder may be named nearly like a command
    for line, (message, hint) in MISTYPED.items():
        assert run(line.split()) == 2, line
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith("bulkup: "), line
        assert message in first, line
        assert hint in second, line
        assert "hunter2" not in first + second


def test_a_value_from_the_environment_is_named_by_its_variable(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKUP_CHUNK_SIZE", "huge")
    monkeypatch.setenv("BULKUP_LEVEL", "3")
    assert run(["/", "--album", "1", "--level", "1"]) == 2
    assert "--chunk-size is from BULKUP_CHUNK_SIZE." in capsys.readouterr().err
    assert run(["/", "--album", "1"]) == 2
    assert "invalid value for BULKUP_LEVEL: “3”" in capsys.readouterr().err


def test_help_and_wrong_flags_load_nothing_that_they_do_not_need() -> None:
    code = "import sys, bulkup.cli.upload; print(*sys.modules)"
    loaded = subprocess.run(  # noqa: S603 (a constant)
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert {"asyncio", "aiohttp", "sqlite3", "bulkup.engine.context"}.isdisjoint(
        loaded.stdout.split()
    )
