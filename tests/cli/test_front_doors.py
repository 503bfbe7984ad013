"""What stands in front of a gallery: HTTP passwords, client certificates, headers and proxies."""

import re
import shutil
from base64 import b64encode
from pathlib import Path

import anyio
import pytest

from bulkup.sandbox import Sandbox
from tests.support.certificates import encrypted, make_certificate
from tests.support.commands import COMMAND, PASSWORD, bulkup, environment, needs, send
from tests.support.front import ForwardProxy, nginx
from tests.support.raw import answering, raw_server

SECRET = "frönt@42"
LOGIN = f"Basic {b64encode(f'bob:{SECRET}'.encode()).decode()}"
CREDENTIALS = "bob:fr%C3%B6nt%4042@"


def in_front(folder: Path) -> str:
    """Return nginx's directives for a password, which is `SECRET`."""
    (folder / "users").write_text(f"bob:{{PLAIN}}{SECRET}\n")
    return f'auth_basic "Photos"; auth_basic_user_file {folder}/users;'


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, "✗ Address .*requires a password of its own \\(HTTP 401\\)\n +Give --http-user"),
        (
            {"http_user": "bob", "http_password": PASSWORD},
            "✗ Address .*does not accept the HTTP password .*\n +Check --http-user",
        ),
        ({"http_user": "bob", "http_password": SECRET}, "✓ Address .*/$(.*\n)+✓ Account  "),
        ({"http_user": "bob", "http_password_file": "{folder}/pw"}, "✓ Account  "),
        ({"header": f"X-Any: 1, 2\nauthorization: {LOGIN}"}, "✓ Account  "),
        ({"header_file": "{folder}/headers", "password": ""}, "✓ Account .*, by API key$"),
    ],
)
async def test_the_doctor_passes_an_http_password_or_says_how(
    box: Sandbox, tmp_path: Path, given: dict[str, str], lines: str
) -> None:
    (tmp_path / "pw").write_text(f"{SECRET}\n")
    (tmp_path / "headers").write_text(f"# the front door's\nAuthorization: {LOGIN}\n")
    settings = {name: text.format(folder=tmp_path) for name, text in given.items()}
    if settings.get("password") == "":
        settings["api_key"] = ":".join(box.make_api_key())
    async with nginx(box, tmp_path, in_front(tmp_path)) as url:
        ended = await send(box, "doctor", url=url, **settings)
    assert re.search(f"^{lines}", ended.out, re.MULTILINE)
    assert ended.code == ("✗" in lines)
    assert SECRET not in ended.out + ended.err


@pytest.mark.parametrize(
    ("client", "lines"),
    [
        ("", "✗ Address .*requires a client certificate .*\\(No required SSL"),
        ("own", "✓ TLS          TLS 1.*certificate valid for 29 days$(.*\n)+✓ Account"),
        ("expired", "✗ Address .*\\(The SSL certificate error\\)\n.* it may have expired"),
        ("other", "✗ Address .*\\(The SSL certificate error\\)"),
    ],
)
async def test_the_doctor_presents_a_client_certificate_or_says_that_it_is_refused(
    box: Sandbox, tmp_path: Path, client: str, lines: str
) -> None:
    make_certificate(tmp_path)
    for name, days in (("own", 30), ("expired", -1), ("other", 30)):
        make_certificate(tmp_path / name, days=days)
    known = [(tmp_path / name / "cert").read_text() for name in ("own", "expired")]
    (tmp_path / "known").write_text("".join(known))
    rules = f"ssl_client_certificate {tmp_path}/known; ssl_verify_client on;"
    given = {"ca_cert": f"{tmp_path}/cert"}
    if client:
        given |= {"client_cert": f"{tmp_path}/{client}/cert"}
        given |= {"client_key": f"{tmp_path}/{client}/key"}
    async with nginx(box, tmp_path, rules, tls=True) as url:
        # as a process, which ends before nginx has said that it closes a refused connection
        variables = environment(needs(box) | given | {"url": url})
        ended = await anyio.run_process([*COMMAND, "doctor"], env=variables, check=False)
    assert re.search(f"^{lines}", ended.stdout.decode(), re.MULTILINE)
    assert ended.returncode == ("✗" in lines)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("answers", "given", "lines"),
    [
        ({}, "http://", "✓ Address      {url}, through the proxy {proxy}\n✓ TLS .*29 days$"),
        ({"login": LOGIN}, f"http://{CREDENTIALS}", "✓ Address      {url}, through .*{proxy}$"),
        ({"login": LOGIN}, "http://bob:wrong@", "✗ Address .*\\(HTTP 407\\)\n +Set BULKUP_PROXY"),
        (
            {"status": "403 Forbidden"},
            "",
            "✗ Address .*{proxy} refuses to connect to {url} \\(HTTP 403\\)\n +Have it allow",
        ),
        (
            {"status": "503 Service Unavailable"},
            "",
            "✗ Address .*the proxy {proxy}: it does not reach {url} \\(HTTP 503\\)\n +Check --p",
        ),
    ],
)
async def test_the_doctor_passes_a_proxy_or_says_what_it_refuses(
    box: Sandbox, tmp_path: Path, answers: dict[str, str], given: str, lines: str
) -> None:
    api_key = ":".join(box.make_api_key())
    async with (
        encrypted(box, make_certificate(tmp_path)) as url,
        ForwardProxy(url, **answers).running() as proxy,  # type: ignore[arg-type]
    ):
        settings = {"url": url, "proxy": given + proxy.url.removeprefix("http://")}
        settings |= {
            "ca_cert": f"{tmp_path}/cert",
            "header": "X-Door: a",
            "user": "",
            "password": "",
        }
        settings |= {"http_user": "bob", "http_password": PASSWORD, "api_key": api_key}
        ended = await send(box, "doctor", **settings)
    assert re.search(f"^{lines.format(url=url, proxy=proxy.url)}", ended.out, re.MULTILINE)
    assert all(head.startswith("CONNECT ") for head in proxy.heads)
    names = set(re.findall("^(\\S+):", "".join(proxy.heads), re.MULTILINE))
    assert names <= {"Host", "User-Agent", "Proxy-Authorization", "Accept", "Accept-Encoding"}
    assert SECRET not in ended.out + ended.err


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("variables", "given", "lines"),
    [
        ({"http_proxy": "{proxy}"}, "", "✓ Address      {url}, through the proxy {shown}$"),
        ({"ALL_PROXY": "{proxy}"}, "", "✓ Address      {url}, through the proxy {shown}$"),
        ({"HTTPS_PROXY": "{proxy}"}, "", "✗ Address      no connection to {url}"),
        ({"HTTP_PROXY": "{proxy}", "NO_PROXY": ".test"}, "", "✗ Address .*no connection to {url}"),
        ({"HTTP_PROXY": "{proxy}"}, "off", "✗ Address .*no connection to {url}"),
        ({"HTTP_PROXY": "{shown}"}, "", "✗ Address .*HTTP 407"),
        ({"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "*"}, "{proxy}", "✓ Address .*{shown}$"),
        ({"HTTP_PROXY": "http://127.0.0.1:9"}, "", "✗ Address .*the proxy http://127.0.0.1:9: "),
        ({"HTTP_PROXY": "http://no.test:9"}, "", "✗ Address .*the proxy http://no.test:9: "),
    ],
)
async def test_the_proxy_of_the_environment_is_used_where_it_applies(
    box: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    given: str,
    lines: str,
) -> None:
    async with ForwardProxy(box.url, login=LOGIN).running() as proxy:
        texts = {"shown": proxy.url, "proxy": proxy.url.replace("//", f"//{CREDENTIALS}")}
        for name, text in variables.items():
            monkeypatch.setenv(name, text.format(**texts))
        url = "http://gallery.test/"  # which only the proxy finds
        ended = await send(box, "doctor", url=url, proxy=given.format(**texts))
    assert re.search(f"^{lines.format(url=url, **texts)}", ended.out, re.MULTILINE)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert (await send(box, "albums")).code == 0  # this machine is reached directly


async def test_uploads_and_checks_pass_all_at_once_and_no_secret_is_written_anywhere(
    box: Sandbox, photos: Path, tmp_path: Path
) -> None:
    token, made = "t0ken-of-the-door", tmp_path / "made"
    made.mkdir()
    make_certificate(tmp_path)
    rules = in_front(tmp_path) + f"ssl_client_certificate {tmp_path}/cert; ssl_verify_client on;"
    rules += f' if ($http_x_door != "{token}") {{ return 403; }}'
    shutil.copy(tmp_path / "cert", tmp_path / "both")
    with (tmp_path / "both").open("a") as both:
        both.write((tmp_path / "key").read_text())
    async with (
        nginx(box, tmp_path, rules, tls=True) as url,
        ForwardProxy(url, login=LOGIN).running() as proxy,
    ):
        given = {"http_user": "bob", "http_password": SECRET, "client_cert": f"{tmp_path}/both"}
        given |= {"url": url, "ca_cert": f"{tmp_path}/cert", "ledger": f"{made}/ledger"}
        flags = [f"--proxy={proxy.url.replace('//', f'//{CREDENTIALS}')}"]
        flags += ["--header", f"X-Door: {token}"]
        files = [f"--report={made}/r.html", f"--log-file={made}/log"]
        texts = []
        for command in (["-v", photos, *files], ["verify", photos], ["albums"]):
            ended = await send(box, *command, *flags, **given)
            assert ended.code == 0
            texts.append(ended.out + ended.err)
        ended = await send(box, "config", *flags, **given)
    assert re.search("^proxy +•••• +flag$", ended.out, re.MULTILINE)
    assert re.search("^header +•••• +flag$", ended.out, re.MULTILINE)
    texts += [ended.out, *(file.read_bytes().decode("latin-1") for file in made.iterdir())]
    assert len(box.gallery.photos) == 1
    secrets = (token, SECRET, CREDENTIALS, LOGIN, LOGIN.removeprefix("Basic "))
    assert [text for text in texts if any(secret in text for secret in secrets)] == []


async def test_a_profile_holds_all_of_it_and_a_readable_secret_is_warned_of(
    box: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "pw").write_text("wrong")
    async with nginx(box, tmp_path, in_front(tmp_path)) as url:
        config = tmp_path / "config.toml"
        config.write_text(
            f'[profiles.x]\nurl = "{url}"\nhttp_user = "bob"\n'
            f'http_password_file = "{tmp_path}/pw"\n'
            'header = ["X-A: b", "X-C: d"]\nproxy = "off"\n'
        )
        config.chmod(0o644)
        named = {"config": str(config), "profile": "x", "user": "admin", "password": PASSWORD}
        # the variable takes precedence over the profile's file
        ended = await bulkup("albums", http_password=SECRET, **named)
    assert ended.code == 0
    assert f"other users can read the secret in {config}" in ended.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--header", "X-Token"], "--header needs a name and a value"),
        (["--header", "X-Token:"], "the header X-Token has no value"),
        (["--header", f"X T: {SECRET}"], "--header has an invalid name"),
        (["--header", f"X-T: {SECRET}\r\nX-U: v"], "the header X-T contains unprintable"),
        (["--header", f"x-t: {SECRET}", "--header", "X-T: b"], "the header X-T is given twice"),
        (["--header", "Content-Type: a"], "the header Content-Type is bulkup's own"),
        (["--header", f"X-Piwigo-API: {SECRET}"], "the header X-Piwigo-API is that of an API"),
        (["--http-user", "a:b"], "--http-user contains a colon"),
        (["--http-user", "a", "--header", "authorization: b"], "exclude each other"),
        (["--http-password", SECRET], "--http-password is not a flag"),
        (["--http-password-file", "{folder}/text"], "the HTTP user is missing"),
        (["--proxy", f"socks5://a:{SECRET}@b:1080"], "--proxy does not name an HTTP proxy"),
        (["--proxy", "http://a:99999"], "--proxy does not name an HTTP proxy"),
        (["--client-key", "{folder}/text"], "--client-key requires --client-cert"),
        (["--client-cert", "{folder}/none"], "--client-cert {folder}/none: No such file"),
        (["--client-cert", "{folder}/text"], "it is no certificate of the key in {folder}/text"),
        (
            ["--client-cert", "{folder}/cert", "--client-key", "{folder}/locked"],
            "--client-cert {folder}/cert: its key is encrypted",
        ),
        (["--url", f"http://a:{SECRET}@b/"], "the address contains a user name or password"),
    ],
)
async def test_wrong_values_are_refused_without_being_shown(
    box: Sandbox, tmp_path: Path, flags: list[str], message: str
) -> None:
    make_certificate(tmp_path, locked=True)
    (tmp_path / "text").write_text("no PEM")
    given = [flag.format(folder=tmp_path) for flag in flags]
    settings = {"user": "admin", "password": PASSWORD, "url": box.url}
    if "--url" in flags:
        del settings["url"]
    ended = await bulkup("doctor", *given, **settings)
    assert ended.code == 2
    assert message.format(folder=tmp_path) in ended.err
    assert SECRET not in ended.err


async def test_a_log_in_page_or_another_kind_of_log_in_is_explained(box: Sandbox) -> None:
    door = "Location: https://login.example.org/"
    for status, header, what, hint in (
        ("302 Found", door, "redirects to another server: https://login", "give with --header"),
        (
            "401 No",
            "WWW-Authenticate: Negotiate",
            "log-in of its own (HTTP 401, Negot",
            "allow one",
        ),
        ("401 No", "WWW-Authenticate: Basic a=b", "password of its own (HTTP 401)", "--http-user"),
    ):
        async with raw_server(answering(status, b"<h1>Stop</h1>", header)) as raw:
            ended = await bulkup("albums", **needs(box) | {"url": raw.url, "header": "X-A: b"})
        assert ended.code == 3
        assert what in ended.err
        assert hint in ended.err
