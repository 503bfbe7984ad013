"""The texts of failures: one table, from which all messages and the documentation are made."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from bulkup.errors import BulkupError, FailureKind, local
from bulkup.piwigo.protocol import Answer, interpret
from docs.generate import FAILURES, failure_table, kinds

ROOT = Path(__file__).parents[2]
KINDS = [kind for module in FAILURES.values() for kind in kinds(module)]
SOURCES = [
    (path, path.read_text(encoding="utf-8"))
    for path in (ROOT / "bulkup").rglob("*.py")
    if "sandbox" not in path.parts
]


def test_the_table_has_a_row_for_each_kind_and_no_facts() -> None:
    rows = [line for line in failure_table().splitlines() if line.startswith("| `")]
    assert len(rows) == len(KINDS)
    assert not [row for row in rows if re.search(r"\{\w*\}", row)]


def test_codes_are_unique_and_stay_legible() -> None:
    counts = Counter(kind.code for kind in KINDS)
    assert [code for code, count in counts.items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in counts)


def test_each_kind_says_what_happened_and_what_to_do() -> None:
    for kind in KINDS:
        texts = Formatter().parse(f"{kind.what}{kind.remedy}")
        reported = kind(**dict.fromkeys((name for _, name, _, _ in texts if name), 7))
        assert reported.code == kind.code
        assert min(len(kind.what), len(kind.remedy)) >= 8, kind.code
        assert "{" not in reported.message + reported.hint, kind.code


def test_a_fact_may_hold_braces() -> None:
    failure = local.MAIN_UNREADABLE(name="{name}.jpg", reason="{0}")
    assert failure.message == "its photo {name}.jpg can't be read: {0}"


def calls_of_errors(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield where a module makes errors of `bulkup.errors`, but for the wrong use of flags."""
    errors = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "bulkup.errors"
        for name in node.names
        if name.name[0].isupper()
        and name.name not in {"UsageError", "FailureKind", "FailureMessage"}
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in errors:
            yield node


def is_worded(call: ast.Call) -> bool:
    """Tell whether an error is made with a text of its own, not with one of the catalogue."""
    hint = "hint" in {keyword.arg for keyword in call.keywords}
    return hint or isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)


def test_no_failure_is_worded_outside_the_table() -> None:
    calls = [
        (path.name, call) for path, text in SOURCES for call in calls_of_errors(ast.parse(text))
    ]
    assert len(calls) > 50
    outside = [f"{name}:{call.lineno}" for name, call in calls if is_worded(call)]
    assert outside == [], "take the words from bulkup.errors"


def test_each_row_is_used() -> None:
    named = {
        name
        for path, text in SOURCES
        if "errors" not in path.parts
        for name in re.findall(r"\b[a-z_]+\.[A-Z_0-9]+\b", text)
    }
    rows = {
        f"{module.__name__.rpartition('.')[2]}_failures.{name}"
        for module in FAILURES.values()
        for name, kind in vars(module).items()
        if isinstance(kind, FailureKind)
    }
    assert rows <= named


def fails(code: int, message: str) -> str:
    """Return how the web service says no."""
    return json.dumps({"stat": "fail", "err": code, "message": message})


def rpc(code: int, message: str) -> str:
    """Return how the uploader of the admin pages says no."""
    return json.dumps({"jsonrpc": "2.0", "error": {"code": code, "message": message}})


SEEN = [
    (401, fails(401, "Access denied"), "session-lost"),
    (401, fails(401, "Invalid api_key"), "api-key-refused"),
    (403, fails(403, "Invalid security token"), "session-lost"),  # token stale
    (200, fails(1002, "Missing parameters: pwg_token"), "refused"),
    (200, fails(999, "Invalid username/password"), "refused"),
    (501, fails(501, "Method name is not valid"), "unknown-method"),
    (501, fails(501, 'Missing "method" name'), "post-over-limit"),  # body over post_max_size
    (405, fails(405, "This method requires HTTP POST"), "post-over-limit"),  # method in the query
    (200, rpc(103, "Failed to move uploaded file."), "chunk-refused"),  # part too large
    (200, rpc(102, "Failed to open output stream."), "upload-buffer"),
    (500, fails(500, "error during buffer directory creation"), "upload-folder"),
    (200, "forbidden file type", "wrong-type"),
    (200, "unexpected file type", "wrong-type"),
    (415, fails(415, "no such type"), "wrong-type"),  # type, 17
    # the photo that it should replace is gone
    (200, "[add_uploaded_file] this photo does not exist in the database", "file-not-added"),
    (401, fails(401, "formats are disabled"), "formats-off"),
    (401, fails(401, 'unexpected format extension "nef"'), "format-refused"),
    (500, fails(500, "MD5 checksum chunk file mismatched"), "chunk-damaged"),
    (500, fails(500, "MD5 checksum merged file mismatched"), "photo-damaged"),
    (500, fails(500, "error while merging chunk 3"), "merge-failed"),
    (500, fails(500, "file already exists"), "known"),
    (200, fails(1003, "category must only contain positive integers"), "refused"),
    (500, '{"stat":"ok","result":null}', "in-part"),  # album gone, setInfo
    (500, "", "php-died"),
    (200, "<br />\n<b>Fatal error</b>:  Uncaught mysqli_sql_exception", "php-died"),
    (413, "<html>Request Entity Too Large</html>", "request-over-limit"),
    (414, "<html>URI Too Long</html>", "request-over-limit"),
    (502, "<html>Bad Gateway</html>", "server-unavailable"),
    (503, "<html>Service Unavailable</html>", "server-unavailable"),
    (504, "<html>Gateway Time-out</html>", "server-unavailable"),
    (429, "<html>Too Many Requests</html>", "too-many-requests"),
    (403, "<html>Forbidden</html>", "held-off"),  # 403 of a firewall
    (301, "<html>Moved</html>", "redirect"),
    (401, "<html>Unauthorized</html>", "web-password"),  # a password of the web server
    (400, "<html>400 No required SSL certificate was sent</html>", "client-certificate"),
    (407, "<html>Proxy Authentication Required</html>", "proxy-password"),
    (404, fails(404, "image_id not found"), "photo-gone"),
    (200, fails(1003, 'Tag "x" already exists'), "refused"),
    (404, "<html>Not Found</html>", "no-ws"),  # no ws.php
    (200, "<html>Welcome</html>", "strange-answer"),
]


@pytest.mark.parametrize(("status", "body", "code"), SEEN)
def test_each_failure_that_piwigo_was_seen_with_has_its_row(
    status: int, body: str, code: str
) -> None:
    with pytest.raises(BulkupError) as raised:
        interpret(Answer(status, body.encode()))
    assert raised.value.code == code
    assert code in {kind.code for kind in KINDS}
    assert raised.value.hint
