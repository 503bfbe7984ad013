"""What every test stands under: asyncio, loopback only, an event loop that nobody blocks."""

import gc
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import pytest_socket
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

from tests.support.browser import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

# a busy machine is no failure
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lasts as long as the tests: modules, and the tests."""
    gc.collect()
    gc.freeze()


REAL_URL = os.environ.get("BULKUP_TEST_URL", "")


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone, as aiohttp does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """Let a test connect to this machine only, and to the Piwigo that the environment names."""
    hosts = ["127.0.0.1", "::1", "localhost"]
    if real := urlsplit(REAL_URL).hostname:
        hosts.append(real)
    pytest_socket.socket_allow_hosts(hosts, allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(autouse=True)
def event_loop_guard() -> Iterator[BlockBuster]:
    """Fail a test that blocks the event loop: reads a file, hashes, or sleeps in it."""
    with blockbuster_ctx(["bulkup"]) as guard:  # what the test itself does is no matter
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            # the tracer's own lock, which it may have to wait for, is no fault of ours
            guard.functions[name].can_block_in("coverage/collector.py", "lock_data")
        yield guard
