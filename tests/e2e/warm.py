"""Starts the real command without the wait for its imports: a process that has them forks.

What runs is what `python -m bulkup` runs, in a process of its own with its own arguments,
variables, folder, standard streams, signals and exit code; only the interpreter and the modules
are there already. BULKUP_TEST_COLD=1 has each command start from nothing instead, as it does
anyway in the tests of the README, of terminals, and wherever a shell starts it.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
import coverage
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

READ_AT_START: Final = ("LANG", "LC_ALL", "LC_CTYPE", "SSL_CERT_DIR", "SSL_CERT_FILE")
"""What Python and aiohttp look at only when they start."""
AT_START: Final = dict(os.environ)
PRELOADED: Final = (
    "anyio._backends._asyncio",
    "apprise",
    "coverage",
    "platformdirs",
    "watchfiles",
)
"""What bulkup imports late, or somebody else, and what no variable changes."""


# the side of the tests


def is_able(environment: Mapping[str, str]) -> bool:
    """Tell whether a forked process is as good as one that begins with these variables."""
    same = all(environment.get(name) == AT_START.get(name) for name in READ_AT_START)
    return same and sys.platform == "linux" and not AT_START.get("BULKUP_TEST_COLD")


class _Receiving(ByteReceiveStream):
    def __init__(self, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self._pipe: int | None = pipe

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self._pipe is None:
            raise anyio.ClosedResourceError
        await anyio.wait_readable(self._pipe)
        if came := os.read(self._pipe, max_bytes):
            return came
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class _Sending(ByteSendStream):
    def __init__(self, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self._pipe: int | None = pipe

    async def send(self, item: bytes) -> None:
        if self._pipe is None:
            raise anyio.ClosedResourceError
        while item:
            await anyio.wait_writable(self._pipe)
            try:
                item = item[os.write(self._pipe, item) :]
            except BrokenPipeError:
                raise anyio.BrokenResourceError from None

    async def aclose(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class Forked(Process):
    """The command at work; its parent is the one that forked it, who tells how it ended."""

    def __init__(self, told: socket.socket, pid: int, pipes: Mapping[int, int]) -> None:
        self._told = told
        self._pid = pid
        self._code: int | None = None
        self._turn = anyio.Lock()
        self._stdin = _Sending(pipes[0]) if 0 in pipes else None
        self._stdout = _Receiving(pipes[1]) if 1 in pipes else None
        self._stderr = _Receiving(pipes[2]) if 2 in pipes else None

    async def wait(self) -> int:
        async with self._turn:
            while (code := self.returncode) is None:
                await anyio.wait_readable(self._told)
        return code

    @property
    def returncode(self) -> int | None:
        if self._code is None:
            with suppress(BlockingIOError):
                self._code = int(self._told.recv(16))
                self._told.close()
        return self._code

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self._pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def stdin(self) -> ByteSendStream | None:
        return self._stdin

    @property
    def stdout(self) -> ByteReceiveStream | None:
        return self._stdout

    @property
    def stderr(self) -> ByteReceiveStream | None:
        return self._stderr

    async def aclose(self) -> None:
        """Close the streams and wait for the end; kill where there is no time for that."""
        try:
            for stream in (self._stdin, self._stdout, self._stderr):
                if stream is not None:
                    await stream.aclose()
            await self.wait()
        except BaseException:
            self.kill()
            with anyio.CancelScope(shield=True):
                await self.wait()
            raise


def start(
    arguments: Sequence[str], environment: Mapping[str, str], *, piped: Collection[int]
) -> Process:
    """Start the command with pipes for these of its standard streams, no others."""
    mine, its = socket.socketpair(type=socket.SOCK_SEQPACKET)  # keeps what is sent apart
    ends = {number: os.pipe() for number in piped}
    nothing = os.open(os.devnull, os.O_RDWR)
    given = {
        number: ends[number][number > 0] if number in ends else nothing for number in range(3)
    }
    with its:
        socket.send_fds(_forker(), [b"!"], [*given.values(), its.fileno()])
    for handle in {*given.values()}:
        os.close(handle)
    order = json.dumps([list(arguments), dict(environment), os.getcwd()]).encode()  # noqa: PTH109
    mine.send(order)
    pid = int(mine.recv(16))
    mine.setblocking(False)
    return Forked(mine, pid, {number: pair[number == 0] for number, pair in ends.items()})


@functools.cache
def _forker() -> socket.socket:
    """Start the process that forks, which ends with this one."""
    mine, its = socket.socketpair()
    with its:
        process = subprocess.Popen(  # noqa: S603 (all of it is ours)
            [sys.executable, "-m", "tests.e2e.warm", str(its.fileno())],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,  # no file and no terminal, as the command's mostly are
            stdout=subprocess.PIPE,
            pass_fds=[its.fileno()],
        )

    def end() -> None:
        mine.close()
        process.communicate()

    atexit.register(end)
    return mine


# the side of the process that forks


def _serve(control: socket.socket) -> None:
    """Fork for each order until nobody is there to give one; return in each child as well."""
    for module in pkgutil.walk_packages(importlib.import_module("bulkup").__path__, "bulkup."):
        if not module.name.startswith("bulkup.cluster") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in PRELOADED:
        importlib.import_module(name)
    if measured := coverage.Coverage.current():
        measured.stop()
        measured.save()
        measured._auto_save = False  # a child measures for itself
    gc.collect()
    gc.freeze()  # what is there now is never garbage
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal the tests run in
    signal.signal(signal.SIGCHLD, lambda *_: None)
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    at_work: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    woken.recv(4096)
                    _tell_ends(at_work)
                    continue
                came, handles, _, _ = socket.recv_fds(control, 1, 4)
                if not came:
                    for pid in at_work:
                        os.kill(pid, signal.SIGKILL)
                    return
                told = socket.socket(fileno=handles.pop())
                if not (pid := os.fork()):
                    selector.close()
                    for each in (control, woken, wake, *at_work.values()):
                        each.close()
                    _become(told, handles)
                    return
                told.send(str(pid).encode())
                at_work[pid] = told
                for handle in handles:
                    os.close(handle)


def _tell_ends(at_work: dict[int, socket.socket]) -> None:
    for pid in [*at_work]:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with at_work.pop(pid) as told, suppress(BrokenPipeError):
                told.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(told: socket.socket, handles: Sequence[int]) -> None:
    """Make this process the one that was ordered, and run the command in it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
    for handle in {*handles}:
        os.close(handle)
    with told:
        arguments, environment, folder = json.loads(told.recv(1_000_000))
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = ["bulkup", *arguments]
    coverage.process_startup(force=True)  # if its variables are there
    runpy.run_module("bulkup", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
