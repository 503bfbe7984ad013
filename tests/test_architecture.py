"""Who may import what: the design as a failing test, read from each module's syntax tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "bulkup"

# module or package → the modules of bulkup that it may know; packages know themselves
MAY_KNOW = {
    "failures": set[str](),
    "errors": {"failures"},
    "departures": set[str](),
    "kinds": set[str](),
    "fates": {"kinds"},
    "steps": set[str](),
    "events": {"departures", "fates", "steps"},
    "photos": {"errors", "failures"},
    "patterns": {"errors"},
    "choice": {"kinds", "patterns"},
    "filelist": {"choice", "errors", "failures"},
    "walk": {"choice", "failures", "filelist", "kinds", "photos"},
    "roots": {"choice", "errors"},
    "timetable": set[str](),
    "settings": {"errors", "listen", "timetable"},
    "secret": {"errors"},
    "profiles": {"errors"},
    "layers": {"errors", "profiles"},
    "keychain": {"errors", "failures"},
    "mistakes": {"errors", "profiles"},
    "examples": set[str](),
    "admission": {"piwigo", "recovery", "settings", "visit"},
    "flags": {"errors", "profiles", "secret", "settings"},
    "whereto": {"errors", "flags", "settings"},
    "afterwards": {"errors", "flags", "settings"},
    "telling": {"errors", "flags", "listen", "secret", "settings"},
    "wishes": {"flags", "settings", "whereto"},
    "selecting": {"choice", "errors", "flags", "patterns", "settings"},
    "metadata": set[str](),
    "xmp": {"metadata"},
    "takeout": {"metadata"},
    "sidecars": {"metadata", "takeout", "xmp"},
    "labels": {"errors", "metadata"},
    "describe": {"events", "labels", "metadata", "photos", "sidecars"},
    "labelling": {"errors", "flags", "labels"},
    "policy": {"errors"},
    "recovery": {"errors", "events", "failures", "policy"},
    "piwigo": {"errors", "failures", "metadata", "photos"},
    "chunksize": {"photos"},
    "pacing": set[str](),
    "gate": {"errors", "events", "memory", "pacing", "recovery"},
    "journey": {"chunksize", "events", "memory", "pacing", "photos", "recovery"},
    "delivery": {"chunksize", "errors", "events", "journey", "memory", "photos"},
    "uploading": {
        *("delivery", "errors", "events", "failures", "journey", "photos", "recovery"),
        "steps",
    },
    "hands": {
        *("errors", "events", "journey", "labels", "photos", "recovery", "settings"),
        *("steps", "uploading"),
    },
    "cluster": {
        *("chunksize", "describe", "ending", "errors", "events", "failures", "hands"),
        *("journey", "labels", "memory", "pacing", "photos", "piwigo", "recovery"),
        *("secret", "settings", "steps", "uploading", "visit"),
    },
    "hiring": {"cluster", "errors", "hands"},
    "machines": {"flags", "hands", "hiring"},
    "memory": {"photos"},
    "database": {"errors", "failures"},
    "history": set[str](),
    "annals": {"history"},
    "ledger": {"annals", "database", "errors", "failures", "history", "memory"},
    "lookback": {"database", "errors", "failures", "history", "ledger"},
    "chronicle": {"departures", "ending", "errors", "events", "history", "kinds"},
    "album": {"errors"},
    "albums": {"errors", "events", "failures", "recovery"},
    "destinations": {"albums", "errors", "events", "failures", "placing"},
    "placing": {"albums", "errors", "failures"},
    "outcome": {"errors", "events", "journey", "memory", "photos"},
    "resending": {"companions", "errors", "failures", "memory", "recovery"},
    "changes": {
        *("companions", "errors", "events", "failures", "journey", "memory", "outcome"),
        *("recovery", "resending"),
    },
    "companions": {"kinds", "photos", "walk"},
    "formats": {
        *("companions", "errors", "events", "failures", "hands", "journey", "memory"),
        *("outcome", "photos", "recovery", "resending", "stages"),
    },
    "sift": {
        *("album", "albums", "destinations", "errors", "events", "journey", "memory"),
        *("outcome", "photos", "recovery"),
    },
    "confirm": {
        *("album", "changes", "errors", "events", "failures", "hands", "journey"),
        *("outcome", "recovery", "sift"),
    },
    "ending": {"errors", "events"},
    "putaway": {"choice", "errors", "failures", "photos", "roots"},
    "tidying": {
        *("companions", "departures", "ending", "errors", "events", "failures", "journey"),
        *("memory", "photos", "recovery", "stages"),
    },
    "stages": {
        *("companions", "confirm", "errors", "events", "hands", "journey", "memory"),
        *("outcome", "photos", "recovery", "sift", "steps", "walk"),
    },
    "engine": {
        *("albums", "changes", "choice", "chunksize", "companions", "confirm"),
        *("destinations", "ending", "events", "formats", "gate", "hands", "journey"),
        *("memory", "outcome", "pacing", "placing", "recovery", "sift", "stages"),
        *("tidying", "uploading", "walk"),
    },
    "pretended": {"album", "albums", "changes", "engine", "formats", "memory", "photos"},
    "dry": {
        *("albums", "companions", "ending", "engine", "events", "formats", "gate", "hands"),
        *("journey", "memory", "outcome", "pacing", "pretended", "recovery", "sift"),
        "stages",
    },
    "listing": {"errors", "failures", "piwigo", "recovery", "settings", "visit"},
    "verdicts": {
        *("errors", "events", "failures", "journey", "kinds", "memory", "outcome"),
        "photos",
    },
    "verify": {
        *("album", "choice", "destinations", "ending", "errors", "events", "journey"),
        *("memory", "outcome", "recovery", "stages", "verdicts", "walk"),
    },
    "findings": set[str](),
    "estimate": {"choice", "kinds", "memory", "photos", "walk"},
    "checks": {"chunksize", "errors", "failures", "findings", "pacing", "piwigo", "recovery"},
    "doctor": {
        *("checks", "choice", "chunksize", "errors", "estimate", "findings", "ledger"),
        *("memory", "piwigo", "policy", "recovery", "settings", "visit"),
    },
    "report": {"departures", "errors", "events", "findings", "history", "kinds", "steps"},
    "again": set[str](),
    "listen": {"errors"},
    "monitor": {"errors", "events", "listen", "report", "steps"},
    "notify": {"errors", "events", "report"},
    "messenger": set[str](),
    "errorlimit": {"events", "kinds"},
    "standing": {"events", "monitor", "notify", "report", "settings"},
    "sandbox": set[str](),
    "demo": set[str](),
    "visit": {
        *("chronicle", "describe", "errors", "events", "failures", "gate", "ledger"),
        *("memory", "piwigo", "policy", "recovery", "settings"),
    },
    "run": {
        *("albums", "choice", "chunksize", "describe", "destinations", "dry", "engine"),
        *("errors", "events", "failures", "hands", "labels", "memory", "piwigo", "placing"),
        *("pretended", "putaway", "recovery", "roots", "settings", "stages", "steps"),
        *("takeout", "tidying", "timetable", "verify", "visit", "walk"),
    },
    "views": {"again", "errors", "report", "settings"},
    "api": {"errors", "events", "hiring", "run", "settings", "stages", "timetable"},
    "screen": {
        *("errorlimit", "errors", "events", "findings", "recovery", "report", "settings"),
        *("stages", "standing", "views"),
    },
    "rehearsal": {"demo", "errors", "photos", "roots", "sandbox", "settings", "walk"},
    "inbox": {"photos"},
    "watch": {
        *("choice", "companions", "errors", "events", "failures", "inbox", "kinds"),
        *("photos", "recovery", "walk"),
    },
    "attend": {
        *("choice", "ending", "errorlimit", "errors", "events", "photos", "recovery"),
        *("report", "screen", "settings", "stages", "standing", "views", "walk", "watch"),
    },
    "cli_parts": {
        *("afterwards", "choice", "errors", "flags", "keychain", "labelling", "machines"),
        *("piwigo", "report", "roots", "secret", "selecting", "settings", "telling"),
        *("whereto", "wishes"),
    },
    "cli_watch": {
        *("afterwards", "attend", "cli_parts", "errors", "flags", "labelling", "run"),
        *("selecting", "telling", "whereto", "wishes"),
    },
    "cli_status": {
        *("cli_parts", "errors", "flags", "history", "lookback", "piwigo", "report"),
        "settings",
    },
    "cli": None,
    "cli_sandbox": {"flags", "rehearsal"},
    "cli_setup": {
        *("admission", "cli_parts", "errors", "flags", "keychain", "layers", "piwigo"),
        *("profiles", "report", "secret", "settings"),
    },
    "__main__": {"cli"},
    "__init__": {"api", "errors", "settings", "stages"},
}

# library → its only homes
HOMES = {
    "aiohttp": {"monitor", "piwigo", "sandbox"},
    "prometheus_client": {"monitor"},
    "apprise": {"messenger", "notify"},
    "rich": {"report"},
    "sqlite3": {"annals", "database", "ledger", "lookback"},
    "defusedxml": {"xmp"},
    "xml": {"report", "xmp"},
    "cyclopts": {
        *("afterwards", "cli", "cli_parts", "cli_sandbox", "cli_setup", "cli_status"),
        *("cli_watch", "flags", "labelling", "layers", "machines", "mistakes", "selecting"),
        *("telling", "whereto", "wishes"),
    },
    "platformdirs": {"profiles", "settings"},
    "tomllib": {"profiles"},
    "keyring": {"keychain"},
    "pathspec": {"patterns"},
    "aiofiles": {"filelist"},
    "PIL": {"demo"},
    "send2trash": {"putaway"},
    "watchfiles": {"watch"},
    "pygal": {"report"},
    "jinja2": {"report"},
    "distributed": {"cluster"},
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield each module file with the top-level name it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).with_suffix("").parts[0], path


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield from (f"{module}.{name.name}" for name in node.names)


@pytest.mark.parametrize(("home", "path"), list(modules()), ids=lambda value: str(value)[-40:])
def test_a_module_knows_only_what_it_may(home: str, path: Path) -> None:
    may = MAY_KNOW[home]
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "bulkup":
            other = rest.partition(".")[0]
            if not (PACKAGE / f"{other}.py").exists() and not (PACKAGE / other).is_dir():
                continue  # a name of the package itself, such as its version
            assert may is None or other == home or other in may, f"{home} imports {other}"
        elif top in HOMES:
            assert home in HOMES[top], f"{home} imports {top}"


@pytest.mark.parametrize(("home", "path"), list(modules()), ids=lambda value: str(value)[-40:])
def test_a_module_is_small_and_says_what_it_knows(home: str, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert home in MAY_KNOW
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text))
