"""The command line as a whole: flags and their variables, help, examples, completion."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from bulkup.app.demo import EXIST_S
from bulkup.cli import app, run
from bulkup.cli.config import flags_of
from bulkup.cli.help import COMMANDS as HELP
from docs.generate import COMMANDS, arguments, flag_table

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


def test_flags_are_known_by_their_long_names() -> None:
    known = flags_of(app["upload"].assemble_argument_collection())
    assert known["include"] is known["exclude-from"]
    assert {"album", "url", "profile", "config", "tree"} <= known.keys()
    assert "paths" not in known


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
        "bulkup --alb": "--album",
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
