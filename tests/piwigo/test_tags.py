"""Tags: looked up once, made once, told apart as the server does."""

import anyio
import pytest

from bulkup.errors import AnswerLost, NotOffered, PhotoError, ServerCrashed
from bulkup.piwigo.client import PiwigoServer
from bulkup.piwigo.connect import connect
from bulkup.piwigo.metadata import Tags
from bulkup.piwigo.protocol import Request, read_tag_id, read_tags
from bulkup.sandbox import Fault, Faults, Sandbox
from tests.support.runs import ADMIN

ADD, LIST = "pwg.tags.add", "pwg.tags.getAdminList"


def made(box: Sandbox) -> list[str]:
    return [tag.name for tag in box.gallery.tags.values()]


def asked(box: Sandbox) -> list[str]:
    return [seen.method for seen in box.requests if seen.method in {ADD, LIST}]


async def ids(server: PiwigoServer, *names: str, tags: Tags | None = None) -> tuple[int, ...]:
    return await (tags or Tags()).ids(names, ask=server._pool.call)


@pytest.mark.parametrize("version", ["13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1"])
async def test_tags_are_made_once_and_listed_once(version: str) -> None:
    tags = Tags()
    async with Sandbox(version=version) as box, connect(box.url, credentials=ADMIN) as server:
        assert await ids(server, "sea", 'O\'Neil & "co", <b', tags=tags) == (1, 2)
        assert await ids(server, "sun", "sea", "SEA", tags=tags) == (3, 1)
        assert made(box)[0] == "sea"
        assert len(made(box)) == 3
        assert asked(box) == [LIST, ADD, ADD, ADD]
    assert not tags.refused


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ("Été", "ete"),
        ("ete", "ÉTÉ"),
        ("Straße", "strase"),
        ("sea ", "Sea"),
        ("Ёлка", "елка"),
        ("e\u0301te\u0301", "été"),
    ],
)
async def test_a_tag_that_the_server_takes_for_the_same_is_used(there: str, wanted: str) -> None:
    async with Sandbox() as box, connect(box.url, credentials=ADMIN) as server:
        box.gallery.add_tag("another", url_name="another")
        box.gallery.add_tag(there, url_name="it")
        assert await ids(server, wanted) == (2,)
        assert len(made(box)) == 2


async def test_a_tag_that_only_looks_alike_is_made() -> None:
    async with Sandbox() as box, connect(box.url, credentials=ADMIN) as server:
        there = ("ﬁsh²", "мой", "ø", "Straße")
        for name in there:
            box.gallery.add_tag(name, url_name="it")
        wanted = ("fish2", "мои", "o", "Strasse")
        assert await ids(server, *wanted) == (5, 6, 7, 8)
        assert made(box) == [*there, *wanted]


async def test_a_tag_that_somebody_else_makes_meanwhile_is_looked_up_again() -> None:
    tags = Tags()
    async with Sandbox() as box, connect(box.url, credentials=ADMIN) as server:
        await ids(server, "first", tags=tags)
        box.gallery.add_tag("sea", url_name="sea")
        assert await ids(server, "Sea", tags=tags) == (2,)
        assert asked(box) == [LIST, ADD, ADD, LIST]


async def test_many_tasks_make_a_tag_once() -> None:
    tags = Tags()
    found: list[tuple[int, ...]] = []
    async with Sandbox() as box, connect(box.url, credentials=ADMIN) as server:

        async def one() -> None:
            found.append(await ids(server, "sea", "sun", tags=tags))

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(one)
        assert asked(box) == [LIST, ADD, ADD]
    assert found == [(1, 2)] * 8


async def test_a_lost_answer_is_asked_for_again() -> None:
    tags = Tags()
    faults = Faults([Fault("answer-lost", ADD, nth=0), Fault("answer-lost", LIST, nth=0)])
    async with (
        Sandbox(faults=faults) as box,
        connect(box.url, credentials=ADMIN) as server,
    ):
        for _ in range(2):
            with pytest.raises(AnswerLost):
                await ids(server, "sea", tags=tags)
        assert await ids(server, "sea", tags=tags) == (1,)
        assert made(box) == ["sea"]


async def test_a_tag_that_kills_the_server_twice_is_left_out() -> None:
    tags = Tags()
    faults = Faults([Fault("empty-500-before", ADD, nth=nth) for nth in (0, 1)])
    async with (
        Sandbox(faults=faults) as box,
        connect(box.url, credentials=ADMIN) as server,
    ):
        with pytest.raises(ServerCrashed):
            await ids(server, "cursed", tags=tags)
        assert await ids(server, "cursed", "sea", tags=tags) == (1,)
        assert await ids(server, "cursed", tags=tags) == ()
        assert asked(box).count(ADD) == 3
    assert tags.refused == {"cursed"}


async def test_a_server_that_died_once_is_asked_again() -> None:
    tags = Tags()
    faults = Faults([Fault("empty-500-after", ADD, nth=0)])
    async with (
        Sandbox(faults=faults) as box,
        connect(box.url, credentials=ADMIN) as server,
    ):
        with pytest.raises(ServerCrashed):
            await ids(server, "sea", tags=tags)
        assert await ids(server, "sea", tags=tags) == (1,)
    assert not tags.refused


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


@pytest.mark.parametrize(
    ("answer", "tags"),
    [
        ({"tags": [{"id": "1", "name": "a"}, {"id": 2, "name": "b", "name_raw": "B"}]},
         [("a", 1), ("B", 2)]),
        ({"tags": [{"id": "x", "name": "a"}, 7, {}]}, []),
        ({"tags": []}, []),
        ([], []),
        (None, []),
    ],
)  # fmt: skip
def test_answers_that_list_tags(answer: object, tags: list[tuple[str, int]]) -> None:
    assert read_tags(answer) == tags


@pytest.mark.parametrize(
    ("answer", "tag"),
    [({"id": 7}, 7), ({"id": "7"}, 7), ({"id": 0}, None), ({}, None), ([], None)],
)
def test_answers_that_name_a_tag(answer: object, tag: int | None) -> None:
    assert read_tag_id(answer) == tag
