"""The config file: what it may contain, which settings of it apply, and secrets among them."""

import re
from pathlib import Path

import pytest

from bulkup.cli.config import check, is_secret, read_layers
from bulkup.errors import UsageError
from bulkup.sandbox import Sandbox
from tests.support.commands import PASSWORD, Ended, bulkup, one_photo, send
from tests.support.galleries import photo_files, tags_of

KINDS: dict[str, set[type]] = {
    "album": {str},
    "concurrency": {int},
    "tree": {bool},
    "exclude": {list},
    "finishing": {int, str},
}
MASK = "••••"
GIVEN = {"password": PASSWORD, "finishing": "1"}


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the place of the settings file, with its folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config/bulkup").mkdir(parents=True)
    return tmp_path / "config/bulkup/config.toml"


def write(file: Path, text: str, mode: int = 0o600) -> None:
    file.write_text(text)
    file.chmod(mode)


def gallery(box: Sandbox, *lines: str, table: str = "defaults") -> str:
    """Return a table of settings that names the gallery, its user and its album."""
    named = [f"[{table}]", f'url = "{box.url}"', 'user = "admin"', "album = 1", *lines, ""]
    return "\n".join(named)


def rows(ended: Ended) -> dict[str, tuple[str, str]]:
    """Return value and origin of each flag that `bulkup config` names."""
    assert (ended.code, ended.err) == (0, "")
    lines = [re.split(" {2,}", line) for line in ended.out.splitlines()[1:]]
    return {flag: (value, origin) for flag, value, origin in lines}


def check_all(file: Path) -> None:
    for layer in read_layers(file, "museum"):
        check(layer, KINDS)


def test_the_profile_overrides_the_defaults(settings: Path) -> None:
    settings.write_text("[defaults]\nretries = 1\n[profiles.museum]\nchunk_size = '2M'\n")
    first, second = read_layers(settings, "museum")
    assert (first.name, first.values) == ("profile museum", {"chunk-size": "2M"})
    assert (second.name, second.values) == ("[defaults]", {"retries": 1})
    assert "2M" not in repr(first)
    assert second.place == f"[defaults] in {settings}"
    assert [layer.name for layer in read_layers(settings, None)] == ["[defaults]"]


def test_the_default_file_may_be_missing_and_a_named_one_must_be_readable(settings: Path) -> None:
    assert read_layers(None, None) == []
    with pytest.raises(UsageError) as caught:
        read_layers(None, "museum")
    assert str(settings) in caught.value.message
    assert "[profiles.museum]" in caught.value.hint
    settings.write_bytes(b"\xff")
    for file, message in (
        (settings.with_name("gone.toml"), "does not exist"),
        (settings, "is not UTF-8 text"),
        (settings.parent, "can't be read: Is a directory"),
    ):
        with pytest.raises(UsageError, match=message):
            read_layers(file, None)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("album = 9", "“album” in FILE is neither [defaults] nor", "[profiles.NAME]"),
        ("[default]\n", "“default” in FILE is neither", "Did you mean defaults?"),
        ("[profile.museum]\n", "“profile” in FILE", "Did you mean profiles?"),
        ("profiles = 1", "profiles in FILE is not a table", "[profiles.NAME]"),
        ("[profiles]\nmuseum = 1", "profile museum in FILE is not a table", "[profiles.NAME]"),
        ("[profiles.musuem]\n", "no profile “museum” in FILE", "Did you mean musuem?"),
        ("[profiles.a]\n[profiles.b]\n", "no profile “museum” in FILE", "Profiles: a, b."),
        ("[profiles.museum]\nalbum =", "FILE is not valid TOML", "quotes"),
        ("[profiles.museum]\nablum = 9", "no setting “ablum” (profile museum in FILE)", "album?"),
        ("[profiles.museum]\nxyz = 9", "no setting “xyz” (profile museum in FILE)", "--help"),
        ("[profiles.museum]\nprofile = 'x'", "“profile” is not allowed in", "--profile"),
        ("[profiles.museum]\nalbum = true", "“album” has a value of the wrong type", "quotes"),
        ("[profiles.museum]\nconcurrency = 'hunter2'", "“concurrency” has", "a whole number"),
        ("[profiles.museum]\ntree = 'yes'", "“tree” has", "true or false, without quotes"),
        ("[profiles.museum]\nexclude = [1]", "“exclude” has", 'such as ["one", "two"]'),
        ("[profiles.museum]\nfinishing = 1.5", "“finishing” has", "number, without quotes or a"),
        ("[profiles.museum]\npassword = 1", "“password” has", "a string in quotes"),
        ("[profiles.museum]\nfin_x = 1\nfin-x = 2", "has “fin-x” twice", "Keep one"),
    ],
)
def test_errors_in_the_file_have_hints(settings: Path, text: str, message: str, hint: str) -> None:
    settings.write_text(text)
    with pytest.raises(UsageError) as caught:
        check_all(settings)
    assert message.replace("FILE", str(settings)) in caught.value.message
    assert hint in caught.value.hint
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_toml_values_become_texts(settings: Path) -> None:
    for line, texts in (
        ("album = 9", ["9"]),
        ("album = 'Trips/2019'", ["Trips/2019"]),
        ("album = 2019-05-01", ["2019-05-01"]),
        ("album = 2019-05-01T12:00:00", ["2019-05-01T12:00:00"]),
        ("tree = true", ["true"]),
        ("exclude = 'raw/'", ["raw/"]),
        ("exclude = ['raw/', '*.tif']", ["raw/", "*.tif"]),
        ("finishing = 'auto'", ["auto"]),
        ("password = 'secret'", ["secret"]),
    ):
        settings.write_text(f"[defaults]\n{line}\n")
        (layer,) = read_layers(settings, None)
        check(layer, KINDS)
        (key,) = layer.values
        assert layer.texts(key) == texts, line


def test_secret_settings_are_recognized_by_name() -> None:
    secrets = ["password", "api-key", "notify", "monitor-token", "header"]
    others = [*(f"{name}-file" for name in secrets), "tokens"]
    assert [key for key in (*secrets, *others) if is_secret(key)] == secrets


async def test_a_profile_gives_all_settings_and_flags_and_variables_override(
    box: Sandbox, settings: Path, photos: Path
) -> None:
    secret, tags = f'password_command = "echo {PASSWORD}"', 'tag = ["scan", "museum"]'
    profile = gallery(box, secret, tags, "level = 1", table="profiles.museum")
    write(settings, f"[defaults]\nlevel = 8\nconcurrency = 2\n{profile}")
    for name, flags, level in (("a", ["--level", "2"], "4"), ("b", [], "4"), ("c", [], "")):
        photo = one_photo(photos, f"{name}.jpg")
        ended = await bulkup(photo, "--profile", "museum", *flags, finishing="1", level=level)
        assert ended.code == 0, ended.err
    stored = {photo.file: photo for photo in box.gallery.photos.values()}
    levels = {name: photo.level for name, photo in stored.items()}
    assert levels == {"a.jpg": 2, "b.jpg": 4, "c.jpg": 1}
    assert tags_of(box, stored["c.jpg"]) == {"scan", "museum"}


async def test_a_flag_can_turn_off_what_a_profile_turns_on(
    box: Sandbox, settings: Path, photos: Path, tmp_path: Path
) -> None:
    write(settings, gallery(box, "dry_run = true", "no_ledger = true", "tree = true"))
    assert (await bulkup(photos, **GIVEN)).code == 0
    assert not box.gallery.photos
    flags = ("--dry-run=false", "--ledger", tmp_path / "ledger", "--flat")
    assert (await bulkup(photos, *flags, **GIVEN)).code == 0
    assert photo_files(box) == {"a.jpg"}
    assert (await bulkup("status", "--ledger", tmp_path / "ledger")).code == 0
    assert len(box.gallery.albums) == 1


async def test_patterns_keep_their_order(box: Sandbox, settings: Path, photos: Path) -> None:
    for name in ("b.jpg", "c.jpg", "d.jpg"):
        one_photo(photos, name)
    patterns = {"exclude": "[ab].jpg,c.*", "include": "b.jpg"}
    assert (await send(box, photos, "--dry-run", "-v", **patterns)).err.count("\nnew ") == 2
    write(settings, gallery(box, 'exclude = ["[abc].jpg"]', 'include = "b.jpg"'))
    assert (await bulkup(photos, **GIVEN)).code == 0
    assert photo_files(box) == {"b.jpg", "d.jpg"}
    assert (await bulkup(photos, "--exclude", "c.jpg", **GIVEN)).code == 0
    assert photo_files(box) == {"a.jpg", "b.jpg", "d.jpg"}


async def test_another_file_can_be_named(
    box: Sandbox, settings: Path, photos: Path, tmp_path: Path
) -> None:
    assert (await bulkup("config", "--path")).out == f"{settings}\n"
    write(settings, "broken")
    assert (await bulkup("config", "--path")).out == f"{settings}\n"
    assert (await bulkup("config")).code == 2
    other = tmp_path / "other.toml"
    write(other, gallery(box, f'ledger = "{tmp_path}/ledger"'))
    assert (await bulkup("config", "--path", "--config", other)).out == f"{other}\n"
    assert (await bulkup(photos, "--config", other, **GIVEN)).code == 0
    assert box.url in (await bulkup("status", config=str(other))).out


async def test_errors_name_the_file_and_the_profile(settings: Path, photos: Path) -> None:
    for text, message, hint in (
        ("paths = ['x']", "there is no setting “paths” (profile museum in FILE)", "--help"),
        ("level = 3", "invalid value for --level (profile museum): “3”", "Give 0, 1, 2"),
        ("chunk_size = 'x'", "invalid size for --chunk-size", "is from profile museum in FILE."),
    ):
        write(settings, f"[profiles.museum]\nalbum = 1\n{text}\n")
        ended = await bulkup(photos, "--profile", "museum")
        assert ended.code == 2
        first, second = ended.err.splitlines()
        assert message.replace("FILE", str(settings)) in first
        assert hint.replace("FILE", str(settings)) in second


async def test_a_readable_secret_is_warned_of(box: Sandbox, settings: Path, photos: Path) -> None:
    text = gallery(box, f'password = "{PASSWORD}"')
    write(settings, text)
    ended = await bulkup(photos, finishing="1")
    assert ended.code == 0
    assert "chmod" not in ended.err
    write(settings, text, mode=0o644)
    for command in ((photos, "--dry-run"), ("albums",)):
        ended = await bulkup(*command)
        assert ended.code == 0
        assert f"other users can read the secret in {settings}" in ended.err
        assert f"chmod 600 {settings}" in ended.err


async def test_sources_of_secrets_in_order(box: Sandbox, settings: Path, photos: Path) -> None:
    defaults, wrong = '[defaults]\npassword_file = "/nosuch"\n', 'password = "wrong"'
    write(secret := settings.with_name("secret"), PASSWORD)
    for profile, flags, given in (
        ([wrong], ("--password-file", secret), {"api_key_file": "/nosuch"}),
        ([wrong, 'api_key_file = "/nosuch"'], (), {"password": PASSWORD}),
        ([wrong], (), {"password_command": f"echo {PASSWORD}"}),
        ([f'password = "{PASSWORD}"'], (), {}),
    ):
        write(settings, gallery(box, *profile, table="profiles.x") + defaults)
        assert (await bulkup(photos, "--dry-run", *flags, profile="x", **given)).code == 0


async def test_every_value_is_shown_with_its_origin(settings: Path) -> None:
    museum = ['url = "https://photos.example.org"', 'user = "admin"', "tree = true"]
    museum += ['password_command = "pass photos"', 'exclude = ["raw/", "*.tif"]']
    write(settings, "\n".join(["[defaults]", "retries = 1", "[profiles.museum]", *museum]))
    flags = ("--profile", "museum", "-c", "4", "--include", "a.tif")
    reported = rows(await bulkup("config", *flags, bwlimit="2M"))
    assert reported["ledger"][0].endswith("/bulkup/ledger.sqlite")
    assert "password" not in reported
    expected = {
        "url": ("https://photos.example.org", "profile museum"),
        "password-command": ("pass photos", "profile museum"),
        "tree": ("true", "profile museum"),
        "retries": ("1", "[defaults]"),
        "concurrency": ("4", "flag"),
        "include": ("a.tif", "flag"),
        "bwlimit": ("2M", "environment BULKUP_BWLIMIT"),
        "patience": ("1h", "default"),
        "album": ("–", "default"),
    }
    assert expected.items() <= reported.items()


async def test_counted_flags_are_shown_as_a_number(settings: Path) -> None:
    write(settings, "[defaults]\nquiet = 2\n")
    assert rows(await bulkup("config"))["quiet"] == ("2", "[defaults]")
    assert rows(await bulkup("config", quiet="1"))["quiet"] == ("1", "environment BULKUP_QUIET")
    assert rows(await bulkup("config", "-qq"))["quiet"] == ("2", "flag")
    assert rows(await bulkup("config", "-q"))["quiet"] == ("1", "flag")


async def test_secrets_are_masked_and_work(box: Sandbox, settings: Path, photos: Path) -> None:
    write(settings, f'[profiles.x]\npassword = "{PASSWORD}"\nurl = "http://a:{PASSWORD}@b/"\n')
    reported = rows(await bulkup("config", profile="x"))
    assert reported["password"] == reported["url"] == (MASK, "profile x")
    reported = rows(await bulkup("config", profile="x", password=PASSWORD))
    assert reported["password"] == (MASK, "environment BULKUP_PASSWORD")
    key = ":".join(box.make_api_key())
    reported = rows(await bulkup("config", api_key=key))
    assert reported["api-key"] == (MASK, "environment BULKUP_API_KEY")
    write(settings, f'[defaults]\nurl = "{box.url}"\nalbum = 1\napi_key = "{key}"\n')
    ended = await bulkup(photos, "--dry-run")
    assert ended.code == 0
    assert key not in ended.err
