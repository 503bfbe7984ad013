"""Who may see private albums: groups and users by their names."""

import unicodedata
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Final

from bulkup.errors import NotOffered, PhotoError, RunError
from bulkup.errors import gallery as gallery_failures
from bulkup.errors import run as run_failures
from bulkup.errors import server as server_failures
from bulkup.piwigo import protocol
from bulkup.piwigo.arrangement import Arranging

ADD: Final = "pwg.permissions.add"
MOST_LISTED: Final = 1000
"""Groups or users asked for at once: the most that Piwigo's default settings permit."""


@dataclass(frozen=True, slots=True)
class Access:
    """The ids of groups and users."""

    groups: frozenset[int]
    users: frozenset[int]


class Sharing(Arranging):
    """Sends the calls that give access to albums, all of which may be repeated."""

    async def find_access(self, names: Sequence[str]) -> Access:
        """Return the groups and users of these names; `group:NAME` or `user:NAME` is one of them.

        Raises `RunError` for a name that does not exist or that both have, and `NotOffered` where
        the server can't give access.
        """
        if ADD not in self.offer.methods:
            raise NotOffered(server_failures.NOT_OFFERED(method=ADD))
        groups = await self._listed("pwg.groups.getList", "groups", "name")
        users = await self._listed(
            "pwg.users.getList", "users", "username", ("display", "username")
        )
        found: tuple[set[int], set[int]] = set(), set()
        for text in names:
            kind, sign, name = text.partition(":")
            kind, name = (kind, name) if sign and kind in {"group", "user"} else ("", text)
            group = _find(groups, name) if kind != "user" else None
            user = _find(users, name) if kind != "group" else None
            if group and user:
                raise RunError(run_failures.SHARE_AMBIGUOUS(name=name))
            if group:
                found[0].add(group)
            elif user:
                found[1].add(user)
            else:
                kinds = f"no {kind}" if kind else "neither a group nor a user"
                raise RunError(
                    run_failures.SHARE_UNKNOWN(kinds=kinds, name=name, url=self.offer.url)
                )
        return Access(*map(frozenset, found))

    async def _listed(
        self, method: str, key: str, named: str, *fields: tuple[str, str]
    ) -> dict[str, int]:
        """Return the ids of all groups or users by their names."""
        found: dict[str, int] = {}
        async with aclosing(self._pages(method, key, fields)) as pages:
            async for rows in pages:
                found |= {_normal(str(row.get(named))): protocol.number(row["id"]) for row in rows}
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

    async def share(self, album: int, access: Access) -> None:
        """Give groups and users access to a private album, and to the private ones above it.

        Piwigo does the latter itself (source of 13.8 and 16.4). Raises `PhotoError` if the album
        turns out not to be shared, as a public one.
        """
        answer = await self.ask(
            ADD,
            (
                ("cat_id", str(album)),
                *(("group_id[]", str(group)) for group in sorted(access.groups)),
                *(("user_id[]", str(user)) for user in sorted(access.users)),
            ),
            token=True,
        )
        rows, _ = protocol.read_rows(answer, "categories")
        for row in rows:
            given = (row.get(key) for key in ("groups", "users"))
            groups, users = (
                {*map(protocol.number, i)} if isinstance(i, list) else set() for i in given
            )
            shared = access.groups <= groups and access.users <= users
            if shared and protocol.number(row.get("id")) == album:
                return
        raise PhotoError(gallery_failures.NOT_SHARED())


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _find(ids: dict[str, int], name: str) -> int | None:
    """Return the id of a name: as it is spelled, or else in other case if that is unique."""
    name = _normal(name.strip())
    if name in ids:
        return ids[name]
    alike = [number for known, number in ids.items() if known.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None
