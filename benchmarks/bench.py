"""All speed benchmarks and their table: `make bench`.

Each is a script that can also be run alone. A benchmark that lacks a tool prints what to install.
"""

import sys

import again
import ceiling
import embedded
import growth
import md5
import memory
import others
import small
import start
import there
import thin
import zips
from frame import Figures, run

BENCHMARKS: dict[str, Figures] = {
    "start": start.figures,
    "ceiling": ceiling.figures,
    "md5": md5.figures,
    "small": small.figures,
    "embedded": embedded.figures,
    "again": again.figures,
    "there": there.figures,
    "thin": thin.figures,
    "others": others.figures,
    "growth": growth.figures,
    "memory": memory.figures,
    "zips": zips.figures,
}

if __name__ == "__main__":
    sys.exit(run(BENCHMARKS, about=__doc__, command="make bench"))
