"""Which packages may use which library. The layers are contracts of import-linter."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bulkup"

# library → the packages and modules that may import it
HOMES = {
    "aiohttp": {"gui", "output.monitor", "piwigo", "sandbox"},
    "aiofiles": {"source"},
    "apprise": {"output.notify"},
    "cyclopts": {"cli"},
    "dask": {"cluster"},
    "defusedxml": {"source.exports.picasa", "source.xmp"},
    "distributed": {"cluster"},
    "filelock": {"store"},
    "jinja2": {"gui.rendering", "output.html"},
    "keyring": {"app.credentials"},
    "openpyxl": {"source.spreadsheets"},
    "pathspec": {"source.filters"},
    "PIL": {"app.demo", "source.convert"},
    "pillow_heif": {"source.convert"},
    "platformdirs": {"app.settings", "cli.config"},
    "prometheus_client": {"output.monitor.metrics"},
    "rich": {"output"},
    "send2trash": {"source.move"},
    "sqlite3": {"store"},
    "tomllib": {"cli.config", "gui.texts"},
    "watchfiles": {"source.watch"},
    "yaml": {"source.exports.photoprism"},
}


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level names of the libraries that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


IMPORTS = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): set(imported(path))
    for path in PACKAGE.rglob("*.py")
}


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_in_its_home(library: str) -> None:
    users = {module for module, libraries in IMPORTS.items() if library in libraries}
    assert users
    for user in users:
        assert any(f"{user}.".startswith(f"{home}.") for home in HOMES[library]), user
