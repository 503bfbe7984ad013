"""Sends requests as a browser or a script would: cookie jars by name, forms, file parts.

It speaks plain HTTP through aiohttp and shares no code with bulkup's client.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp

_BOUNDARY = "bulkup-contract-tests"
_NO_COOKIES = {None, "none", "none2"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    status: int
    content_type: str
    cookies: set[str]
    text: str


@dataclass(slots=True)
class Wire:
    """The way to one server. A jar may send from an address of its own."""

    url: str
    payloads: Mapping[str, bytes]
    admin: tuple[str, str]
    jars: dict[str, dict[str, str]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    _sessions: dict[str, aiohttp.ClientSession] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for session in self._sessions.values():
            await session.close()

    async def call(self, jar: str | None, method: str, **fields: str) -> Any:  # noqa: ANN401
        """Do a call that is not recorded; its result."""
        answer = await self.send(
            "POST", "ws.php?format=json", jar=jar, body=urlencode({"method": method, **fields})
        )
        return json.loads(answer.text[answer.text.index('{"stat"') :]).get("result")

    async def log_in(self, jar: str) -> str:
        """Open a session and give its token."""
        name, password = self.admin
        await self.call(jar, "pwg.session.login", username=name, password=password)
        status = await self.call(jar, "pwg.session.getStatus")
        return str(status["pwg_token"])

    async def log_in_by_page(self, jar: str) -> None:
        """Open a session as a browser does, which alone may make API keys."""
        name, password = self.admin
        await self.send("GET", "identification.php", jar=jar)
        form = {"username": name, "password": password, "login": "1"}
        await self.send("POST", "identification.php", jar=jar, body=urlencode(form))

    async def end_session(self, jar: str) -> None:
        """End a jar's session behind its back: its cookie stays."""
        self.jars["behind"] = dict(self.jars[jar])
        await self.call("behind", "pwg.session.logout")

    def multipart(self, fields: list[tuple[str, bytes]], *, file: dict[str, Any] | None) -> bytes:
        """Form a multipart body; `file` tells the file part as the transcripts do."""
        parts = [
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
            + value
            for name, value in fields
        ]
        if file is not None:
            if file.get("generator") == "repeat":
                content = bytes.fromhex(file["byte"]) * file["length"]
            else:
                end = file["offset"] + file["length"]
                content = self.payloads[file["payload"]][file["offset"] : end]
            head = (
                f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{file["field"]}"; '
                f'filename="{file["filename"]}"\r\nContent-Type: {file["content_type"]}\r\n\r\n'
            )
            parts.append(head.encode() + content)
        return b"\r\n".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])

    async def send(
        self,
        verb: str,
        path: str,
        *,
        jar: str | None,
        body: str | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request with a jar's cookies, and keep those that come back."""
        headers = dict(headers or {})
        if isinstance(body, str):
            body = body.encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            headers["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}"
        cookies = {} if jar in _NO_COOKIES else self.jars.setdefault(str(jar), {})
        if cookies:
            headers["Cookie"] = "; ".join(f"{n}={v}" for n, v in cookies.items())
        data = io.BytesIO(body) if body is not None else None
        async with self._session(str(jar)).request(
            verb, f"{self.url}{path}", data=data, headers=headers, allow_redirects=False
        ) as came:
            for name, cookie in came.cookies.items():
                cookies[name] = cookie.value
                if cookie["max-age"] == "0" or cookie.value == "deleted":
                    del cookies[name]
            text = (await came.read()).decode("utf-8", "replace")
            header = came.headers.get("Content-Type", "")
            return Answer(came.status, header, set(came.cookies), text)

    def _session(self, jar: str) -> aiohttp.ClientSession:
        address = self.addresses.get(jar, "")
        if address not in self._sessions:
            local = (address, 0) if address else None
            self._sessions[address] = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(local_addr=local),
            )
        return self._sessions[address]
