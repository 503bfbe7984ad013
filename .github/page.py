"""Makes `.github/report.png`: the HTML report of a real run on a sandbox server in a browser.

Run it as `.venv/bin/python .github/page.py`. It needs the extra `dev` and a Chromium.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from bulkup.app.demo import make_archive
from bulkup.sandbox import Sandbox

TARGET = Path(__file__).with_name("report.png")
WIDTH, HEIGHT = 1000, 1480


async def main() -> None:
    """Run bulkup on an archive with some broken files, and save a picture of its report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await asyncio.to_thread(make_archive, folder / "photos")
        await asyncio.to_thread(spoil, folder / "photos")
        async with Sandbox(
            albums=("Family archive",), workers=8, finish_s=0.3, chunk_kb=100
        ) as box:
            environment = os.environ | {
                "BULKUP_URL": box.url,
                "BULKUP_USER": "admin",
                "BULKUP_PASSWORD": "secret",
            }
            arguments = ["photos", "--album", "1", "--no-ledger", "--report", "today.html"]
            command = [sys.executable, "-m", "bulkup", *arguments]
            run = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment)
            await run.wait()
        await take(folder / "today.html")


def spoil(archive: Path) -> None:
    """Break a few files."""
    for place in ("2019/Winter", "2021/deep/er/still"):
        (archive / place / "IMG_0004.jpg").touch()
    (archive / "2022" / "letter.jpg").write_text("not a photo")


async def take(page: Path) -> None:
    """Save a screenshot of the page."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=os.geteuid() != 0
        )
        view = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        await view.goto(page.as_uri())
        await view.screenshot(path=TARGET)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
