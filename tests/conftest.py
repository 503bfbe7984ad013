"""Fixtures of every test: asyncio, loopback only, no blocking calls in the event loop."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_socket
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

from tests.support.browser import pytest_terminal_summary
from tests.support.disks import disk

__all__ = ["disk", "pytest_terminal_summary"]

# a slow machine is no failure
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of whole systems and in browsers first.

    Each of their modules takes long: begun last, one would keep a single process busy at the end.
    """
    first = [Path(__file__).with_name(name) for name in ("system", "gui")]
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in first))


def pytest_collection_finish() -> None:
    """Exempt modules and tests, which stay to the end, from garbage collection."""
    gc.collect()
    gc.freeze()


REAL_URL = os.environ.get("BULKUP_TEST_URL", "")


@pytest.fixture
def anyio_backend() -> str:
    """Run tests on asyncio, as aiohttp needs."""
    return "asyncio"


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """Allow connections to this machine and to the Piwigo of BULKUP_TEST_URL alone."""
    hosts = ["127.0.0.1", "::1", "localhost"]
    if real := urlsplit(REAL_URL).hostname:
        hosts.append(real)
    pytest_socket.socket_allow_hosts(hosts, allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(autouse=True)
def event_loop_guard() -> Iterator[BlockBuster]:
    """Fail a test in which bulkup blocks the event loop by reading, hashing or sleeping."""
    with blockbuster_ctx(["bulkup"]) as guard:  # not what the test itself does
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            # the lock of coverage's tracer
            guard.functions[name].can_block_in("coverage/collector.py", "lock_data")
        yield guard
