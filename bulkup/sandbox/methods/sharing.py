"""Groups, users, and the access that they have to private albums."""

from bulkup.sandbox import php
from bulkup.sandbox.accounts import GUEST
from bulkup.sandbox.calls import REQUIRED, SWITCH, TEXT, Call, Method, Param
from bulkup.sandbox.gallery import Group, storable
from bulkup.sandbox.php import FatalError, Refusal

_IDS = Param("int positive notnull", force=True)
_DEFAULT, _MOST = 100, 1000


async def _groups(call: Call) -> dict[str, object]:
    rows: list[dict[str, object]] = [
        {
            "id": str(number),
            "name": group.name,
            "is_default": "false",
            "lastmodified": php.now(),
            "nb_users": str(len(group.members)),
        }
        for number, group in call.gallery.groups.items()
        if call.text("name").lower() in {"", group.name.lower()}
    ]
    return _page(call, "groups", rows)


async def _add_group(call: Call) -> dict[str, object]:
    groups, name = call.gallery.groups, php.strip_tags(call.text("name"))
    if any(group.name.lower() == name.lower() for group in groups.values()):
        raise Refusal(1003, "This name is already used by another group.")
    if not name.strip():
        raise Refusal(1003, "Name field must not be empty")
    groups[max(groups, default=0) + 1] = Group(storable(name))
    return await _groups(call)


async def _users(call: Call) -> dict[str, object]:
    """List id, name and status of the users, whatever else the call asks for."""
    users = sorted([*call.accounts.users.values(), GUEST], key=lambda user: user.id)
    rows: list[dict[str, object]] = [
        {"id": user.id, "username": user.name, "status": user.status} for user in users
    ]
    return _page(call, "users", rows)


def _page(call: Call, key: str, rows: list[dict[str, object]]) -> dict[str, object]:
    page, per_page = call.number("page"), call.number("per_page") or _DEFAULT
    part = rows[page * per_page :][:per_page]
    return {"paging": {"page": page, "per_page": per_page, "count": len(part)}, key: part}


async def _permissions(call: Call) -> dict[str, object]:
    gallery, asked = call.gallery, call.numbers("cat_id")
    rows = []
    for album in sorted({i for _, i in gallery.user_access | gallery.group_access}):
        groups = sorted(group for group, i in gallery.group_access if i == album)
        members = {user for group in groups for user in gallery.groups[group].members}
        if album in asked or not asked:
            rows.append(
                {
                    "id": album,
                    "users": sorted(user for user, i in gallery.user_access if i == album),
                    "users_indirect": sorted(members),
                    "groups": groups,
                }
            )
    return {"categories": rows}


async def _add_permissions(call: Call) -> dict[str, object]:
    call.check_token()
    albums = set(call.numbers("cat_id"))
    if call.params["recursive"]:
        albums |= {a.id for i in albums for a in call.gallery.subtree(i)}
    groups, users = call.numbers("group_id"), call.numbers("user_id")
    if (groups or users) and not albums & call.gallery.albums.keys():
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    call.gallery.give_access(albums, groups=groups, users=users)
    return await _permissions(call)


_PAGING = {
    "per_page": Param("int positive", default=_DEFAULT, max=_MOST),
    "page": Param("int positive", default=0),
    "order": TEXT,
}
SHARING_METHODS = {
    "pwg.groups.getList": Method(_groups, {"name": TEXT, **_PAGING}, admin=True),
    "pwg.groups.add": Method(
        _add_group, {"name": REQUIRED, "is_default": SWITCH}, admin=True, post=True
    ),
    "pwg.users.getList": Method(_users, {"display": TEXT, **_PAGING}, admin=True),
    "pwg.permissions.getList": Method(_permissions, {"cat_id": _IDS}, admin=True),
    "pwg.permissions.add": Method(
        _add_permissions,
        {
            "cat_id": Param("int positive notnull", optional=False, force=True),
            "group_id": _IDS,
            "user_id": _IDS,
            "recursive": SWITCH,
            "pwg_token": REQUIRED,
        },
        admin=True,
        post=True,
    ),
}
