"""Runs the command line, as `bulkup` or as `python -m bulkup`.

`bulkup --version` is answered here, without importing the command line.
"""

import gc
import sys

from bulkup import __version__


def main() -> None:
    """Run the command line of this process."""
    if sys.argv[1:] == ["--version"]:
        print(f"bulkup {__version__}")  # noqa: T201 (the output of --version)
        return
    gc.disable()  # until the command begins: almost nothing that start-up creates is garbage
    from bulkup.cli import run  # noqa: PLC0415 (heavy)

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
