"""The server's files: chunk buffers and stored photos, in memory, in a folder, or only summed.

It knows bytes, sums and where they are kept, and must not know what a photo or a request is.
"""

import asyncio
import hashlib
from pathlib import Path
from typing import Literal

from bulkup.sandbox.pictures import HEAD_BYTES, Picture, sniff

Keep = Literal["memory", "files", "sums"]


class Content:
    """One file that grows: size, running MD5, first bytes, and all bytes if they are kept."""

    def __init__(self, path: Path | None = None, *, in_memory: bool = False) -> None:
        self.path = path
        self.size = 0
        self.head = b""
        self._data = bytearray() if in_memory else None
        self._sum = hashlib.md5()
        self._written = False
        self._sealed: Picture | None = None
        self._turn = asyncio.Lock()

    @property
    def md5(self) -> str:
        """The sum of all bytes so far."""
        return self._sum.hexdigest()

    async def append(self, data: bytes) -> None:
        """Put bytes at the end; what arrives at once is put one after the other."""
        async with self._turn:
            await asyncio.to_thread(self._append, data)

    async def append_all(self, other: "Content") -> None:
        """Put another file's bytes at the end."""
        await self.append(await asyncio.to_thread(other.read))

    def _append(self, data: bytes) -> None:
        self._written = True
        self._sum.update(data)
        self.size += len(data)
        self.head += data[: HEAD_BYTES - len(self.head)]
        if self._data is not None:
            self._data += data
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(data)

    @property
    def picture(self) -> Picture:
        """What its first bytes show; a file that was never written has no type at all."""
        if self._sealed is not None:
            return self._sealed
        return sniff(self.head) if self._written else Picture("")

    def seal(self) -> None:
        """Keep what the first bytes show, and not the bytes: nothing more will come."""
        self._sealed, self.head = self.picture, b""

    @property
    def kept(self) -> bool:
        """Whether the bytes themselves can be had."""
        return self._data is not None or self.path is not None

    def read(self) -> bytes:
        """All bytes. This may read a file, so call it in a thread."""
        if self._data is not None:
            return bytes(self._data)
        if self.path is not None:
            return self.path.read_bytes()
        raise LookupError("this sandbox keeps only sums")

    async def move(self, path: Path) -> None:
        """Give the file another place, when it has one."""
        if self.path is not None:
            self.path = await asyncio.to_thread(_rename, self.path, path)

    async def remove(self) -> None:
        """Delete the file, when it has one."""
        if self.path is not None:
            await asyncio.to_thread(self.path.unlink, missing_ok=True)


class Buffers:
    """The folder upload/buffer: files by name."""

    def __init__(self, folder: Path, *, keep: Keep) -> None:
        self.contents: dict[str, Content] = {}
        self.folder = folder
        self._keep = keep
        self._count = 0

    async def open(self, name: str, *, truncate: bool = False, needed: bool = False) -> Content:
        """Open a buffer for appending; `needed` if its bytes will be asked for again."""
        if truncate:
            await self.remove(name)
        if name not in self.contents:
            self.contents[name] = self._create(needed=needed)
        return self.contents[name]

    def _create(self, *, needed: bool) -> Content:
        if self._keep == "memory":
            return Content(in_memory=True)
        if self._keep == "sums" and not needed:
            return Content()
        # Never one file name twice: a removal may still be under way.
        self._count += 1
        return Content(self.folder / "buffer" / str(self._count))

    def take(self, name: str) -> Content:
        """Take a buffer out of the folder; its file stays until it is moved or removed."""
        return self.contents.pop(name)

    async def remove(self, name: str) -> None:
        """Delete a buffer, if there is one."""
        if content := self.contents.pop(name, None):
            await content.remove()


def _rename(old: Path, new: Path) -> Path:
    new.parent.mkdir(parents=True, exist_ok=True)
    old.touch()
    return old.replace(new)
