"""pwg.session.*, pwg.getVersion and reflection.*: who am I, and what is there."""

from bulkup.sandbox import php
from bulkup.sandbox.answers import Refusal
from bulkup.sandbox.calls import REQUIRED, TEXT, Call, Method

_SIZES = ["square", "thumb", "2small", "xsmall", "small", "medium", "large", "xlarge", "xxlarge"]


async def _login(call: Call) -> bool:
    if call.by_key:
        raise Refusal(401, "Cannot use this method with an api key")
    log_in(call, call.text("username"), call.text("password"), by="ws_session_login")
    return True


def log_in(call: Call, name: str, password: str, *, by: str) -> None:
    """Give the caller a new session in place of the old one, or refuse."""
    sid = call.accounts.log_in(name, password, old_sid=call.sid, address=call.address, by=by)
    if sid is None:
        raise Refusal(999, "Invalid username/password")
    call.cookies |= {"pwg_remember": None, "pwg_id": sid}
    call.sid = sid
    session = call.accounts.session(sid, address=call.address)
    if session:
        call.user, call.connected_with = session.user, session.connected_with


async def _logout(call: Call) -> bool:
    if call.by_key:
        raise Refusal(401, "Cannot use this method with an api key")
    if call.user.status != "guest":
        call.accounts.log_out(call.sid, address=call.address)
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
    if not call.agent.startswith("PiwigoRemoteSync"):
        if call.release.major >= 14:
            status["save_visits"] = not call.user.is_admin
        if call.release.major >= 16:
            status["connected_with"] = call.connected_with
    if not call.agent.startswith("Apache-HttpClient/"):
        status["available_sizes"] = _SIZES
    if call.user.is_admin:
        status["upload_file_types"] = ",".join(call.gallery.file_types)
        status["upload_form_chunk_size"] = call.chunk_kb
    return status


async def _get_version(call: Call) -> str:
    return call.release.version


async def _method_list(call: Call) -> dict[str, object]:
    return {"methods": [n for n in call.release.methods if call.only is None or n in call.only]}


async def _method_details(call: Call) -> dict[str, object]:
    name = call.text("methodName")
    method = call.methods.get(name)
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


def methods() -> dict[str, Method]:
    """List the methods of this topic."""
    return {
        "pwg.session.login": Method(_login, {"username": REQUIRED, "password": TEXT}, post=True),
        "pwg.session.logout": Method(_logout),
        "pwg.session.getStatus": Method(_get_status),
        "pwg.getVersion": Method(_get_version),
        "reflection.getMethodList": Method(_method_list),
        "reflection.getMethodDetails": Method(_method_details, {"methodName": REQUIRED}),
    }
