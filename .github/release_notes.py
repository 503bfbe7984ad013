"""Prints the notes of a release: `python .github/release_notes.py v1.2.3`.

They are the section of that version in CHANGELOG.md. Fails if there is none, or if the tag is not
the version of the package.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(tag: str, *, changelog: str, package: str) -> str:
    """Return the notes of a tag. Raises `SystemExit` where something is missing."""
    version = tag.removeprefix("v")
    if f'__version__ = "{version}"' not in package:
        raise SystemExit(f"{tag} is not the version in bulkup/__init__.py")
    found = re.search(
        rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if found is None or not found[1].strip():
        raise SystemExit(f"CHANGELOG.md has no section for {version}")
    return found[1].strip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(
        notes(
            sys.argv[1],
            changelog=(ROOT / "CHANGELOG.md").read_text("utf-8"),
            package=(ROOT / "bulkup" / "__init__.py").read_text("utf-8"),
        )
    )
