"""The README's table of failures, made from the words that failures are told in.

`python -m tests.support.failure_table` renews it.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

from bulkup.errors import FailureKind
from bulkup.errors import (
    gallery as gallery_failures,
)
from bulkup.errors import (
    local as local_failures,
)
from bulkup.errors import (
    run as run_failures,
)
from bulkup.errors import (
    server as server_failures,
)

BEGIN: Final = "<!-- failures: made by python -m tests.support.failure_table -->"
END: Final = "<!-- end of failures -->"

GROUPS: Final[Mapping[str, ModuleType]] = {
    "Files on this machine": local_failures,
    "What the gallery has, takes or can do": gallery_failures,
    "The server's answers, and the way to it (tried again first)": server_failures,
    "What ends a run, or keeps it from beginning": run_failures,
}
SHOWN: Final = {
    "album": "N",
    "photo": "N",
    "other": "M",
    "status": "413",
    "seconds": "N",
    "more": "",
    "remedy": "What that failure's own row says.",
}


def kinds(module: ModuleType) -> Iterator[FailureKind]:
    """Yield the classes of failures of a module, in its order."""
    yield from (value for value in vars(module).values() if isinstance(value, FailureKind))


def table() -> str:
    """Return all classes of failures as Markdown, a table for each group."""
    return "\n\n".join(
        "\n".join(
            [
                f"**{title}**",
                "",
                "| code | what happened | what to do |",
                "| --- | --- | --- |",
                *(
                    f"| `{kind.code}` | {_cell(kind.what)} | {_cell(kind.remedy)} |"
                    for kind in kinds(module)
                ),
            ]
        )
        for title, module in GROUPS.items()
    )


def inserted(text: str) -> str:
    """Return a document with the table in its place. Raises `ValueError` where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def _cell(sentence: str) -> str:
    if sentence == "{reason}":
        sentence = "What another failure's row says."
    words = re.sub(r"\{(\w+)[^}]*\}", lambda field: SHOWN.get(field[1], "…"), sentence)
    return re.sub(r"(\$conf\['\w+'\](?: = true;)?)", r"`\1`", words).replace("|", "\\|")


if __name__ == "__main__":
    readme = Path(__file__).parents[2] / "README.md"
    readme.write_text(inserted(readme.read_text(encoding="utf-8")), encoding="utf-8")
