"""A coordinator and workers of a Dask cluster in this process, which upload to a sandbox."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import dask
import pytest
from anyio.abc import TaskGroup
from distributed import Client, Scheduler
from distributed import Worker as DaskWorker
from distributed.security import Security

from bulkup.app.executor import RunSettings
from bulkup.app.settings import Account
from bulkup.cluster.coordinator import Coordinator
from bulkup.cluster.messages import LEASE_S, Invitation, PathMap
from bulkup.cluster.scheduler import Cluster
from bulkup.cluster.worker import RunPlugin
from bulkup.engine.context import Stop
from bulkup.engine.ledger_port import NoLedger
from bulkup.engine.retry import Policy, Recovery
from bulkup.events import Event, Noticed, PhotoUploaded, discard
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import connect
from bulkup.sandbox import Sandbox
from bulkup.source.zone import local_zone
from tests.support.runs import ADMIN, Outcome, stored_sums, upload

MAPS = PathMap()
LOOK_S = 0.005
STEP_S = 1.0  # less than the coordinator's least wait for a finish of a lost worker
OFTEN_S = 0.05
SPEED = 0.001


@contextmanager
def in_time_zone(name: str) -> Iterator[None]:
    """Move this machine to a time zone, in the form of the variable TZ."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        local_zone.cache_clear()
        yield
    time.tzset()
    local_zone.cache_clear()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in this process."""
    while not condition():  # noqa: ASYNC110 (there is no event for it)
        await anyio.sleep(LOOK_S)


class Clock:
    """The time of the coordinator and its workers, which a test may move on.

    By itself it hardly passes, so that no lease and no wait ends because the machine is slow.
    """

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return time.monotonic() * SPEED + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        end = self() + seconds
        self.sleeps.append(seconds)
        await until(lambda: self() >= end)
        self.sleeps.remove(seconds)


@dataclass
class Team:
    """The workers, their coordinator, and the gallery's client."""

    box: Sandbox
    server: PiwigoServer
    scheduler: Scheduler
    coordinator: Coordinator
    recovery: Recovery
    clock: Clock
    tasks: TaskGroup
    events: list[Event]
    workers: list[DaskWorker] = field(default_factory=list)
    started: list[DaskWorker] = field(default_factory=list)
    lost: list[RunPlugin] = field(default_factory=list)
    finishes: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.box.workers.finish_s:
            self._finish = self.box.workers.finish
            self.box.workers.finish = self._counted_finish  # type: ignore[method-assign]

    async def _counted_finish(self) -> None:
        """Finish a photo on the server, by its own clock: no more than one step may pass."""
        self.finishes.add(finish := object())
        try:
            await self._finish()
        finally:
            self.finishes.remove(finish)

    async def join(self) -> DaskWorker:
        """Start one more worker, and wait until it takes part."""
        worker = DaskWorker(
            self.scheduler.address, nthreads=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        )
        await worker
        self.workers.append(worker)
        self.started.append(worker)
        await until(lambda: len(self.coordinator.members) == len(self.workers))
        return worker

    def plugin(self, worker: DaskWorker) -> RunPlugin:
        """Return the run on a worker."""
        (plugin,) = self._plugins(worker)
        return plugin

    def _plugins(self, worker: DaskWorker) -> list[RunPlugin]:
        return [p for p in worker.plugins.values() if isinstance(p, RunPlugin)]

    async def pass_time(self, seconds: float = float("inf")) -> None:
        """Let the coordinator's time pass, as fast as those who live are heard.

        A step ends when the server has finished what it was finishing when the step began, and
        when lost workers whose lease is over have stopped.
        """
        end = self.clock() + seconds
        while (left_s := end - self.clock()) > 0:
            before = self.finishes.copy()
            self.clock.ahead_s += min(STEP_S, left_s)
            await anyio.sleep(LOOK_S)
            await until(partial(before.isdisjoint, self.finishes))
            await until(lambda: not any(map(self._is_late, self.lost)))
            await until(partial(self._heard_since, self.clock()))

    def _is_late(self, plugin: RunPlugin) -> bool:
        """Return whether a worker still sends although its lease is over."""
        return bool(plugin._orders) and self.clock() >= plugin._answered_at + LEASE_S

    def _heard_since(self, moment: float) -> bool:
        """Return whether the coordinator has heard and answered all that will be heard."""
        plugins = {w.address: p for w in self.workers for p in self._plugins(w)}
        return all(
            member.last_message_at >= moment <= plugin._answered_at
            for member in self.coordinator.members.values()
            if (plugin := plugins.get(member.address)) and not plugin._over.is_set()
        )

    async def lose(self, worker: DaskWorker, *, silent: bool) -> None:
        """End a worker in the midst of all that it does, or only its line to the coordinator."""
        self.workers.remove(worker)
        plugin = self.plugin(worker)
        self.lost.append(plugin)
        self.coordinator._joining.add(worker.address)  # it does not come back
        plugin._flush = mock.Mock()  # type: ignore[method-assign]
        self.scheduler.unsubscribe_topic(plugin._topic, plugin._topic)  # the client's name
        if not silent:
            plugin._over.set()
            await worker.close(timeout=1)

    def lose_when(self, comes: anyio.Event, *, silent: bool) -> None:
        """Lose a worker when an event comes, and let time pass until that is noticed."""

        async def lose() -> None:
            await comes.wait()
            await self.lose(self.workers[0], silent=silent)
            await self.pass_time()

        self.tasks.start_soon(lose)

    def noticed(self) -> str:
        """Return what the coordinator has noticed."""
        return "\n".join(e.message for e in self.events if isinstance(e, Noticed))

    async def run(
        self, archive: dict[Path, str], *, finishing: int | None, ledger: NoLedger | None = None
    ) -> Outcome:
        """Upload an archive, and check that all of it is there once."""
        outcome = await self.upload(next(iter(archive)).parents[1], finishing, ledger=ledger)
        sums = set(archive.values())
        assert stored_sums(self.box) == dict.fromkeys(sums, 1)
        assert len(outcome.of(PhotoUploaded)) == len(sums)
        return outcome

    async def upload(
        self,
        root: Path,
        finishing: int | None,
        *,
        ledger: NoLedger | None = None,
        **plan: Any,  # noqa: ANN401 (what else `upload` takes)
    ) -> Outcome:
        """Upload an archive, and check that its photos have one outcome each."""
        outcome = Outcome()
        await upload(
            self.server,
            root,
            outcome=outcome,
            recovery=self.recovery,
            memory=ledger,
            executor=self.coordinator,
            finishing=finishing,
            **plan,
        )
        assert outcome.balances()
        assert finishing is None or self.box.finishing_peak <= finishing
        return outcome


def settings(url: str, **changes: Any) -> RunSettings:  # noqa: ANN401 (of any setting)
    """Return the settings of a run."""
    usual = RunSettings(
        account=Account(url=url, user="admin", password="secret"),
        method="async",
        concurrency=3,
        retries=5,
        patience_s=3600.0,
        chunk_size=4096,
        limit=lambda: None,
    )
    return replace(usual, **changes)


def invitation() -> Invitation:
    """Return an invitation to a run that there is not."""
    return Invitation(
        run="run",
        version="0",
        topic="topic",
        settings=settings("http://127.0.0.1/"),
        trusted=True,
        files={},
        zone=((0, 0),),
    )


@asynccontextmanager
async def team(
    workers: int,
    box: Sandbox,
    *,
    method: str = "async",
    **changes: Any,  # noqa: ANN401 (of settings)
) -> AsyncIterator[Team]:
    """Start a sandbox and workers, which show often that they live and hardly wait."""
    clock, events = Clock(), list[Event]()
    routes = [f"distributed.{role}.http.routes" for role in ("scheduler", "worker")]
    with (
        dask.config.set({route: [] for route in routes}),
        mock.patch("bulkup.cluster.coordinator.LOOK_S", OFTEN_S),
        mock.patch("bulkup.cluster.worker.awake_s", clock),
        mock.patch("bulkup.cluster.worker.BEAT_S", OFTEN_S),
        mock.patch("bulkup.app.gallery.Policy", partial(Policy, ask_s=0.5, wait_s=0.02)),
    ):
        async with (
            box,
            connect(box.url, credentials=ADMIN, method=method) as server,
            Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler,
        ):
            client = await Client(scheduler.address, asynchronous=True, set_as_default=False)
            recovery = Recovery(Policy(ask_s=0.5), emit=discard, probe=server.probe)
            async with anyio.create_task_group() as tasks:
                coordinator = Coordinator(
                    Cluster(client, security=Security(), address=scheduler.address),
                    settings(box.url, method=method, **changes),
                    maps=MAPS,
                    tasks=tasks,
                    recovery=recovery,
                    emit=events.append,
                    stop=Stop(),
                    clock=clock,
                    sleep=clock.sleep,
                )
                opened = Team(box, server, scheduler, coordinator, recovery, clock, tasks, events)
                tasks.start_soon(coordinator.start)
                try:
                    for _ in range(workers):
                        await opened.join()
                    yield opened
                finally:
                    with anyio.CancelScope(shield=True):
                        await coordinator.close()
                        for worker in opened.started:
                            await worker.close(timeout=1)
                tasks.cancel_scope.cancel()
