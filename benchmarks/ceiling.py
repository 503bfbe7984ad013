"""The client's throughput against curl: photos of 4 MB to a server that discards them.

The server is nginx on loopback (see `sink`); the files are in the page cache. bulkup's sending
code (see `sender`) and `curl -Z --parallel-max 8 -F …` send the same files in turn; the ratio is
the median of all rounds. Where bulkup sends chunks, curl sends the same pieces as files.
"""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from archive import Archive, archive
from frame import Figure, Weighed, main, middle, tool, weigh
from sink import Sink, sink

ROUNDS = 7
AT_ONCE = 8
COUNT = 128
SIZE = 4_000_000
WHOLE = 8_000 * 1024
CHUNK = 125 * 4096  # "500K"
SENDER = Path(__file__).with_name("sender.py")


async def figures() -> AsyncIterator[Figure]:
    """Compare bulkup with curl in three ways."""
    curl = tool("curl", package="curl")
    with sink() as server, archive(count=COUNT, size=SIZE) as photos, pieces(photos) as cut:
        ways = (
            ("4 MB in one request each", server.url, WHOLE, list(photos.paths()), 0.9),
            ("the same in chunks of 500 kB", server.url, CHUNK, cut, 0.5),
            ("4 MB in one request each, TLS", server.tls_url, WHOLE, list(photos.paths()), 0.8),
        )
        for question, url, chunk_size, files, least in ways:
            ours, theirs, cpu = [], [], []
            for _ in range(ROUNDS):
                theirs.append(photos.total / 1e6 / await by_curl(curl, files, url, server))
                await server.swallowed(photos.total)
                seconds, cpu_s = await by_bulkup(photos, url, chunk_size, server)
                await server.swallowed(photos.total)
                ours.append(photos.total / 1e6 / seconds)
                cpu.append(cpu_s / (photos.total / 1e9))
            ratio = middle([our / their for our, their in zip(ours, theirs, strict=True)])
            yield Figure(
                f"client ceiling: {question}",
                f"≥ {least} × curl",
                f"{ratio:.2f} × ({middle(ours):,.0f} MB/s to {middle(theirs):,.0f})",
                ratio >= least,
            )
            if url == server.url and chunk_size == WHOLE:
                yield Figure(
                    "its processor time, without hashing",
                    "≤ 1.0 s per GB",
                    f"{middle(cpu):.2f} s per GB",
                    middle(cpu) <= 1.0,
                )


@contextmanager
def pieces(photos: Archive) -> Iterator[list[Path]]:
    """Write the chunks of the photos as files, since curl sends whole files."""
    with tempfile.TemporaryDirectory(prefix="pieces-") as folder:
        cut = []
        for path in photos.paths():
            content = path.read_bytes()
            for start in range(0, len(content), CHUNK):
                piece = Path(folder) / f"{path.stem}-{start}"
                piece.write_bytes(content[start : start + CHUNK])
                cut.append(piece)
        yield cut


async def by_curl(curl: str, files: Sequence[Path], url: str, server: Sink) -> float:
    """Return the seconds that curl takes, with its start."""
    with tempfile.NamedTemporaryFile("w", suffix=".curl", encoding="utf-8") as config:
        config.write(
            "next\n".join(
                f'form = "file=@{path}"\nurl = "{url}ws.php"\noutput = /dev/null\n'
                f'cacert = "{server.certificate}"\nheader = "Expect:"\n'
                for path in files
            )
        )
        config.flush()
        flags = ("--fail", "-Z", "--parallel-max", f"{AT_ONCE}", "--config", config.name)
        return (await weigh(curl, *flags)).check().seconds


async def by_bulkup(
    photos: Archive, url: str, chunk_size: int, server: Sink
) -> tuple[float, float]:
    """Return the seconds and the processor seconds that bulkup takes."""
    env = os.environ | {"SSL_CERT_FILE": f"{server.certificate}"}
    command = (sys.executable, SENDER, url, f"{chunk_size}", f"{AT_ONCE}")
    cost: Weighed = (await weigh(*command, given=photos.names(), env=env)).check()
    seconds, cpu_s = map(float, cost.output.split())
    return seconds, cpu_s


if __name__ == "__main__":
    main(figures, about=__doc__)
