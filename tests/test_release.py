"""What a release consists of: its notes, its version, and what its workflow may do."""

import re
import runpy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

import bulkup

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.stem: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
PACKAGE = '__version__ = "1.2.0"\n'
CHANGELOG = """# Changelog

## [Unreleased]

- Later.

## [1.2.0] – 2026-12-01

### Added

- A thing.

## [1.1.0] – 2026-11-01

- Another thing.
"""
notes = runpy.run_path(str(ROOT / ".github" / "release_notes.py"))["notes"]


def jobs(name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    found: dict[str, Any] = workflow["jobs"]
    return found


def test_the_notes_of_a_release_are_its_section_alone() -> None:
    assert notes("v1.2.0", changelog=CHANGELOG, package=PACKAGE) == "### Added\n\n- A thing.\n"


@pytest.mark.parametrize(
    ("tag", "package"), [("v1.2.1", PACKAGE), ("v1.3.0", '__version__ = "1.3.0"')]
)
def test_a_tag_without_its_version_or_its_section_is_no_release(tag: str, package: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(tag.removeprefix("v"))):
        notes(tag, changelog=CHANGELOG, package=package)


def test_the_changelog_has_what_is_unreleased_and_all_name_one_version() -> None:
    assert "## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert bulkup.__version__ == citation["version"] == version("bulkup")


def test_only_the_jobs_that_publish_may_write_and_pypi_trusts_its_own_environment() -> None:
    release = jobs("release")
    assert "permissions" not in release["build"]
    assert release["pypi"]["permissions"] == {"id-token": "write"}
    assert release["pypi"]["environment"] == "pypi"
    assert {job: release[job]["needs"] for job in ("pypi", "image", "github")} == {
        "pypi": "build",
        "image": "build",
        "github": ["pypi", "image"],
    }
    (build,) = [step for step in release["image"]["steps"] if "build-push" in step.get("uses", "")]
    assert build["with"]["platforms"] == "linux/amd64,linux/arm64"


def test_ci_runs_the_checks_on_every_python_of_the_package_and_paths_exist() -> None:
    ci = jobs("ci")
    pythons = ci["check"]["strategy"]["matrix"]["python"]
    assert pythons == ci["platforms"]["strategy"]["matrix"]["python"]
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert set(re.findall(r"Python :: (3\.\d+)", text)) <= set(pythons)
    steps = [step for name in WORKFLOWS for job in jobs(name).values() for step in job["steps"]]
    runs = "\n".join(step.get("run", "") for step in steps)
    named = set(re.findall(r"(?<![\w/])(?:tests|\.ci|\.github)/[\w./]+", runs))
    assert len(named) > 5
    assert all((ROOT / word).exists() for word in named)
