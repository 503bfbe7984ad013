"""Sends the recorded requests of one topic to a server and notes where its answers differ.

It knows the format of the transcripts, and must not know which server answers.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from tests.contract.matching import Bindings, album_names, first_albums
from tests.contract.wire import Answer, Wire

# What the topic uploadasync leaves behind: a letter of the sum, chunk, chunks.
_STRAY_CHUNKS = (("a", "3", "3"), ("b", "0", "2"), ("b", "1", "2"))


@dataclass(slots=True)
class Replay:
    """One replay of one topic: bindings, and the differences found.

    `look` compares a server_state with the server; None where the server cannot be looked into.
    """

    wire: Wire
    look: Callable[["Replay", dict[str, Any]], list[str]] | None = None
    bindings: Bindings = field(default_factory=Bindings)
    last_photo: int = 0
    last_sum: str = ""
    strangers: set[int] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)

    async def delete_photos(self) -> None:
        """Delete the photos that the topic has made so far."""
        await self.wire.call("setup", "pwg.images.emptyLounge")
        ids = [v for name, v in self.bindings.values.items() if name.startswith("photo")]
        token = self.bindings.values["token:setup"]
        fields = {"image_id": ",".join(ids), "pwg_token": token}
        await self.wire.call("setup", "pwg.images.delete", **fields)

    async def clean_up(self) -> None:
        """Leave a real gallery as it was: without what the topic has made."""
        await self.delete_photos()
        sums = ",".join(
            hashlib.md5(content).hexdigest() for content in self.wire.payloads.values()
        )
        token = self.bindings.values["token:setup"]
        while True:
            found = await self.wire.call("setup", "pwg.images.exist", md5sum_list=sums)
            ids = ",".join(photo_id for photo_id in found.values() if photo_id)
            if not ids:
                break
            await self.wire.call("setup", "pwg.images.delete", image_id=ids, pwg_token=token)
        for name, value in self.bindings.values.items():
            if name.startswith("album"):
                fields = {"category_id": value, "pwg_token": token}
                await self.wire.call("setup", "pwg.categories.delete", **fields)
        listed = await self.wire.call("setup", "pwg.tags.getAdminList")
        made = [tag["id"] for tag in listed["tags"] if tag["name"].startswith("contract ")]
        for tag_id in made:
            fields = {"tag_id[]": tag_id, "pwg_token": token}
            await self.wire.call("setup", "pwg.tags.delete", **fields)
        for total, chunk, chunks in _STRAY_CHUNKS:
            # A chunk whose sum is wrong is deleted, and so is the one that lies there.
            fields = {"chunk": chunk, "chunks": chunks, "original_sum": total * 32}
            fields |= {"chunk_sum": "no sum", "filename": "x.jpg", "username": "x"}
            await self.wire.call("setup", "pwg.images.uploadAsync", **fields)

    async def start(self, steps: list[dict[str, Any]]) -> None:
        """Make the albums and tags that the topic starts with."""
        self.bindings.values["token:setup"] = await self.wire.log_in("setup")
        listed = await self.wire.call("setup", "pwg.categories.getAdminList")
        self.strangers = {int(album["id"]) for album in listed["categories"]}
        names = album_names(steps)
        for name in first_albums(steps, "album"):
            made = await self.wire.call("setup", "pwg.categories.add", name=names.get(name, name))
            self.bindings.values[name] = str(made["id"])
        for name in first_albums(steps, "tag"):
            made = await self.wire.call("setup", "pwg.tags.add", name=f"contract {name}")
            self.bindings.values[name] = str(made["id"])

    async def step(self, number: int, step: dict[str, Any]) -> None:
        """Send one request, or look at the server, and compare."""
        found: list[str] = []
        if "response" in step:
            request = step.get("request", {})
            answer = await (self._send_recorded(request) if request else self._send_latin1())
            found = self._compare(step["response"], answer)
            self._remember(request, answer)
        if "server_state" in step and self.look is not None:
            found += self.look(self, step["server_state"])
        note = f" ({step['note']})" if "note" in step else ""
        self.differences += [f"step {number}{note}: {line}" for line in found]

    # -- sending ---------------------------------------------------------------------------

    async def _send_recorded(self, request: dict[str, Any]) -> Answer:
        path = self.bindings.fill(request["path"].lstrip("/"))
        if "characters>" in path:
            sums = ",".join(hashlib.md5(str(i).encode()).hexdigest() for i in range(300))
            path = path[: path.index("md5sum_list=")] + f"md5sum_list={quote(sums, safe='')}"
        fields = [(n, self.bindings.fill(self._whole(n, v))) for n, v in request.get("fields", [])]
        headers = {n: self.bindings.fill(v) for n, v in request.get("headers", {}).items()}
        body: str | bytes | None = None
        if request.get("encoding") == "urlencoded":
            body = urlencode(fields)
        elif request.get("encoding") == "multipart":
            body = self.wire.multipart(
                [(n, v.encode()) for n, v in fields], file=request.get("file")
            )
        return await self.wire.send(
            request["http_method"], path, jar=request["session"], body=body, headers=headers
        )

    async def _send_latin1(self) -> Answer:
        """Send the one request that is not recorded as such: its name is not UTF-8."""
        token, album = (self.bindings.values[name] for name in ("token:A", "album1"))
        fields = {"method": "pwg.images.upload", "category": album, "pwg_token": token}
        pairs = [(name, value.encode()) for name, value in fields.items()]
        content = self.wire.payloads["e.jpg"]
        file = {"payload": "e.jpg", "offset": 0, "length": len(content), "field": "file"}
        file |= {"filename": "blob", "content_type": "application/octet-stream"}
        body = self.wire.multipart([*pairs, ("name", b"latin1 \xe9.jpg")], file=file)
        self.last_sum = hashlib.md5(content).hexdigest()
        return await self.wire.send("POST", "ws.php?format=json", jar="A", body=body)

    def _whole(self, name: str, value: str) -> str:
        """Restore the base64 that the transcript shortens: a block of three.jpg."""
        if name != "data" or "characters>" not in value:
            return value
        blocks = [self.wire.payloads["three.jpg"][at : at + 4096] for at in (0, 4096)]
        texts = [base64.b64encode(block).decode() for block in blocks]
        return next(text for text in texts if text.startswith(value[:60]))

    # -- comparing -------------------------------------------------------------------------

    def _compare(self, expected: dict[str, Any], answer: Answer) -> list[str]:
        found = [
            f"{what}: recorded {recorded!r}, came {came!r}"
            for what, recorded, came in (
                ("status", expected["status"], answer.status),
                ("type", expected["content_type"], answer.content_type),
                ("cookies", set(expected.get("set_cookie") or ()), answer.cookies),
            )
            if recorded != came
        ]
        if "body_text" in expected:
            return found + self.bindings.text_differences(expected["body_text"], answer.text)
        try:
            body = json.loads(answer.text)
        except ValueError:
            return [*found, f"recorded {expected['body_json']}, came {answer.text!r}"]
        recorded = self._comparable(expected["body_json"], strangers=None)
        return found + self.bindings.differences(
            recorded, self._comparable(body, strangers=self.strangers)
        )

    def _comparable(self, body: Any, *, strangers: set[int] | None) -> Any:  # noqa: ANN401
        """Leave out what depends on what else is in a gallery.

        That is albums that were there before (in a transcript those without a placeholder), keys
        that were revoked, and the order of the lounge's rows and of photos uploaded in a second.
        """
        result = body.get("result")
        if isinstance(result, list):
            return body | {"result": _own(result, strangers)}
        if isinstance(result, dict) and "categories" in result and "paging" not in result:
            return body | {
                "result": result | {"categories": _own(result["categories"], strangers)}
            }
        for key in ("rows", "images"):
            if isinstance(result, dict) and result.get(key):
                rows = sorted(result[key], key=lambda row: self.bindings.fill(_id(row)))
                return body | {"result": result | {key: rows}}
        return body

    def _remember(self, request: dict[str, Any], answer: Answer) -> None:
        """Note which photo a server_state would speak of."""
        if file := request.get("file"):
            self.last_sum = file["md5"]
        fields = dict(request.get("fields", []))
        asked = self.bindings.fill(fields.get("image_id", ""))
        found = re.search(r'"result":\{"(?:image_)?id":"?(\d+)', answer.text)
        if asked.isdigit():
            self.last_photo = int(asked)
        elif found:
            self.last_photo = int(found[1])


def _own(rows: list[dict[str, Any]], strangers: set[int] | None) -> list[dict[str, Any]]:
    def is_stranger(row: dict[str, Any]) -> bool:
        number = str(row.get("id", ""))
        if strangers is None or not number.isdigit():
            return number.isdigit() or bool(row.get("revoked_on"))
        return int(number) in strangers

    return [row for row in rows if not is_stranger(row)]


def _id(row: dict[str, Any]) -> str:
    return str(row.get("id", row))
