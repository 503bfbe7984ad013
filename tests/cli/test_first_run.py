"""Errors of a first run: each says what happened and what to do."""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from bulkup.sandbox import Sandbox
from tests.support.certificates import encrypted, make_certificate
from tests.support.commands import (
    COMMAND,
    PASSWORD,
    Ended,
    bulkup,
    environment,
    needs,
    one_photo,
    send,
)
from tests.support.photos import write_files
from tests.support.raw import Connection, answering, raw_server


def said(ended: Ended, *, code: int) -> tuple[str, str]:
    """Return what happened and what to do, which are the last two lines."""
    assert ended.code == code, ended.err
    *_, what, hint = ended.err.splitlines()
    assert re.match("bulkup: [^ ]", what)
    assert re.match("  [A-Z].*[.]$", hint)
    return what.removeprefix("bulkup: "), hint.strip()


# the address


async def test_https_to_a_server_without_tls_is_explained(box: Sandbox, photos: Path) -> None:
    url = box.url.replace("http:", "https:")
    for typed in (url, urlsplit(url).netloc):
        what, hint = said(await send(box, photos, url=typed), code=3)
        assert what.startswith(f"no secure connection to {url}")
        assert "not permitted" not in what
        assert "needs http:// in front" in hint


async def test_http_to_a_server_with_tls_only_is_explained(box: Sandbox, photos: Path) -> None:
    for words in (
        b"<h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port",
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.",
    ):
        async with raw_server(answering("400 Bad Request", words)) as raw:
            what, hint = said(await send(box, photos, url=raw.url), code=3)
        assert what == f"{raw.url} accepts TLS only"
        assert hint == "A gallery with TLS needs https:// in front of its address."


@pytest.mark.usefixtures("no_pauses")
async def test_lost_connections_are_explained(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    what, hint = said(await send(box, photos, url="http://127.0.0.1:9/"), code=3)
    assert what.startswith("no connection to http://127.0.0.1:9/: ")
    assert "Check the address and the network." in hint
    async with encrypted(box, make_certificate(tmp_path)) as url:
        plain = url.replace("https:", "http:")
        what, hint = said(await send(box, photos, url=plain), code=3)
    assert what.startswith(f"{plain} can't be reached")
    assert "A gallery with TLS needs https:// in front." in hint


# the account


@pytest.mark.parametrize(
    ("given", "what", "hint"),
    [
        (
            "password=wrong",
            "log-in as admin at {url} failed: the server refuses: Invalid username/password",
            "Check the user name and the password. .* two-factor log-in needs an API key",
        ),
        (
            "user=bob password=bobsecret",
            "bob is not an administrator of {url}",
            "Log in as an administrator or webmaster, or as a user whom .* lets upload[.]",
        ),
        ("api_key=pkid-1:wrong user= password=", "the server does not accept", ".*profile"),
        ("album=999", "there is no album 999 at {url}", ".*NUMBER, and in .*bulkup albums"),
    ],
)
async def test_refusals_of_the_gallery_are_explained(
    box: Sandbox, photos: Path, given: str, what: str, hint: str
) -> None:
    settings = dict(setting.split("=") for setting in given.split())
    reported = said(await send(box, photos, **settings), code=3)
    assert reported[0].startswith(what.format(url=box.url))
    assert re.match(hint, reported[1])


async def test_an_account_with_two_factors_needs_an_api_key(photos: Path) -> None:
    guest = b'{"stat": "ok", "result": {"username": "guest", "status": "guest", "version": "16"}}'

    async def handle(connection: Connection) -> None:
        while True:
            if (await connection.receive()).head.startswith("POST"):
                # as Piwigo's plugin does, by its page for the code
                await connection.answer("302 Found", b"", "Location: identification.php?tf")
            else:
                await connection.answer("200 OK", guest)

    async with raw_server(handle) as raw:
        settings = {"url": raw.url, "user": "admin", "password": PASSWORD, "album": "1"}
        what, hint = said(await bulkup(photos, **settings), code=3)
    assert what == "this account has two-factor log-in, which a program can't complete"
    assert hint.startswith("Create an API key on the account's profile page")


# certificates


async def test_own_certificates_are_trusted(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    async with encrypted(box, make_certificate(tmp_path)) as url:
        what, hint = said(await send(box, photos, url=url), code=3)
        assert what == f"no secure connection to {url}: self-signed certificate"
        assert "--ca-cert" in hint
        assert "--insecure" in hint
        ended = await send(box, photos, "--ca-cert", tmp_path / "cert", url=url)
        assert ended.code == 0
        assert "certificate" not in ended.err


async def test_insecure_skips_verification(box: Sandbox, photos: Path, tmp_path: Path) -> None:
    warning = "the server's certificate is not verified (--insecure)"
    async with encrypted(box, make_certificate(tmp_path, host="127.0.0.2")) as url:
        ended = await send(box, photos, "--ca-cert", tmp_path / "cert", url=url)
        what, hint = said(ended, code=3)
        assert "mismatch" in what
        assert hint == "Give the address that the certificate is for as --url."
        for arguments in ((photos, "--insecure"), (photos, "--insecure"), ("albums",)):
            ended = await send(box, *arguments, url=url, insecure="1")
            assert ended.code == 0
            assert ended.err.count(warning) == 1
        ended = await send(box, "doctor", "--insecure", url=url)
        assert "! TLS          TLS 1.3, but the certificate was not verified" in ended.out


# albums and photos


async def test_an_empty_folder_is_reported_and_no_failure(box: Sandbox, tmp_path: Path) -> None:
    for command, words in (
        ([], "There was nothing to upload: no files were found. Check the path."),
        (["verify"], "There was nothing to check: no files were found."),
    ):
        ended = await send(box, *command, tmp_path)
        assert ended.code == 0
        assert words in ended.err


async def test_file_types_that_the_gallery_does_not_take_are_reported(photos: Path) -> None:
    write_files(photos, "a.NEF", "alone.nef", "b.xyz")
    async with Sandbox(admin=("admin", PASSWORD), formats=["nef"]) as box:
        for flags, formats in ((["--dry-run"], []), ([], ["nef"])):
            ended = await send(box, photos, "--raw-as-format", *flags)
            assert ended.code == 0
            assert [row.extension for row in box.gallery.formats.of(1)] == formats
            assert "1 .nef, 1 .xyz: types this gallery does not accept" in ended.err
            assert "upload_form_all_types" in ended.err


async def as_anybody(box: Sandbox, *arguments: str | Path) -> Ended:
    """Run the command as somebody to whom file modes apply, which root is not otherwise."""
    prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and setpriv is not there to hinder it")
    command = [*(prefix if os.geteuid() == 0 else ()), *COMMAND, *map(str, arguments)]
    done = await anyio.run_process(command, env=environment(needs(box)), check=False)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


async def test_paths_without_permission_are_named(
    box: Sandbox, photos: Path, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    one_photo(photos, "b.jpg")
    for folder in (photos / "c", locked):
        folder.mkdir(mode=0)
    (photos / "b.jpg").chmod(0)
    ended = await as_anybody(box, photos, locked)
    assert ended.code == 1
    assert len(box.gallery.photos) == 1
    for path in (photos / "b.jpg", photos / "c", locked):
        assert re.search(
            rf"failed: {path}\n  .*can't be read: Permission denied\n  Check its perm", ended.err
        )
    what, _ = said(await as_anybody(box, "--files-from", photos / "b.jpg"), code=2)
    assert what == f"--files-from {photos / 'b.jpg'}: Permission denied"
    locked.chmod(0o500)
    what, hint = said(await as_anybody(box, photos, "--ledger", locked / "ledger"), code=3)
    assert "ledger" in what
    assert "--ledger" in hint
