"""pwg.tags.*: add, list and delete."""

import re
import unicodedata

from bulkup.sandbox import php
from bulkup.sandbox.calls import REQUIRED, SWITCH, Call, Method, Param
from bulkup.sandbox.methods.photos import tag_row
from bulkup.sandbox.php import Refusal

_SAME = str.maketrans("ßı", "si")
_SHORT_I = "и\u0306"


async def _add(call: Call) -> dict[str, object]:
    name = call.text("name")
    if call.release.major >= 14:
        name = php.strip_tags(name)
    if any(_compared(tag.name) == _compared(name) for tag in call.gallery.tags.values()):
        raise Refusal(1003, f'Tag "{name}" already exists')
    tag = call.gallery.add_tag(name, url_name=_url_name(name))
    return {
        "info": f'Tag "{name}" has been added',
        "id": tag.id,
        "name": tag.name,
        "url_name": tag.url_name,
    }


def _compared(text: str) -> str:
    """Return what the database compares (utf8_general_ci): no case, few accents."""
    letters = unicodedata.normalize("NFD", text.lower().translate(_SAME)).replace(_SHORT_I, "й")
    return "".join(c for c in letters if not "\u0300" <= c <= "\u036f").rstrip()


def _url_name(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).lower()
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    text = re.sub(r"[^\x80-\uffffa-z0-9_\s':/\[\],-]", "", plain)
    return re.sub(r"[\s':/\[\],-]+", " ", text.strip()).replace(" ", "_")


async def _get_admin_list(call: Call) -> dict[str, object]:
    tags = []
    for tag in sorted(call.gallery.tags.values(), key=lambda t: t.name.lower()):
        row = {
            "id": str(tag.id),
            "name": tag.name,
            "url_name": tag.url_name,
            "lastmodified": tag.lastmodified,
        }
        tags.append(row | ({"name_raw": tag.name} if call.release.major >= 16 else {}))
    return {"tags": tags}


async def _get_list(call: Call) -> dict[str, object]:
    used = [
        (tag, sum(tag.id in p.tags for p in call.gallery.photos.values()))
        for tag in call.gallery.tags.values()
    ]
    key = (lambda u: -u[1]) if call.params["sort_by_counter"] else (lambda u: u[0].name.lower())
    rows = [
        tag_row(call, tag) | {"counter": count} for tag, count in sorted(used, key=key) if count
    ]
    return {"tags": rows}


async def _delete(call: Call) -> dict[str, object]:
    call.check_token()
    ids = call.numbers("tag_id")
    if not set(ids) <= call.gallery.tags.keys():
        raise Refusal(1003, "All tags does not exist.")
    for tag_id in ids:
        del call.gallery.tags[tag_id]
    return {"id": ids}


_TAG_IDS = Param("int positive notnull", optional=False, force=True)
TAG_METHODS = {
    "pwg.tags.add": Method(_add, {"name": REQUIRED}, admin=True),
    "pwg.tags.getAdminList": Method(_get_admin_list, admin=True),
    "pwg.tags.getList": Method(_get_list, {"sort_by_counter": SWITCH}),
    "pwg.tags.delete": Method(_delete, {"tag_id": _TAG_IDS, "pwg_token": REQUIRED}, admin=True),
}
