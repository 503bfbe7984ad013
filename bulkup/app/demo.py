"""The `sandbox` and `demo` commands: a sandbox server by itself, and a whole upload to one."""

import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import anyio
from anyio import to_thread

from bulkup.errors import UsageError, check_range
from bulkup.sandbox import Sandbox
from bulkup.sandbox.versions import VERSIONS, Release
from bulkup.source.photos import Photo, fingerprint
from bulkup.source.scan import check_roots, scan

CONCURRENCY = 8
VERSION = "16.4.0"
EXIST_S = 0.14
"""What looking up 100,000 MD5s costs a small server: by that its workers are counted."""


def serve(
    *,
    host: str,
    port: int,
    version: str,
    folder: Path | None,
    discard: bool,
    workers: int | None,
    start_workers: int | None,
    cpus: int | None,
    finish_s: float,
    page_s: float,
    exist_s: float,
    gateway_timeout_s: float,
) -> int:
    """Serve a sandbox until Ctrl-C. Raises `UsageError` where it can't be started so."""
    if version not in VERSIONS:
        raise UsageError(
            f"there is no sandbox of Piwigo {version}", hint=f"Give one of {', '.join(VERSIONS)}."
        )

    check_range("--port", port, least=0, most=65535)
    if workers is not None:
        check_range("--workers", workers, least=1, most=10_000)
    if start_workers is not None:
        if workers is None:
            raise UsageError("--start-workers grows up to --workers", hint="Give both.")
        check_range("--start-workers", start_workers, least=1, most=workers)
    if cpus is not None:
        check_range("--cpus", cpus, least=1, most=10_000)
    _check_seconds("--finish-time", finish_s)
    _check_seconds("--page-time", page_s)
    _check_seconds("--exist-time", exist_s)
    _check_seconds("--gateway-timeout", gateway_timeout_s)

    async def run() -> None:
        box = Sandbox(
            host=host,
            port=port,
            version=version,
            folder=folder,
            discard=discard,
            workers=workers,
            start_workers=start_workers,
            cpus=cpus,
            finish_s=finish_s,
            page_s=page_s,
            exist_cost_s=exist_s,
            gateway_timeout_s=gateway_timeout_s,
        )
        try:
            await box.__aenter__()
        except OSError as error:
            raise UsageError(
                f"can't listen on {host}:{port}: {os.strerror(error.errno or 0)}",
                hint="Give another --port; 0 takes a free one.",
            ) from None
        try:
            _say(f"Piwigo {version} sandbox at {box.url} (admin / secret, album 1). Ctrl-C ends.")
            await _until_interrupted()
        finally:
            await box.__aexit__(None, None, None)

    anyio.run(run)
    return 0


def _check_seconds(flag: str, seconds: float) -> None:
    if not 0 <= seconds < float("inf"):
        raise UsageError(f"{flag} is out of range", hint="Give seconds, 0 or more.")


def run_demo(path: Path | None, *, keep: bool) -> int:
    """Upload an archive to a sandbox by the ordinary command line, and check every photo.

    Returns the exit code of the upload, or 1 where a photo is not there as it should be. Raises
    `UsageError` where there is nothing to upload.
    """
    if path is not None:
        (path,) = check_roots([path])
    elif find_spec("PIL") is None:
        raise UsageError(
            "the demo archive is made with Pillow, which is not installed",
            hint="pip install 'bulkup[demo]', or name a folder of photos: bulkup demo ./photos",
        )
    with tempfile.TemporaryDirectory(prefix="bulkup-demo-") as folder:
        return anyio.run(_run_demo, path, Path(folder), keep)


async def _run_demo(path: Path | None, folder: Path, keep: bool) -> int:
    archive = path
    if archive is None:
        from bulkup.app.demo_archive import make_archive  # noqa: PLC0415 (needs Pillow)

        archive = folder / "archive"
        _say("Making an archive of photos …")
        await to_thread.run_sync(make_archive, archive)
    async with Sandbox(
        version=VERSION,
        folder=folder / "server",
        albums=("Demo",),
        workers=CONCURRENCY,
        finish_s=0.05,
        exist_cost_s=EXIST_S,
    ) as box:
        _say(f"A sandbox server stands at {box.url}")
        environment = _environment(box.url, os.environ)
        command = [sys.executable, "-m", "bulkup", "upload", str(archive), "--album", "1"]
        command += ["--concurrency", str(CONCURRENCY), "--ledger", str(folder / "ledger.sqlite")]
        done = await anyio.run_process(
            command, env=environment, check=False, stdin=None, stdout=None, stderr=None
        )
        there = Counter(photo.md5 for photo in box.gallery.photos.values())
        right = await _verify(archive, there, endings=set(Release(VERSION).file_types))
        if keep:
            _say(f"Look at the gallery: {box.url}   Ctrl-C ends.")
            await _until_interrupted()
    return done.returncode or (0 if right else 1)


def _environment(url: str, outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the upload, without the user's own settings of bulkup."""
    clean = {name: value for name, value in outer.items() if not name.startswith("BULKUP_")}
    return clean | {"BULKUP_URL": url, "BULKUP_USER": "admin", "BULKUP_PASSWORD": "secret"}


async def _verify(archive: Path, there: Counter[str], *, endings: set[str]) -> bool:
    """Say whether the server has each photo of the archive, once, and nothing else."""
    expected: set[str] = set()
    count = 0
    for found in await to_thread.run_sync(lambda: list(scan([archive], endings=endings))):
        if isinstance(found, Photo) and found.size:
            expected.add((await fingerprint(found))[1])
            count += 1
    missing = expected - there.keys()
    surplus = there.total() - len(there.keys() & expected)
    if not expected:
        _say("There is no photo to upload in there.")
        return True
    if missing or surplus:
        _say(f"✗ {len(missing)} photos are missing on the server, {surplus} too many are there.")
        return False
    _say(
        f"✓ {count} photos, {len(expected)} different ones: each is on the server once, MD5 equal."
    )
    return True


async def _until_interrupted() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
