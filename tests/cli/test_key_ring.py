"""The key ring, with a backend that stores it in a file."""

import importlib.util
import re
from pathlib import Path

import pytest

from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, Ended, bulkup, send
from tests.support.photos import files_in, write_files

BACKENDS = ("keyring", "keyrings.alt")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in BACKENDS), reason="keyring is optional"
)


@pytest.fixture(autouse=True)
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a key ring, still empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    return tmp_path / "data/python_keyring/keyring_pass.cfg"


def assert_missing(ended: Ended) -> None:
    assert ended.code == 2
    assert "the password is missing" in ended.err
    assert "bulkup login" in ended.err


async def test_a_password_is_stored_for_one_gallery_and_user_and_removed(
    box: Sandbox, photos: Path, ring: Path
) -> None:
    gallery = {"url": box.url, "user": "admin"}
    ended = await bulkup("login", given=f"{PASSWORD}\n", **gallery)
    assert ended.code == 0, ended.err
    assert f"{box.url} accepts the password of admin; stored in the key ring" in ended.out
    assert files_in(ring.parent)

    assert (await bulkup(photos, **gallery, album="1", finishing="1")).code == 0
    assert len(box.gallery.photos) == 1
    assert re.search("password  +••••  +key ring\n", (await bulkup("config", **gallery)).out)
    for url, user in ((f"{box.url}sub", "admin"), (box.url, "bob")):
        assert_missing(await bulkup(photos, url=url, user=user, album="1"))
    # every other source counts before the key ring
    assert (await send(box, photos, password="wrong")).code == 3

    ended = await bulkup("logout", **gallery)
    assert (ended.code, ended.out) == (0, f"Removed the secrets of {box.url}.\n")
    ended = await bulkup("logout", **gallery)
    assert (ended.code, ended.out) == (0, f"Nothing is stored for {box.url}.\n")
    assert_missing(await bulkup(photos, **gallery, album="1"))


async def test_an_api_key_is_stored_and_needs_no_user(box: Sandbox, photos: Path) -> None:
    key = ":".join(box.make_api_key())
    ended = await bulkup("login", given=key, url=box.url)
    assert ended.code == 0, ended.err
    assert f"{box.url} accepts an API key of admin" in ended.out
    assert key not in ended.out + ended.err
    ended = await bulkup(photos, "--dry-run", url=box.url, album="1")
    assert ended.code == 0, ended.err
    assert not any(seen.method == "pwg.session.login" for seen in box.requests)


async def test_a_refused_password_is_not_stored(box: Sandbox, ring: Path) -> None:
    for given, user, message, code in (
        ("wrong", "admin", "log-in as admin at", 3),
        ("bobsecret", "bob", "bob is not an administrator", 3),
        ("wrong", "", "the API key is invalid", 2),
        ("\n", "admin", "standard input is empty", 2),
    ):
        ended = await bulkup("login", given=given, url=box.url, user=user)
        assert ended.code == code
        assert message in ended.err
    assert not files_in(ring.parent)


@pytest.mark.parametrize("backend", ["fail", "null"])
async def test_a_key_ring_that_stores_nothing_is_reported_by_login_only(
    box: Sandbox, photos: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"keyring.backends.{backend}.Keyring")
    ended = await bulkup("login", given=PASSWORD, url=box.url, user="admin")
    assert ended.code == 3
    assert "the system's key ring can't be used" in ended.err
    assert "--password-file" in ended.err
    assert_missing(await send(box, photos, password=""))


async def test_a_broken_key_ring_is_ignored(box: Sandbox, photos: Path, ring: Path) -> None:
    write_files(ring.parent, ring.name)  # at random, which is no key ring
    assert_missing(await send(box, photos, password=""))
    assert (await send(box, photos)).code == 0
