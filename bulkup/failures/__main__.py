"""Write the table of failures into a document: `python -m bulkup.failures README.md`."""

import sys
from pathlib import Path

from bulkup.failures.table import inserted


def main(file: Path) -> None:
    """Write the table into a file, in the place that is marked there."""
    file.write_text(inserted(file.read_text(encoding="utf-8")), encoding="utf-8")


main(Path(sys.argv[1]))
