"""Who may see private albums: groups and users by their names."""

import unicodedata
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from itertools import count
from typing import Final

from bulkup.errors import NotOffered, PhotoError, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.piwigo import protocol
from bulkup.piwigo.methods import MethodCaller

ADD: Final = "pwg.permissions.add"
LIST: Final = "pwg.permissions.getList"
MOST_LISTED: Final = 1000
"""Groups or users asked for at once: the most that Piwigo's default settings permit."""

Holder = tuple[str, int]
"""A group or a user: the name of its list in answers, `groups` or `users`, and its id."""


class Sharing(MethodCaller):
    """Looks up groups and users, to share albums with them."""

    async def find_access(self, names: Sequence[str], *, gives: bool = True) -> "Access":
        """Return the access of the groups and users of these names; it only `gives` it if so.

        `group:NAME` and `user:NAME` are one of them. Raises `RunError` for a name that does not
        exist or that both have, and `NotOffered` where the server can't tell or give access.
        """
        for method in (LIST, ADD) if gives else (LIST,):
            if method not in self.offer.methods:
                raise NotOffered(server_failures.NOT_OFFERED(method=method))
        groups = await self._listed("pwg.groups.getList", "groups")
        users = await self._listed("pwg.users.getList", "users", ("display", "username,status"))
        group_ids = {_normal(str(row.get("name"))): i for i, row in groups.items()}
        user_ids = {_normal(str(row.get("username"))): i for i, row in users.items()}
        found: dict[Holder, str] = {}
        for text in names:
            kind, sign, name = text.partition(":")
            kind, name = (kind, name) if sign and kind in {"group", "user"} else ("", text)
            group = _find(group_ids, name) if kind != "user" else None
            user = _find(user_ids, name) if kind != "group" else None
            if group and user:
                raise RunError(run_failures.SHARE_AMBIGUOUS(name=name))
            if group:
                found["groups", group] = text
            elif user:
                found["users", user] = text
            else:
                kinds = f"no {kind}" if kind else "neither a group nor a user"
                raise RunError(
                    run_failures.SHARE_UNKNOWN(kinds=kinds, name=name, url=self.offer.url)
                )
        others = {("groups", i): f"group:{name}" for name, i in group_ids.items()}
        others |= {
            ("users", i): f"user:{name}"
            for name, i in user_ids.items()
            if users[i].get("status") not in {"webmaster", "admin"}
        }
        return Access(self, found, others=others, gives=gives)

    async def _listed(
        self, method: str, key: str, *fields: tuple[str, str]
    ) -> dict[int, dict[str, object]]:
        """Return all groups or users by their ids."""
        found: dict[int, dict[str, object]] = {}
        async with aclosing(self._pages(method, key, fields)) as pages:
            async for rows in pages:
                found |= {protocol.number(row["id"]): row for row in rows}
        return found

    async def _pages(
        self, method: str, key: str, fields: protocol.Fields
    ) -> AsyncGenerator[list[dict[str, object]], None]:
        last: list[dict[str, object]] = []
        for page in count():
            paging = (("per_page", str(MOST_LISTED)), ("page", str(page)), ("order", "id"))
            rows, size = protocol.read_rows(await self.ask(method, (*fields, *paging)), key)
            if rows == last:
                return  # the server ignores `page`
            yield rows
            if len(rows) < (size or MOST_LISTED):
                return
            last = rows


class Access:
    """The access of groups and users, `wanted` with their names, to private albums.

    `others` are the names of all that are no administrators: Piwigo gives these access to each new
    album. What the gallery answers is known once it is loaded.
    """

    def __init__(
        self,
        gallery: MethodCaller,
        wanted: Mapping[Holder, str],
        *,
        others: Mapping[Holder, str],
        gives: bool,
    ) -> None:
        self._gallery = gallery
        self._wanted = wanted
        self._others = {holder: name for holder, name in others.items() if holder not in wanted}
        self._gives = gives
        self._missing: dict[int, tuple[str, ...]] = {}
        self._strangers: dict[int, tuple[str, ...]] = {}

    async def load(self) -> None:
        """Ask who has access to which album, by one request. May be repeated."""
        rows, _ = protocol.read_rows(await self._gallery.ask(LIST, ()), "categories")
        for row in rows:
            album, direct = protocol.number(row["id"]), _holders(row)
            reached = direct | {("users", user) for user in _ids(row.get("users_indirect"))}
            self._missing[album] = tuple(
                name for holder, name in self._wanted.items() if holder not in reached
            )
            self._strangers[album] = tuple(
                self._others[holder] for holder in sorted(direct) if holder in self._others
            )

    def missing(self, album: int) -> Sequence[str]:
        """Return the names of those who have no access to a private album."""
        return self._missing.get(album, tuple(self._wanted.values()))

    def strangers(self, album: int) -> Sequence[str]:
        """Return the names of others who have access to an album."""
        return self._strangers.get(album, ())

    async def give(self, album: int) -> None:
        """Give access to a private album, and to the private ones above it. May be repeated.

        Piwigo does the latter itself (source of 13.8 and 16.4). Raises `PhotoError` if the album
        turns out not to be shared, as a public one.
        """
        if not self._gives:
            return
        kinds = {"groups": "group_id[]", "users": "user_id[]"}
        holders = tuple((kinds[kind], str(number)) for kind, number in sorted(self._wanted))
        answer = await self._gallery.ask(ADD, (("cat_id", str(album)), *holders), token=True)
        for row in protocol.read_rows(answer, "categories")[0]:
            if protocol.number(row["id"]) == album and self._wanted.keys() <= _holders(row):
                return
        raise PhotoError(gallery_failures.NOT_SHARED())


def _holders(row: Mapping[str, object]) -> set[Holder]:
    """Return who has access to an album by itself, not through a group."""
    return {(kind, number) for kind in ("groups", "users") for number in _ids(row.get(kind))}


def _ids(value: object) -> list[int]:
    return [*map(protocol.number, value)] if isinstance(value, list) else []


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _find(ids: dict[str, int], name: str) -> int | None:
    """Return the id of a name: as it is spelled, or else in other case if that is unique."""
    name = _normal(name.strip())
    if name in ids:
        return ids[name]
    alike = [number for known, number in ids.items() if known.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None
