"""How long `bulkup --version` and `bulkup --help` take."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

from frame import Figure, main, middle, weigh

ROUNDS = 21
FLAGS = {"--version": 0.15, "--help": 0.3}


async def figures() -> AsyncIterator[Figure]:
    """Run the installed command several times with each flag, in turn."""
    command = Path(sys.executable).with_name("bulkup")
    took: dict[str, list[float]] = {flag: [] for flag in FLAGS}
    for _ in range(ROUNDS):
        for flag, seconds in took.items():
            seconds.append((await weigh(command, flag)).check().seconds)
    for flag, most in FLAGS.items():
        figure = f"{middle(took[flag]):.2f} s"
        yield Figure(f"`bulkup {flag}`", f"≤ {most} s", figure, middle(took[flag]) <= most)


if __name__ == "__main__":
    main(figures, about=__doc__)
