"""Wrong usage: exit code 2, the flag named, what to do, and no request to the gallery."""

import shlex
from pathlib import Path

import pytest

from bulkup.cli import run
from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, send
from tests.support.photos import files_in

WRONG_VALUES = {
    "--album a//b": "empty name",
    "--unwrap": "--tree",
    "--tree --flat": "--tree and --flat",
    "--private": "--create-albums",
    "--album 0": "--album 0",
    "--concurrency 65": "--concurrency 65",
    "--chunk-size huge": "huge",
    "--bwlimit '08:00,1M 9,off'": "invalid entry for --bwlimit: “9,off”",
    "--url 'not an address'": "not an address",
    f"--url http://admin:{PASSWORD}@127.0.0.1:99999/": "not a web address",
    "--no-ledger --update": "--update needs the ledger",
    "--title {{number}}": "--title has no field {number}",
    "--title {{stem": "the braces do not match",
    "--tag ' '": "--tag is empty",
    "--exclude-from gone": "--exclude-from gone: No such file or directory",
    "--exclude ./raw": "--exclude “./raw” matches nothing",
    "--newer-than soon": "invalid date for --newer-than: “soon”",
    "--max-errors=0": "--max-errors",
    "--max-errors=-1": "--max-errors",
    "--max-errors=many": "--max-errors",
    "--after bin": "invalid value for --after",
    "--after move:": "invalid value for --after",
    "--after move:{folder}": "lies inside",
    "--after move:{folder}/done": "lies inside",
    "--after move:/no/such/place": "is not a folder",
    "--notify nosuch://s3cret": "the nosuch:// address (number 1)",
    "--notify json://127.0.0.1 --notify nosuch://s3cret": "the nosuch:// address (number 2)",
    "--notify-file {folder}/empty": "is empty",
    "--notify-file {folder}/nothing": "No such file",
    "--ca-cert {folder}/nothing": "BEGIN CERTIFICATE",
    "--ca-cert {folder}/empty": "it contains no certificate",
    "--log-file {folder}/nothing/log": "log can't be written: No such file or directory",
    "--report {folder}/report.txt": ".csv, .jsonl or .html",
    "--report {folder}/.csv": ".csv, .jsonl or .html",
    "--report {folder}/nowhere/report.csv": "does not exist",
    "--report {folder}/nowhere/report.html": "does not exist",
    "--monitor 0.0.0.0:0": "is reachable from other machines",
    "--monitor here": "is not a host with a port",
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
    "verify {folder} --private": "--private",
    "verify {folder} --unwrap": "--tree",
    "verify {folder} --underscores-to-spaces": "--tree",
    "verify {folder} --tree --flat": "--tree",
    "verify {folder} --album 0": "--album 0 is out of range",
    "verify {folder} --concurrency 65": "--concurrency 65 is out of range",
    "verify {folder} --newer-than soon": "invalid date for --newer-than: “soon”",
    "watch {folder} --settle soon": "invalid time for --settle",
    "watch {folder} --after move:{folder}/done": "lies inside",
    "watch {folder} --after move:{folder}/.done --no-default-excludes": "lies inside",
    "watch {folder} --after copy:{folder}": "invalid value for --after",
    "watch {folder} --dry-run": "--dry-run does not work with",
    "watch {folder} --files-from -": "--files-from does not work with",
    "watch {folder} {folder}/nothing": "No such file or directory",
    "watch {folder} --report {folder}/r.csv": "--log-file",
    "status -0": "--print0 requires --failed",
    "status --failed -0 --json": "exclude each other",
    "status --url 'no web'": "is not a web address",
    "status --ledger {folder}/none.sqlite": "there is no ledger {folder}/none.sqlite",
    "doctor nosuch": "nosuch",
    "doctor --album 0": "--album 0 is out of range",
    "doctor --concurrency 1": "--concurrency",
    "doctor --url 'not an address'": "not an address",
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


async def test_wrong_values_and_paths_are_named(box: Sandbox, photos: Path) -> None:
    (photos / "empty").write_text("# none\n")
    (photos / "weak").write_text("s3cret")
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
    assert files_in(photos) == {"a.jpg", "empty", "weak"}


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


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("dcotor", "there is no command, file or folder “dcotor”", "Did you mean bulkup doctor?"),
        ("ablums", "there is no command, file or folder “ablums”", "Did you mean bulkup albums?"),
        ("help", "there is no command, file or folder “help”", "Did you mean bulkup --help?"),
        ("x --ablum 9", "there is no flag --ablum", "Did you mean --album?"),
        ("x --ablum=9", "there is no flag --ablum", "Did you mean --album?"),
        ("x --conc 9", "there is no flag --conc", "Did you mean --concurrency?"),
        ("--verison", "there is no flag --verison", "Did you mean --version?"),
        ("albums --hlep", "there is no flag --hlep", "Did you mean --help?"),
        ("x -z", "there is no flag -z", "See bulkup --help."),
        ("x -z.jpg", "-z.jpg", "write ./-z.jpg"),
        ("albums --nosuch", "there is no flag --nosuch", "See bulkup albums --help."),
        ("x --password hunter2", "--password is not a flag", "BULKUP_PASSWORD"),
        ("x --api-key=hunter2", "--api-key is not a flag", "BULKUP_API_KEY"),
        ("x --album", "--album needs a value", "Write --album ALBUM."),
        ("x --bwlimit", "--bwlimit needs a value", "Write --bwlimit off|RATE|TABLE."),
        ("x -a 1 --album 2", "--album is given twice", "Give it once."),
        ("x -c many", "invalid value for -c: “many”", "Give a whole number."),
        ("x --finishing x", "invalid value for --finishing: “x”", "Give auto or a whole"),
        ("x --method asynk", "invalid value for --method: “asynk”", "Did you mean async?"),
        ("x --level 3", "invalid value for --level: “3”", "Give 0, 1, 2, 4 or 8."),
        ("x --tree=perhaps", "invalid value for --tree: “perhaps”", "true or false"),
        ("watch", "no folders given", "bulkup watch --help"),
        ("albums x", "bulkup albums takes no argument “x”", "See bulkup albums --help."),
        ("completion tcsh", "“tcsh”", "Give bash, zsh, fish or powershell."),
        # a folder may be named nearly like a command
        ("album", "the album is missing", "--album"),
    ],
)
def test_mistyped_lines_have_a_sentence_and_a_hint(
    line: str,
    message: str,
    hint: str,
    *,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "-z." in line:
        Path("-z.jpg").touch()
    if line == "album":
        Path("album").mkdir()
    assert run(line.split()) == 2
    err = capsys.readouterr().err
    first, second = err.splitlines()
    assert first.startswith("bulkup: ")
    assert message in first
    assert hint in second
    assert "hunter2" not in err


def test_a_value_from_the_environment_is_named_by_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKUP_CHUNK_SIZE", "huge")
    monkeypatch.setenv("BULKUP_LEVEL", "3")
    assert run(["/", "--album", "1", "--level", "1"]) == 2
    assert "--chunk-size is from BULKUP_CHUNK_SIZE." in capsys.readouterr().err
    assert run(["/", "--album", "1"]) == 2
    assert "invalid value for BULKUP_LEVEL: “3”" in capsys.readouterr().err
