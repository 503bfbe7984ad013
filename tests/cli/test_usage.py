"""Wrong usage: exit code 2, the flag named, and no request to the gallery."""

import shlex
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, send
from tests.support.photos import files_in

UPLOAD = {
    "--album a//b": "empty name",
    "--unwrap": "--tree",
    "--tree --flat": "--tree and --flat",
    "--private": "--create-albums",
    "--album 0": "--album 0",
    "--concurrency 65": "--concurrency 65",
    "--chunk-size huge": "huge",
    "--bwlimit '08:00,1M 9,off'": "invalid entry for --bwlimit: “9,off”",
    "--url 'not an address'": "not an address",
    f"--url http://admin:{PASSWORD}@127.0.0.1:99999/": "no web address",
    "--no-ledger --update": "--update needs the ledger",
    "--title {{number}}": "--title knows no field {number}",
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
    "--ca-cert {folder}/empty": "it holds no certificate",
    "--log-file {folder}/nothing/log": "log can't be written: No such file or directory",
    "--report {folder}/report.txt": ".csv, .jsonl or .html",
    "--report {folder}/.csv": ".csv, .jsonl or .html",
    "--report {folder}/nowhere/report.csv": "does not exist",
    "--report {folder}/nowhere/report.html": "does not exist",
    "--monitor 0.0.0.0:0": "can be reached by others",
    "--monitor here": "is no host with a port",
    "--monitor 0.0.0.0:0 --monitor-token-file {folder}/weak": "is shorter than",
    "--monitor 0.0.0.0:0 --monitor-token-file {folder}/none": "No such file",
    "--monitor-token-file {folder}/weak": "requires --monitor",
    "-qv": "-q",
    "-qq --report {folder}/a.pdf": "--report",
}
OTHERS = {
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
    "status --url 'no web'": "is no web address",
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


@pytest.mark.parametrize(
    ("line", "words"),
    [*((f"upload {{folder}} {flags}", words) for flags, words in UPLOAD.items()), *OTHERS.items()],
)
async def test_wrong_usage_is_named(box: Sandbox, photos: Path, line: str, words: str) -> None:
    (photos / "empty").write_text("# none\n")
    (photos / "weak").write_text("s3cret")
    ended = await send(box, *shlex.split(line.format(folder=photos)))
    assert (ended.code, ended.out) == (2, "")
    what, hint = ended.err.splitlines()
    assert what.startswith("bulkup: ")
    assert hint.startswith("  ")
    assert words.replace("{folder}", str(photos)) in what + hint
    assert "s3cret" not in ended.err
    assert not box.requests
    assert files_in(photos) == {"a.jpg", "empty", "weak"}


async def test_what_is_missing_is_named_with_its_flag(box: Sandbox, photos: Path) -> None:
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
