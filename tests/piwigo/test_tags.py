"""Tags: looked up once, created once, compared as the server does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bulkup.errors import AnswerLost, NotOffered, PhotoError, ServerCrashed
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import connect
from bulkup.piwigo.metadata import Tags
from bulkup.piwigo.protocol import Request
from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.runs import ADMIN

ADD, LIST = "pwg.tags.add", "pwg.tags.getAdminList"


@dataclass
class Asking:
    """Asks a sandbox for the numbers of tags, as one run does."""

    box: Sandbox
    server: PiwigoServer
    tags: Tags = field(default_factory=Tags)

    async def ids(self, *names: str) -> tuple[int, ...]:
        return await self.tags.ids(names, ask=self.server._pool.call)

    def there(self, *names: str) -> None:
        """Have tags at the server already."""
        for name in names:
            self.box.gallery.add_tag(name, url_name="it")

    @property
    def made(self) -> list[str]:
        return [tag.name for tag in self.box.gallery.tags.values()]

    @property
    def asked(self) -> list[str]:
        return [seen.method for seen in self.box.requests if seen.method in {ADD, LIST}]


@asynccontextmanager
async def asking(*faults: Fault, version: str = "16.4.0") -> AsyncIterator[Asking]:
    async with (
        Sandbox(version=version, faults=Faults(faults)) as box,
        connect(box.url, credentials=ADMIN) as server,
    ):
        yield Asking(box, server)


@pytest.mark.parametrize("version", ["13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1"])
async def test_tags_are_made_once_and_listed_once(version: str) -> None:
    async with asking(version=version) as run:
        assert await run.ids("sea", 'O\'Neil & "co", <b') == (1, 2)
        assert await run.ids("sun", "sea", "SEA") == (3, 1)
        assert run.made[0] == "sea"
        assert len(run.made) == 3
        assert run.asked == [LIST, ADD, ADD, ADD]
    assert not run.tags.refused


async def test_a_tag_that_the_server_takes_for_the_same_is_used_and_one_alike_is_made() -> None:
    same = {"Été": "ete", "Straße": "strase", "sea ": "Sea", "Ёлка": "елка"}
    same |= {"ou\u0300": "OÙ", "e\u0301le\u0300ve": "élève"}
    there, alike = ("ﬁsh²", "мой", "ø", "Maße"), ("fish2", "мои", "o", "Masse")
    async with asking() as run:
        run.there(*same, *there)
        assert await run.ids(*same.values()) == (1, 2, 3, 4, 5, 6)
        assert await run.ids(*alike) == (11, 12, 13, 14)
        assert run.made == [*same, *there, *alike]


async def test_a_tag_created_by_another_client_is_looked_up_again() -> None:
    async with asking() as run:
        await run.ids("first")
        run.there("sea")
        assert await run.ids("Sea") == (2,)
        assert run.asked == [LIST, ADD, ADD, LIST]


async def test_a_lost_answer_and_a_server_that_died_once_are_asked_again() -> None:
    async with asking(*(Fault("answer-lost", call, nth=0) for call in (ADD, LIST))) as run:
        for _ in range(2):
            with pytest.raises(AnswerLost):
                await run.ids("sea")
        assert await run.ids("sea") == (1,)
        assert run.made == ["sea"]
    async with asking(Fault("empty-500-after", ADD, nth=0)) as run:
        with pytest.raises(ServerCrashed):
            await run.ids("sea")
        assert await run.ids("sea") == (1,)
    assert not run.tags.refused


async def test_a_tag_that_crashes_the_server_twice_is_left_out() -> None:
    async with asking(*(Fault("empty-500-before", ADD, nth=nth) for nth in (0, 1))) as run:
        with pytest.raises(ServerCrashed):
            await run.ids("cursed")
        assert await run.ids("cursed", "sea") == (1,)
        assert await run.ids("cursed") == ()
        assert run.asked.count(ADD) == 3
    assert run.tags.refused == {"cursed"}


@pytest.mark.parametrize("error", [PhotoError("no"), NotOffered("no")])
async def test_a_server_that_knows_no_tags_is_not_asked_for_ever(error: Exception) -> None:
    tags, calls = Tags(), list[str]()

    async def ask(request: Request) -> object:
        calls.append(request.method)
        raise error

    assert await tags.ids(["sea"], ask=ask) == ()
    calls.clear()
    assert await tags.ids(["sea"], ask=ask) == ()
    assert calls == []
    assert tags.refused == {"sea"}
