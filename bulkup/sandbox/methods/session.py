"""Sessions, reflection, users and API keys."""

from datetime import datetime, timedelta

from bulkup.sandbox import php
from bulkup.sandbox.accounts import GUEST, ApiKey
from bulkup.sandbox.calls import REQUIRED, TEXT, Call, Method, Param
from bulkup.sandbox.php import Refusal

_TIME = "%Y-%m-%d %H:%M:%S"
_LONGEST_DAYS = 999999
_SIZES = ["square", "thumb", "2small", "xsmall", "small", "medium", "large", "xlarge", "xxlarge"]


async def _login(call: Call) -> bool:
    if call.by_key:
        raise Refusal(401, "Cannot use this method with an api key")
    call.log_in(call.text("username"), call.text("password"), by="ws_session_login")
    return True


async def _logout(call: Call) -> bool:
    if call.by_key:
        raise Refusal(401, "Cannot use this method with an api key")
    if call.user.status != "guest":
        call.accounts.log_out(call.sid, address=call.incoming.address)
        call.cookies |= {"pwg_id": None, "pwg_remember": None}
    return True


async def _get_status(call: Call) -> dict[str, object]:
    status: dict[str, object] = {
        "username": call.user.name,
        "status": call.user.status,
        "theme": "default",
        "language": "en_UK",
        "pwg_token": call.accounts.token(call.sid),
        "charset": "utf-8",
        "current_datetime": php.now(),
        "version": call.release.version,
    }
    if not call.incoming.agent.startswith("PiwigoRemoteSync"):
        if call.release.major >= 14:
            status["save_visits"] = not call.user.is_admin
        if call.release.major >= 16:
            status["connected_with"] = call.connected_with
    if not call.incoming.agent.startswith("Apache-HttpClient/"):
        status["available_sizes"] = _SIZES
    if call.user.is_admin:
        status["upload_file_types"] = ",".join(call.gallery.file_types)
        status["upload_form_chunk_size"] = call.backend.chunk_kb
    return status


async def _get_version(call: Call) -> str:
    return call.release.version


async def _plugins(call: Call) -> list[dict[str, object]]:
    active = ["community"] if call.backend.plugin else []
    active += ["piwigo-openstreetmap"] if call.backend.map_plugin else []
    row: dict[str, object] = {"version": "auto", "state": "active", "description": ""}
    return [{"id": plugin, "name": plugin, **row} for plugin in active]


async def _method_list(call: Call) -> dict[str, object]:
    plugin = call.backend.plugin.names if call.backend.plugin else ()
    names = [*plugin, *call.release.methods]
    return {"methods": [n for n in names if call.backend.only is None or n in call.backend.only]}


async def _method_details(call: Call) -> dict[str, object]:
    name = call.text("methodName")
    method = call.backend.methods.get(name)
    if method is None:
        raise Refusal(1003, "Requested method does not exist")
    params = []
    for key, param in method.params.items():
        shown: dict[str, object] = {
            "name": key,
            "optional": param.optional,
            "acceptArray": param.array or param.force,
            "type": param.type,
        }
        shown |= {"defaultValue": param.default} if param.default is not None else {}
        shown |= {"maxValue": param.max} if param.max is not None else {}
        shown |= {"info": param.info} if param.info else {}
        params.append(shown)
    flags = {"admin_only": method.admin, "post_only": method.post}
    return {
        "name": name,
        "description": method.description,
        "params": params,
        "options": {flag: True for flag, on in flags.items() if on} or [],
    }


def _check_caller(call: Call) -> None:
    """Raise `Refusal` unless the session was opened by the HTML login page."""
    if call.by_key or call.connected_with != "pwg_ui":
        raise Refusal(401, "Acces Denied")
    call.check_token()


async def _create(call: Call) -> dict[str, object]:
    _check_caller(call)
    days = call.number("duration")
    if not 1 <= days <= _LONGEST_DAYS:
        raise Refusal(400, f"Invalid duration max days is {_LONGEST_DAYS}")
    now = datetime.now()  # noqa: DTZ005 - the server's own time
    key = call.accounts.make_key(
        call.user,
        name=call.text("key_name"),
        duration=days,
        created_on=now.strftime(_TIME),
        expired_on=(now + timedelta(days=days)).strftime(_TIME),
    )
    return {
        "auth_key": key.pkid,
        "apikey_secret": key.secret,
        "apikey_name": key.name,
        "user_id": str(call.user.id),
        "created_on": key.created_on,
        "key_type": "api_key",
        "duration": days,
        "expired_on": key.expired_on,
    }


async def _get(call: Call) -> list[dict[str, object]]:
    _check_caller(call)
    return [_listed(k) for k in call.accounts.keys.values() if k.user == call.user]


def _listed(key: ApiKey) -> dict[str, object]:
    weeks, days = divmod(key.duration - 1, 7)
    parts = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((weeks, "week"), (days, "day")) if n]
    return {
        "auth_key": key.pkid,
        "apikey_secret": "*" * len(key.secret),
        "created_on": key.created_on,
        "duration": str(key.duration),
        "expired_on": key.expired_on,
        "apikey_name": key.name,
        "revoked_on": key.created_on if key.revoked else None,
        "last_used_on": None,
        "last_notified_on": None,
        "created_on_format": _long_date(key.created_on),
        "expired_on_format": _long_date(key.expired_on),
        "last_used_on_since": "Never",
        "is_expired": False,
        "expiration": f"{key.duration} days",
        "expired_on_since": f"{' '.join(parts)} in the future",
        "revoked_on_since": None,
        "revoked_on_message": None,
    }


def _long_date(text: str) -> str:
    date = datetime.strptime(text, _TIME)  # noqa: DTZ007 - the server's own time
    return f"{date:%B} {date.day}, {date.year}"


async def _revoke(call: Call) -> str:
    _check_caller(call)
    key = call.accounts.keys.get(call.text("pkid"))
    if key is None:
        raise Refusal(403, "Invalid pkid format")
    key.revoked = True
    return "API Key has been successfully revoked."


async def _auth_key(_call: Call) -> object:
    raise Refusal(403, "invalid user_id")


async def _user_list(call: Call) -> dict[str, object]:
    users: list[dict[str, object]] = [
        {
            "id": user.id,
            "username": user.name,
            "email": f"{user.name}@example.org" if user.password else None,
            "status": user.status,
            "level": "8" if user.is_admin else "0",
            "groups": [],
        }
        for user in sorted([GUEST, *call.accounts.users.values()], key=lambda u: u.id)
    ]
    paging = {"page": 0, "per_page": 100, "count": len(users), "total_count": 0}
    return {"paging": paging, "users": users}


_KEY = {"key_name": REQUIRED, "duration": Param("int positive"), "pwg_token": REQUIRED}
_PKID = {"pkid": REQUIRED, "pwg_token": REQUIRED}
_USER = {"user_id": Param("int positive notnull", optional=False)}
SESSION_METHODS = {
    "pwg.session.login": Method(_login, {"username": REQUIRED, "password": TEXT}, post=True),
    "pwg.session.logout": Method(_logout),
    "pwg.session.getStatus": Method(_get_status),
    "pwg.getVersion": Method(_get_version),
    "pwg.plugins.getList": Method(_plugins, admin=True),
    "reflection.getMethodList": Method(_method_list),
    "reflection.getMethodDetails": Method(_method_details, {"methodName": REQUIRED}),
    "pwg.users.api_key.create": Method(_create, _KEY, post=True),
    "pwg.users.api_key.get": Method(_get, {"pwg_token": REQUIRED}, post=True),
    "pwg.users.api_key.revoke": Method(_revoke, _PKID, post=True),
    "pwg.users.getAuthKey": Method(_auth_key, _USER, admin=True, no_key=True),
    "pwg.users.getList": Method(_user_list, admin=True),
}
