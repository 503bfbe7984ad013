"""The command line as a whole: every flag has its variable, every mistake its sentence."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts.argument import Argument

from bulkup.app.demo import EXIST_S
from bulkup.cli import app, run
from bulkup.cli.common import COMMANDS
from bulkup.cli.config import flags_of

Captured = pytest.CaptureFixture[str]
NAMES = sorted(name for name in app if not name.startswith("-"))


def arguments(command: str) -> Iterator[Argument]:
    for argument in app[command].assemble_argument_collection():
        if argument.parse and not argument.children and argument.name.startswith("-"):
            yield argument


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", NAMES)
def test_every_flag_has_a_variable_of_its_name(command: str) -> None:
    for argument in arguments(command):
        names = [name for name in argument.names if name.startswith("--")]
        variables = {f"BULKUP_{name[2:].upper().replace('-', '_')}" for name in names}
        assert set(argument.parameter.env_var or ()) == variables, argument.name


@pytest.mark.parametrize("command", NAMES)
def test_every_flag_is_explained_and_in_a_group(command: str) -> None:
    for argument in arguments(command):
        assert argument.parameter.help, argument.name
        assert argument.show


def test_short_flags_mean_the_same_everywhere() -> None:
    shorts: dict[str, set[str]] = {}
    for command in NAMES:
        for argument in arguments(command):
            for name in argument.names:
                if re.fullmatch("-[a-z]", name):
                    shorts.setdefault(name, set()).add(argument.name)
    assert all(len(names) == 1 for names in shorts.values()), shorts
    assert {"-a", "-c", "-n", "-v"} <= shorts.keys()
    assert shorts["-a"] == {"--album"}


@pytest.mark.parametrize("command", NAMES)
def test_the_help_of_a_command_ends_with_examples(
    command: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([command, "--help"]) == 0
    _, found, examples = capsys.readouterr().out.rpartition("Examples:")
    assert found
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert len(lines) == len(COMMANDS[command])  # none is broken
    for line, shown in zip(COMMANDS[command], lines, strict=True):
        assert re.fullmatch(rf"{re.escape(line)} +# .+", shown)


@pytest.mark.parametrize("command", NAMES)
def test_the_help_names_no_default_that_says_nothing(command: str, capsys: Captured) -> None:
    assert run([command, "--help"]) == 0
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    assert "[default: None]" not in words
    assert "[default: False]" not in words
    assert "[default: ()]" not in words


@pytest.mark.parametrize("line", [line for lines in COMMANDS.values() for line in lines])
def test_the_examples_are_what_the_command_line_takes(
    line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[profiles.museum]\nurl = 'https://photos.example.org'\n")
    monkeypatch.setenv("BULKUP_CONFIG", str(file))
    words = shlex.split(line)
    assert words.pop(0) == "bulkup"
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_help_names_the_commands_in_groups(capsys: Captured) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    groups = ("Photos", "The gallery", "Setting up", "Rehearsing", "Gallery", "Albums", "Sending")
    places = [out.index(f" {group} ─") for group in (*groups, "Retries and ledger")]
    assert places == sorted(places)
    for command in NAMES:
        assert re.search(rf"^\W*{command}\b", out, re.MULTILINE), command


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["dcotor"], "there is no command “dcotor”", "Did you mean bulkup doctor?"),
        (["ablums"], "there is no command “ablums”", "Did you mean bulkup albums?"),
        (["help"], "there is no command “help”", "Did you mean bulkup --help?"),
        (["x", "--ablum", "9"], "there is no flag --ablum", "Did you mean --album?"),
        (["x", "--ablum=9"], "there is no flag --ablum", "Did you mean --album?"),
        (["x", "--conc", "9"], "there is no flag --conc", "Did you mean --concurrency?"),
        (["--verison"], "there is no flag --verison", "Did you mean --version?"),
        (["albums", "--hlep"], "there is no flag --hlep", "Did you mean --help?"),
        (["x", "-z"], "there is no flag -z", "bulkup --help lists what there is."),
        (["albums", "--nosuch"], "there is no flag --nosuch", "bulkup albums --help lists"),
        (["x", "--password", "hunter2"], "--password is no flag", "BULKUP_PASSWORD"),
        (["x", "--api-key=hunter2"], "--api-key is no flag", "BULKUP_API_KEY"),
        (["x", "--album"], "--album needs a value", "Write --album ALBUM."),
        (["x", "--bwlimit"], "--bwlimit needs a value", "Write --bwlimit off|RATE|TABLE."),
        (["x", "-a", "1", "--album", "2"], "--album is given twice", "Give it once."),
        (["x", "-c", "many"], "-c “many” is no number", "Give a whole number."),
        (["x", "--finishing", "x"], "--finishing “x” is no number", "Give auto or a whole"),
        (["x", "--method", "asynk"], "--method “asynk” is none", "Did you mean async?"),
        (["x", "--level", "3"], "--level “3” is none", "Give 0, 1, 2, 4 or 8."),
        (["x", "--tree=perhaps"], "--tree “perhaps” is neither true nor false", "true or false"),
        (["watch"], "folders are missing", "bulkup watch --help"),
        (["albums", "x"], "bulkup albums takes no “x”", "bulkup albums --help"),
        (["completion", "tcsh"], "“tcsh” is none of its values", "Give "),
    ],
)
def test_a_mistake_is_told_in_a_sentence_with_what_to_do(
    words: list[str], message: str, hint: str, *, capsys: Captured, empty_folder: Path
) -> None:
    assert not list(empty_folder.iterdir())
    assert run(words) == 2
    err = capsys.readouterr().err
    first, second = err.splitlines()
    assert first.startswith("bulkup: ")
    assert message in first
    assert hint in second
    assert "hunter2" not in err


def test_paths_may_stand_on_both_sides_of_flags() -> None:
    words = ["a", "--album", "9", "b", "-q", "--tag", "x", "c"]
    for command in ([], ["upload"], ["verify"], ["watch"]):
        given = [word for word in words if command != ["verify"] or word not in {"--tag", "x"}]
        _, bound, *_ = app.parse_args([*command, *given], exit_on_error=False, print_error=False)
        assert bound.args == (Path("a"), Path("b"), Path("c"))


def test_a_file_named_like_a_flag_is_told_how_to_write(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-z.jpg").touch()
    assert run(["x", "-z.jpg"]) == 2
    assert "write ./-z.jpg" in capsys.readouterr().err


def test_a_folder_may_be_named_nearly_like_a_command(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album").mkdir()
    assert run(["album"]) == 2
    assert "no command" not in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_flags(shell: str, capsys: Captured) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("doctor", "completion", "concurrency", "album"):
        assert word in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("bulkup doc", "doctor"),
        ("bulkup --alb", "--album"),
        ("bulkup upload --conc", "--concurrency"),
        ("bulkup upload --method a", "auto async"),
    ],
)
def test_bash_completes_what_is_begun(
    words: str, completed: str, capsys: Captured, tmp_path: Path
) -> None:
    assert run(["completion", "bash"]) == 0
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    count = len(words.split()) - 1
    asked = f"COMP_WORDS=({words}); COMP_CWORD={count}; _bulkup; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(  # noqa: S603 (all of it is ours)
        ["bash", "-c", f"source {script}; {asked}"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{completed}\n"


def test_completion_is_installed_where_the_shell_looks(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["completion", "bash", "--install"]) == 0
    file = tmp_path / ".local/share/bash-completion/completions/bulkup"
    assert capsys.readouterr().out == f"Written to {file}; open a new shell.\n"
    assert "complete -F _bulkup bulkup" in file.read_text()
    assert str(file) in (tmp_path / ".bashrc").read_text()


def test_a_value_from_the_environment_is_named_by_its_variable(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BULKUP_CHUNK_SIZE", "huge")
    monkeypatch.setenv("BULKUP_LEVEL", "3")
    assert run([str(tmp_path), "--album", "1", "--level", "1"]) == 2
    assert "--chunk-size is from BULKUP_CHUNK_SIZE." in capsys.readouterr().err
    assert run([str(tmp_path), "--album", "1"]) == 2
    assert "BULKUP_LEVEL “3” is none of its values" in capsys.readouterr().err


def test_flags_are_known_by_their_long_names() -> None:
    flags = flags_of(app["upload"].assemble_argument_collection())
    assert flags["include"] is flags["exclude-from"]
    assert {"album", "url", "profile", "config", "tree"} <= flags.keys()
    assert "paths" not in flags


def test_the_workers_of_a_sandbox_can_be_counted_as_it_stands() -> None:
    _, bound, *_ = app.parse_args(["sandbox"], exit_on_error=False, print_error=False)
    bound.apply_defaults()
    assert bound.arguments["exist_time"] == EXIST_S
