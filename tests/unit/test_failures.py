"""The words for failures: one table, from which all of them come, and the README's too."""

import ast
import re
from collections import Counter
from pathlib import Path
from string import Formatter

import pytest

from bulkup.errors import BulkupError, UsageError
from bulkup.failures import Kind, answers, gallery, local, stops
from bulkup.failures.table import GROUPS, inserted, kinds, table
from bulkup.piwigo.wire import Answer, interpret

ROOT = Path(__file__).parents[2]
KINDS = [kind for module in GROUPS.values() for kind in kinds(module)]
SOURCES = [path for path in (ROOT / "bulkup").rglob("*.py") if "sandbox" not in path.parts]


def test_the_readme_holds_the_table_as_it_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert inserted(readme) == readme, "python -m bulkup.failures README.md writes it anew"


def test_a_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no"):
        inserted("# bulkup\n")


def test_the_table_has_a_row_for_each_kind_and_no_facts() -> None:
    rows = [line for line in table().splitlines() if line.startswith("| `")]
    assert len(rows) == len(KINDS)
    assert not [row for row in rows if re.search(r"\{\w*\}", row)]


def test_codes_are_unique_and_stay_legible() -> None:
    counts = Counter(kind.code for kind in KINDS)
    assert [code for code, count in counts.items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in counts)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_each_kind_says_what_happened_and_what_to_do(kind: Kind) -> None:
    fields = {name for text in (kind.what, kind.remedy) for name in _fields(text)}
    told = kind(**dict.fromkeys(fields, 7))
    assert told.code == kind.code
    assert len(kind.what) >= 8
    assert len(kind.remedy) >= 8
    assert "{" not in told.message + told.hint


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_a_fact_may_hold_braces() -> None:
    told = local.MAIN_UNREADABLE(name="{name}.jpg", reason="{0}")
    assert told.message == "its photo {name}.jpg can't be read: {0}"


def errors_in(tree: ast.Module) -> set[str]:
    """Return the names of errors that a module imports, but for the wrong use of flags."""
    return {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "bulkup.errors"
        for name in node.names
        if name.name != UsageError.__name__
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_failure_is_worded_outside_the_table(path: Path) -> None:
    """Each error gets its words from a kind of failure, or from another error."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    errors = errors_in(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in errors:
            words = node.args[0]
            name = ast.unparse(words.func if isinstance(words, ast.Call) else words)
            last = name.rpartition(".")[2]
            assert last in {"told", "kind"} or last.isupper(), (
                f"{path.name}:{node.lineno}: take the words from bulkup.failures"
            )
            assert "hint" not in {keyword.arg for keyword in node.keywords}


def test_each_row_is_used() -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in SOURCES if "failures" not in path.parts
    )
    unused = [
        name
        for module in (answers, gallery, local, stops)
        for name, kind in vars(module).items()
        if isinstance(kind, Kind)
        and not re.search(rf"\b{module.__name__.rpartition('.')[2]}\.{name}\b", text)
    ]
    assert unused == []


ATLAS = {
    "session lost": (401, '{"stat":"fail","err":401,"message":"Access denied"}', "session-lost"),
    "key wrong": (
        401,
        '{"stat":"fail","err":401,"message":"Invalid api_key"}',
        "api-key-refused",
    ),
    "token stale": (
        403,
        '{"stat":"fail","err":403,"message":"Invalid security token"}',
        "session-lost",
    ),
    "token missing": (
        200,
        '{"stat":"fail","err":1002,"message":"Missing parameters: pwg_token"}',
        "refused",
    ),
    "log-in refused": (
        200,
        '{"stat":"fail","err":999,"message":"Invalid username\\/password"}',
        "refused",
    ),
    "method unknown": (
        501,
        '{"stat":"fail","err":501,"message":"Method name is not valid"}',
        "unknown-method",
    ),
    "body over post_max_size": (
        501,
        '{"stat":"fail","err":501,"message":"Missing \\"method\\" name"}',
        "post-over-limit",
    ),
    "the same, method in the query": (
        405,
        '{"stat":"fail","err":405,"message":"This method requires HTTP POST"}',
        "post-over-limit",
    ),
    "part too large": (
        200,
        '{"jsonrpc": "2.0", "error": {"code": 103, "message": "Failed to move uploaded file."}}',
        "chunk-refused",
    ),
    "buffer not writable": (
        200,
        '{"jsonrpc": "2.0", "error": {"code": 102, "message": "Failed to open output stream."}}',
        "upload-buffer",
    ),
    "buffer folder": (
        500,
        '{"stat":"fail","err":500,"message":"error during buffer directory creation"}',
        "upload-folder",
    ),
    "type, 13 to 16": (200, "forbidden file type", "wrong-type"),
    "type by content": (200, "unexpected file type", "wrong-type"),
    "type, 17": (415, '{"stat":"fail","err":415,"message":"no such type"}', "wrong-type"),
    "replaced photo gone": (
        200,
        "[add_uploaded_file] this photo does not exist in the database",
        "file-not-added",
    ),
    "formats off": (
        401,
        '{"stat":"fail","err":401,"message":"formats are disabled"}',
        "formats-off",
    ),
    "format extension": (
        401,
        '{"stat":"fail","err":401,"message":"unexpected format extension \\"nef\\""}',
        "format-refused",
    ),
    "chunk damaged": (
        500,
        '{"stat":"fail","err":500,"message":"MD5 checksum chunk file mismatched"}',
        "chunk-damaged",
    ),
    "whole damaged": (
        500,
        '{"stat":"fail","err":500,"message":"MD5 checksum merged file mismatched"}',
        "photo-damaged",
    ),
    "merge failed": (
        500,
        '{"stat":"fail","err":500,"message":"error while merging chunk 3"}',
        "merge-failed",
    ),
    "known MD5": (500, '{"stat":"fail","err":500,"message":"file already exists"}', "known"),
    "album no number": (
        200,
        '{"stat":"fail","err":1003,"message":"category must only contain positive integers"}',
        "refused",
    ),
    "album gone, setInfo": (500, '{"stat":"ok","result":null}', "in-part"),
    "PHP died": (500, "", "php-died"),
    "PHP died, messages shown": (
        200,
        "<br />\n<b>Fatal error</b>:  Uncaught mysqli_sql_exception",
        "php-died",
    ),
    "413": (413, "<html>Request Entity Too Large</html>", "request-over-limit"),
    "414": (414, "<html>URI Too Long</html>", "request-over-limit"),
    "502": (502, "<html>Bad Gateway</html>", "server-away"),
    "503": (503, "<html>Service Unavailable</html>", "server-away"),
    "504": (504, "<html>Gateway Time-out</html>", "server-away"),
    "429": (429, "<html>Too Many Requests</html>", "too-many-requests"),
    "403 of a firewall": (403, "<html>Forbidden</html>", "held-off"),
    "redirect": (301, "<html>Moved</html>", "redirect"),
    "a password of the web server": (401, "<html>Unauthorized</html>", "web-password"),
    "photo unknown": (
        404,
        '{"stat":"fail","err":404,"message":"image_id not found"}',
        "photo-gone",
    ),
    "tag exists": (
        200,
        '{"stat":"fail","err":1003,"message":"Tag \\"x\\" already exists"}',
        "refused",
    ),
    "no ws.php": (404, "<html>Not Found</html>", "no-ws"),
    "none of Piwigo's": (200, "<html>Welcome</html>", "strange-answer"),
}


@pytest.mark.parametrize(("status", "body", "code"), ATLAS.values(), ids=list(ATLAS))
def test_each_failure_that_piwigo_was_seen_with_has_its_row(
    status: int, body: str, code: str
) -> None:
    with pytest.raises(BulkupError) as raised:
        interpret(Answer(status, body.encode()))
    assert raised.value.told.code == code
    assert code in {kind.code for kind in KINDS}
    assert raised.value.hint
