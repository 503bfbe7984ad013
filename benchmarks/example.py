"""The loop of Piwigo's own example for `pwg.images.upload`: photo after photo, in chunks.

The original is the Perl script in Piwigo's documentation of the method. Arguments: address, album;
the names of the files come on standard input.
"""

import os
import sys
from pathlib import Path

import requests

CHUNK = 500_000


def upload(url: str, album: str, names: list[str]) -> None:
    """Log in, send each file in chunks of 500,000 bytes, one after the other, log out."""
    call = f"{url}ws.php?format=json"
    with requests.Session() as session:
        login = {"method": "pwg.session.login", "username": "admin", "password": "secret"}
        session.post(call, data=login).raise_for_status()
        status = session.post(call, data={"method": "pwg.session.getStatus"}).json()
        token = status["result"]["pwg_token"]
        for name in names:
            content = Path(name).read_bytes()
            chunks = -(-len(content) // CHUNK)
            for chunk in range(chunks):
                answer = session.post(
                    call,
                    data={
                        "method": "pwg.images.upload",
                        "chunk": chunk,
                        "chunks": chunks,
                        "category": album,
                        "pwg_token": token,
                        "name": Path(name).name,
                    },
                    files={"file": content[chunk * CHUNK : (chunk + 1) * CHUNK]},
                )
                answer.raise_for_status()
        session.post(call, data={"method": "pwg.session.logout"})


if __name__ == "__main__":
    upload(sys.argv[1], sys.argv[2], os.fsdecode(sys.stdin.buffer.read()).split("\0")[:-1])
