"""The recorded exchanges of five Piwigo releases, sent again to the sandbox and to a real server.

The real server is named by BULKUP_TEST_URL, BULKUP_TEST_USER and BULKUP_TEST_PASSWORD; its
version picks the transcripts.
"""

import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bulkup.sandbox import Sandbox
from bulkup.sandbox.gallery import Gallery, StoredPhoto
from tests.contract.replay import Replay
from tests.contract.wire import Wire
from tests.support.runs import Clock

_FOLDER = Path(__file__).parent / "transcripts"
_VERSIONS = ("13.8.0", "14.5.0", "15.7.0", "16.4.0", "17.0.0beta1")
# Some of these were left as they came.
_COMMENT_KEY = re.compile(r"\d{10}(?:\.\d+)?:2:[0-9a-f]{32}")
_RECORDED = sorted((path.parent.name, path.stem) for path in _FOLDER.glob("*/*.json"))
_TOPICS = sorted(path.stem for path in (_FOLDER / "16.4.0").glob("*.json"))
# What the recorder did without writing it down, by what stands in the server_state before it.
_THEN_DELETED = {
    "names": '"db_row"',
    "wrong-type": '"db_row"',
    "wrong-type-all-types": '"db_row"',
    "stale-part": '"stored_file"',
    "same-name-interleaved": "the buffer is shared over sessions too",
}
_THEN_EMPTIED = {"same-name-interleaved": "photo 1 as stored"}


Recorded = Mapping[tuple[str, str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return {
        (path.parent.name, path.stem): json.loads(
            _COMMENT_KEY.sub("<comment key>", path.read_text(encoding="utf-8"))
        )["steps"]
        for path in _FOLDER.glob("*/*.json")
    }


@pytest.fixture(scope="module")
def payloads() -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in (_FOLDER / "payloads").iterdir()}


# These need other addresses of this machine that reach the server.
_OTHER_ADDRESSES = dict.fromkeys(("other client address", "client address differs"), "one address")


async def _open(replay: Replay, topic: str, steps: list[dict[str, Any]]) -> None:
    """Make the sessions that the topic starts with."""
    await replay.start(steps)
    shown = {"session": {"A", "B"}, "php-messages-shown": {"A"}}.get(topic, set())
    used = {step["request"]["session"] for step in steps if "request" in step}
    for jar in sorted(used & {"A", "B", "C", "K"} - shown):
        replay.bindings.values[f"token:{jar}"] = await replay.wire.log_in(jar)
    replay.wire.jars["K-old"] = dict(replay.wire.jars.get("K", {}))
    replay.wire.jars["X"] = {"pwg_id": "nosuchsession0123456789abc"}


async def _between(replay: Replay, step: dict[str, Any]) -> None:
    """Do what the recorder did on the server before this step."""
    note = step.get("note", "")
    if "the session is removed" in note:
        await replay.wire.end_session("A")
    if "session U: logged in through" in note:
        await replay.wire.log_in_by_page("U")
    if "replace the file of an existing photo" in note:
        await replay.wire.call("setup", "pwg.images.emptyLounge")
    replay.wire.addresses["C"] = {
        "same cookie, other client address, same first two octets": "127.0.0.2",
        "same cookie, client address differs in the second octet: treated as guest": "127.1.0.1",
    }.get(note, "")


async def _run(
    replay: Replay,
    topic: str,
    steps: list[dict[str, Any]],
    *,
    left_out: Mapping[str, str],
    before: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    await _open(replay, topic, steps)
    for number, step in enumerate(steps):
        if any(part in json.dumps(step) for part in left_out):
            continue
        await _between(replay, step)
        await before(step)
        await replay.step(number, step)
        seen = json.dumps(step.get("server_state", ""))
        if _THEN_DELETED.get(topic, "never") in seen:
            await replay.delete_photos()
        elif _THEN_EMPTIED.get(topic, "never") in seen:
            await replay.wire.call("setup", "pwg.images.emptyLounge")


@pytest.mark.parametrize(("version", "topic"), _RECORDED)
async def test_the_sandbox_answers_as_the_real_one(
    version: str, topic: str, payloads: Mapping[str, bytes], recorded: Recorded
) -> None:
    steps = recorded[version, topic]
    clock = Clock()
    types = {"wrong-type-all-types": _all_types(version)}.get(topic)
    shown = topic == "php-messages-shown"
    async with (
        Sandbox(
            version=version, albums=(), clock=clock, file_types=types, show_errors=shown
        ) as box,
        Wire(box.url, payloads, ("admin", "secret")) as wire,
    ):
        replay = Replay(wire, look=partial(look, box))
        left_out = {} if sys.platform == "linux" else _OTHER_ADDRESSES

        async def before(step: dict[str, Any]) -> None:
            note = step.get("note", "")
            if "waited more than 5 minutes" in note:
                clock.now += 301
            if "another request is emptying" in note:
                box.gallery.lounge_emptied_since = clock()
            elif step is steps[-1]:
                box.gallery.lounge_emptied_since = None

        await _run(replay, topic, steps, left_out=left_out, before=before)
    assert not replay.differences, "\n".join(replay.differences)


def _all_types(version: str) -> list[str]:
    webp, heic = ("", "") if version.startswith("13") else (",webp", ",heic")
    return f"jpg,jpeg,png,gif{webp},tiff,tif,mpg,zip,avi,mp3,ogg,pdf,svg{heic}".split(",")


# what the sandbox holds, compared with a recorded server_state


# Told for the reader, or sums already compared: `stored_file` is what is looked at.
_REMARKS = {
    *("expected", "equal", "comment", "server_limits", "post_with_sums", "status", "answered")
}


def look(box: Sandbox, replay: Replay, state: dict[str, Any]) -> list[str]:
    """Compare each fact of a server_state; the order of rows is the database's affair."""

    def ordered(value: Any) -> Any:  # noqa: ANN401
        rows = isinstance(value, list)
        return sorted(value, key=lambda row: replay.bindings.fill(str(row))) if rows else value

    found = []
    for fact, expected in state.items():
        if fact not in _REMARKS:
            came = ordered(_fact(box, replay, fact, expected))
            found += replay.bindings.differences(ordered(expected), came, where=fact)
    return found


def _fact(box: Sandbox, replay: Replay, fact: str, expected: Any) -> Any:  # noqa: ANN401
    if fact in _OF_PHOTO:
        photo = box.gallery.photos.get(replay.last_photo)
        return _OF_PHOTO[fact](box, photo, expected) if photo else "no photo"
    if fact in _OF_SUM and (fact != "rows" or not expected):
        photos = box.gallery.photos.values()
        return _OF_SUM[fact]([p for p in photos if p.md5 == replay.last_sum])
    if fact in _LINKS:
        # The recorder looked at the rows of some photos only.
        named = {replay.bindings.fill(str(row[0])) for row in expected}
        return [row for row in _LINKS[fact](box.gallery) if row[0] in named or not named]
    return _OF_GALLERY[fact](box.gallery)


def _column(photo: Any, column: str) -> str:  # noqa: ANN401
    value = getattr(photo, {"md5sum": "md5", "filesize": "size"}.get(column, column))
    if column == "filesize":
        value //= 1024
    if value is None:
        return "<NULL>" if re.search("_ext$", column) else "NULL"
    return str(value)


_OF_PHOTO: dict[str, Callable[[Sandbox, StoredPhoto, Any], object]] = {
    "stored_file": lambda box, photo, _: {
        "length": (content := box.gallery.contents[photo.path]).size,
        "md5": content.md5,
    },
    "db_row": lambda _, photo, row: {column: _column(photo, column) for column in row},
    "stored_extension": lambda _, photo, __: photo.path.rpartition(".")[2],
    "tags": lambda _, photo, __: [str(tag) for tag in photo.tags],
    "photos_with_this_sum": lambda box, photo, _: sum(
        other.md5 == photo.md5 for other in box.gallery.photos.values()
    ),
    "rows_hex": lambda _, photo, __: [
        [text.encode().hex().upper() for text in (photo.file, photo.name)]
    ],
}
_OF_SUM: dict[str, Callable[[list[StoredPhoto]], object]] = {
    "photo_saved": bool,
    "rows": lambda same: [photo.file for photo in same],
    "albums": lambda same: [str(album) for photo in same[-1:] for album in photo.albums],
}
_OF_GALLERY: dict[str, Callable[[Gallery], object]] = {
    "buffer": lambda gallery: [f"{name} {size}" for name, size in gallery.buffers.items()],
    "rows": lambda gallery: [
        [str(a.id), a.name, a.uppercats, str(a.parent or "NULL"), a.status]
        for a in gallery.albums.values()
    ],
}
_LINKS: dict[str, Callable[[Gallery], list[list[str]]]] = {
    "lounge": lambda gallery: [[str(p), str(a)] for p, a in gallery.lounge],
    "lounge_rows": lambda gallery: [[str(p), str(a)] for p, a in gallery.lounge],
    "image_category": lambda gallery: [
        [str(p.id), str(a)] for p in gallery.photos.values() for a in p.albums
    ],
}


# the same on a real server


_NOT_ON_A_REAL_SERVER = {
    "php-messages-shown": "needs PHP to display its messages",
    "wrong-type-all-types": "needs upload_form_all_types in the gallery's configuration",
}
# By a part of the step: why it is left out.
_STEPS_NOT_ON_A_REAL_SERVER = {
    '"moved_from_lounge": null': "needs a second request at the right moment",
    '"rows": null': "the same",
    '"add_status": "update"': "of two photos of one name the database picks one",
}


@pytest.mark.parametrize("topic", _TOPICS)
async def test_a_real_server_still_answers_so(
    topic: str, payloads: Mapping[str, bytes], recorded: Recorded
) -> None:
    url, user, password = (os.environ.get(f"BULKUP_TEST_{n}") for n in ("URL", "USER", "PASSWORD"))
    if not (url and user and password):
        pytest.skip("no BULKUP_TEST_URL, BULKUP_TEST_USER and BULKUP_TEST_PASSWORD")
    if topic in _NOT_ON_A_REAL_SERVER:
        pytest.skip(_NOT_ON_A_REAL_SERVER[topic])
    async with Wire(f"{url.rstrip('/')}/", payloads, (user, password)) as wire:
        replay = Replay(wire)
        near = sys.platform == "linux" and (urlsplit(url).hostname or "").startswith("127.")
        version = str(await wire.call(None, "pwg.getVersion"))
        same = [v for v in _VERSIONS if v.split(".")[0] == version.split(".", maxsplit=1)[0]]
        if not same or (same[0], topic) not in recorded:
            pytest.skip(f"nothing was recorded of Piwigo {version}")

        async def before(step: dict[str, Any]) -> None:
            if "waited more than 5 minutes" in step.get("note", ""):
                await replay.wire.call("setup", "pwg.images.emptyLounge")

        try:
            await _run(
                replay,
                topic,
                recorded[same[0], topic],
                left_out=_STEPS_NOT_ON_A_REAL_SERVER | ({} if near else _OTHER_ADDRESSES),
                before=before,
            )
        finally:
            await replay.clean_up()
    assert not replay.differences, "\n".join(replay.differences)
