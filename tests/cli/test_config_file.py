"""The config file: what it may contain, and the messages for everything else."""

from pathlib import Path

import pytest

from bulkup.cli.config import check, is_secret, read_layers
from bulkup.errors import UsageError

KINDS: dict[str, set[type]] = {
    "album": {str},
    "concurrency": {int},
    "tree": {bool},
    "exclude": {list},
    "finishing": {int, str},
}


def written(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text)
    return file


def read(folder: Path, text: str) -> None:
    for layer in read_layers(written(folder, text), "museum"):
        check(layer, KINDS)


def test_the_profile_overrides_the_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "[defaults]\nretries = 1\n[profiles.museum]\nchunk_size = '2M'\n")
    first, second = read_layers(file, "museum")
    assert (first.name, first.values) == ("profile museum", {"chunk-size": "2M"})
    assert (second.name, second.values) == ("[defaults]", {"retries": 1})
    assert "2M" not in repr(first)
    assert second.place == f"[defaults] in {file}"
    assert [layer.name for layer in read_layers(file, None)] == ["[defaults]"]


def test_the_default_file_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read_layers(None, None) == []
    with pytest.raises(UsageError) as caught:
        read_layers(None, "museum")
    assert f"{tmp_path}/bulkup/config.toml" in caught.value.message
    assert "[profiles.museum]" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "album = 9",
            "“album” in FILE is neither [defaults] nor [profiles.NAME]",
            "[profiles.NAME]",
        ),
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
        (
            "[profiles.museum]\nconcurrency = 'hunter2'",
            "“concurrency” has",
            "a whole number, without",
        ),
        ("[profiles.museum]\ntree = 'yes'", "“tree” has", "true or false, without quotes"),
        ("[profiles.museum]\nexclude = [1]", "“exclude” has", 'such as ["one", "two"]'),
        ("[profiles.museum]\nfinishing = 1.5", "“finishing” has", "number, without quotes or a"),
        ("[profiles.museum]\npassword = 1", "“password” has", "a string in quotes"),
        ("[profiles.museum]\nfin_x = 1\nfin-x = 2", "has “fin-x” twice", "Keep one"),
    ],
)
def test_errors_in_the_file_have_hints(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert message.replace("FILE", str(tmp_path / "config.toml")) in caught.value.message
    assert hint in caught.value.hint
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("album = 9", ["9"]),
        ("album = 'Trips/2019'", ["Trips/2019"]),
        ("album = 2019-05-01", ["2019-05-01"]),
        ("album = 2019-05-01T12:00:00", ["2019-05-01T12:00:00"]),
        ("tree = true", ["true"]),
        ("exclude = 'raw/'", ["raw/"]),
        ("exclude = ['raw/', '*.tif']", ["raw/", "*.tif"]),
        ("finishing = 'auto'", ["auto"]),
        ("finishing = 2", ["2"]),
        ("password = 'secret'", ["secret"]),
        ("api_key = 'secret'", ["secret"]),
    ],
)
def test_toml_values_become_texts(tmp_path: Path, line: str, texts: list[str]) -> None:
    (layer,) = read_layers(written(tmp_path, f"[defaults]\n{line}\n"), None)
    check(layer, KINDS)
    (key,) = layer.values
    assert layer.texts(key) == texts


def test_a_named_file_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    for name, message in (
        ("gone.toml", "does not exist"),
        ("latin.toml", "is not UTF-8 text"),
        (".", "can't be read: Is a directory"),
    ):
        with pytest.raises(UsageError, match=message):
            read_layers(tmp_path / name, None)


def test_secret_settings_are_recognized_by_name() -> None:
    secrets = ["password", "api-key", "notify", "monitor-token"]
    others = [*(f"{name}-file" for name in secrets), "tokens"]
    assert [key for key in (*secrets, *others) if is_secret(key)] == secrets
