"""What answers mean: the table of failures, and any other answer of a server."""

import json
import unicodedata
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkup import errors
from bulkup.piwigo.metadata import title_of, to_storable
from bulkup.piwigo.protocol import (
    Answer,
    image_id,
    interpret,
    read_checked,
    read_formats,
    read_found,
    read_members,
    read_methods,
    read_status,
    read_tag_id,
    read_tags,
)

PAGE_413: Final = (
    "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
    "<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx/1.22.1</center>"
    "\r\n</body>\r\n</html>\r\n"
)
NOISE: Final = (  # 13.8.0 on PHP 8.2, before every answer
    "<br />\n<b>Deprecated</b>:  Creation of dynamic property "
    "Smarty_Internal_Extension_Handler::$registerPlugin is deprecated in "
    "<b>/var/www/include/smarty/libs/sysplugins/smarty_internal_extension_handler.php</b> "
    "on line <b>182</b><br />\n<br />\n<b>Warning</b>:  Undefined array key 0 in "
    "<b>/var/www/include/ws_functions/pwg.images.php</b> on line <b>1895</b><br />\n"
)
FATAL: Final = (
    "<br />\n<b>Fatal error</b>:  Uncaught mysqli_sql_exception: Incorrect string value: "
    "'\\xF0\\x9F\\x98\\x80.j...' for column `db`.`piwigo_images`.`file` at row 1 in "
    "/var/www/include/dblayer/functions_mysqli.inc.php:132\nStack trace:\n#0 {main}\n  thrown in "
    "<b>/var/www/include/dblayer/functions_mysqli.inc.php</b> on line <b>132</b><br />\n"
)


EXCEEDS = "exceeds the upload_max_filesize directive in php.ini."
NO_MATCH = '"jpg" for file "x.jpg" does not match file MIME type "application/x-empty"'
ONLY_CONTAIN = "only contain positive and not null integers"


def refusal(err: int, message: str) -> str:
    return json.dumps({"stat": "fail", "err": err, "message": message}, ensure_ascii=False)


def buffer_error(code: int, message: str) -> str:
    return (
        f'{{"jsonrpc" : "2.0", "error" : {{"code": {code}, "message": "{message}"}}, "id" : "id"}}'
    )


def page(title: str) -> str:
    return PAGE_413.replace("413 Request Entity Too Large", title)


ATLAS = [
    # the session, the key, the account
    (401, refusal(401, "Access denied"), errors.SessionLost),
    (401, refusal(401, "Invalid api_key"), errors.Blocked),
    (403, refusal(403, "Invalid security token"), errors.SessionLost),
    (403, '{"stat":"fail","err":"403","message":"Invalid security token"}', errors.SessionLost),
    (200, refusal(1002, "Missing parameters: pwg_token"), errors.PhotoError),
    (200, refusal(999, "Invalid username/password"), errors.PhotoError),
    (401, refusal(401, "Cannot use this method with an api key"), errors.PhotoError),
    # the method
    (501, refusal(501, "Method name is not valid"), errors.NotOffered),
    # limits
    (500, refusal(500, f"The uploaded file {EXCEEDS}"), errors.TooLarge),
    (501, refusal(501, 'Missing "method" name'), errors.TooLarge),
    (405, refusal(405, "This method requires HTTP POST"), errors.TooLarge),
    (200, buffer_error(103, "Failed to move uploaded file."), errors.TooLarge),
    (413, PAGE_413, errors.TooLarge),
    (414, page("414 Request-URI Too Large"), errors.TooLarge),
    # the server's disk
    (200, buffer_error(102, "Failed to open output stream."), errors.Blocked),
    (200, buffer_error(101, "Failed to open input stream."), errors.Refused),
    (500, refusal(500, "error during buffer directory creation"), errors.Blocked),
    (500, refusal(500, "error while merging chunk 1"), errors.AnswerLost),
    (500, refusal(500, "error while creating merged /x"), errors.AnswerLost),
    (500, refusal(500, "error while locking merged /x"), errors.AnswerLost),
    # the file
    (200, "forbidden file type", errors.PhotoCorrupted),
    (200, "unexpected file type", errors.PhotoCorrupted),
    (415, refusal(415, f"File extension {NO_MATCH}"), errors.PhotoCorrupted),
    (500, refusal(500, "MD5 checksum merged file mismatched"), errors.PhotoCorrupted),
    (500, refusal(500, "MD5 checksum chunk file mismatched"), errors.ChunkCorrupted),
    (500, refusal(500, "file already exists"), errors.PhotoCorrupted),
    (200, "[add_uploaded_file] this photo does not exist in the database", errors.PhotoError),
    (401, refusal(401, "formats are disabled"), errors.FormatsOff),
    (401, refusal(401, 'unexpected format extension "x"'), errors.FormatRefused),
    (200, refusal(1003, f"category must {ONLY_CONTAIN}"), errors.PhotoError),
    (404, refusal(404, "image_id not found"), errors.PhotoGone),
    (200, refusal(1003, 'Tag "x" already exists'), errors.PhotoError),
    (500, '{"stat":"ok","result":null}', errors.PhotoError),
    # whether the request was processed is unknown
    (500, "", errors.ServerCrashed),
    (200, "", errors.AnswerLost),
    (200, FATAL, errors.ServerCrashed),
    (200, "<html><body>Under maintenance</body></html>", errors.AnswerLost),
    (200, '{"stat":"ok","resu', errors.AnswerLost),
    (200, "null", errors.AnswerLost),
    (200, "[]", errors.AnswerLost),
    (200, '{"stat":"other"}', errors.AnswerLost),
    # the connection
    (502, page("502 Bad Gateway"), errors.Outage),
    (503, page("503 Service Temporarily Unavailable"), errors.Outage),
    (504, page("504 Gateway Time-out"), errors.Outage),
    (520, "error code: 520", errors.Outage),
    (404, page("404 Not Found"), errors.Outage),
    (429, page("429 Too Many Requests"), errors.RateLimited),
    (403, page("403 Forbidden"), errors.Refused),
    (408, page("408 Request Time-out"), errors.Refused),
    (301, "", errors.Blocked),
    (307, "", errors.Blocked),
    (401, page("401 Authorization Required"), errors.Blocked),
    (411, page("411 Length Required"), errors.Blocked),
    # Piwigo's own words for being busy
    (503, refusal(503, "Service unavailable"), errors.Refused),
    (429, refusal(429, "Too many requests"), errors.RateLimited),
]


def error_of(status: int, body: str) -> errors.BulkupError:
    with pytest.raises(errors.BulkupError) as caught:
        interpret(Answer(status, body.encode()))
    return caught.value


@pytest.mark.parametrize(("status", "body", "kind"), ATLAS)
def test_a_failure_means_what_the_atlas_says_in_words_on_one_line(
    status: int, body: str, kind: type[errors.BulkupError]
) -> None:
    error = error_of(status, body)
    assert type(error) is kind
    assert 10 < len(error.message) < 300
    assert not {"\n", "<"} & {*error.message}
    if body and status < 500:  # messages of PHP in front change nothing
        assert type(error_of(status, NOISE + body)) is kind


@pytest.mark.parametrize(
    "body",
    [
        refusal(500, "no bulkup-1.jpg"),
        '{"jsonrpc": "2.0", "error": {"code": 102, "message": "no bulkup-1.jpg"}, "id": "id"}',
        "forbidden file type bulkup-1.jpg",
    ],
)
def test_a_message_has_the_real_name_instead_of_the_one_sent(body: str) -> None:
    with pytest.raises(errors.BulkupError, match=r" Été\.jpg"):
        interpret(Answer(200, body.encode()), renamed=("bulkup-1.jpg", "Été.jpg"))


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"stat":"ok","result":true}', True),
        (b'{"stat":"ok","result":null}', None),
        (b'{"stat":"ok","result":[]}', []),
        (b'{"stat":"ok","result":{"a":{"b":[1]}}}', {"a": {"b": [1]}}),
        (b'{"stat":"ok"}', None),
        (b'{"stat":"ok", "result": 1}\n', 1),
        (b'\xef\xbb\xbf{"stat":"ok","result":1}', 1),
        (b'\n\n{"stat":"ok","result":1}', 1),
        (b'{"stat":"ok","result":1}<br />\n<b>Warning</b>:  x in <b>y</b>', 1),
        (b'{"stat":"ok","result":"{\\"stat\\":\\"fail\\"}"}', '{"stat":"fail"}'),
        (b'{"stat":"ok","result":"latin1 \\ufffd"}', "latin1 �"),
        (b'{"stat":"ok","result":"\xff"}', "�"),
    ],
)
def test_a_result_is_found_in_the_answer(body: bytes, result: object) -> None:
    assert interpret(Answer(200, body)) == result
    assert interpret(Answer(200, NOISE.encode() + body.lstrip(b"\xef\xbb\xbf\n"))) == result


@pytest.mark.parametrize(
    ("words", "taken", "not_taken"),
    [
        ('"x.orf" (authorized extensions: cr2, nef)', {"a.cr2", "b.NEF"}, {"a.orf", "nef"}),
        ('"a"(b, (c.orf" (authorized extensions: cmyk.jpg)', {"a.cmyk.jpg"}, {"a.jpg"}),
        ('"x.orf"', {"a.orf", "b.nef"}, set()),
    ],
)
def test_a_refused_format_tells_which(words: str, taken: set[str], not_taken: set[str]) -> None:
    body = refusal(401, f"unexpected format extension of file {words}")
    with pytest.raises(errors.FormatRefused) as caught:
        interpret(Answer(401, body.encode()))
    assert all(map(caught.value.takes, taken))
    assert not any(map(caught.value.takes, not_taken))


def test_words_wait_and_target_that_a_server_names_are_kept_without_html() -> None:
    said = "<html><style>p {x}</style><body>Under <b>maint&auml;nance</b>"
    for status, body, words in (
        (404, refusal(404, "cat_id {9} not found"), "the server refuses: cat_id {9} not found"),
        (200, said, "(HTTP 200, “Under maintänance”)"),
        (200, FATAL, "Incorrect string value"),
    ):
        assert words in error_of(status, body).message
    for status in (403, 429, 502, 503, 504):
        with pytest.raises(errors.Transient) as caught:
            interpret(Answer(status, b"<html>", retry_after_s=7.0))
        assert caught.value.retry_after_s == 7.0
    with pytest.raises(errors.Blocked, match="redirects to https://elsewhere/"):
        interpret(Answer(302, b"", location="https://elsewhere/"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["stat", "err", "message", "result", "error", "code", "x"]), inner
        )
    ),
    max_leaves=8,
)
json_bodies = st.builds(
    lambda stat, rest: json.dumps(rest | ({"stat": stat} if stat else {})).encode(),
    stat=st.sampled_from(["ok", "fail", None]),
    rest=st.dictionaries(st.sampled_from(["err", "message", "result", "error"]), json_values),
)


@settings(max_examples=200)
@given(status=st.integers(0, 999), body=st.binary(max_size=300) | json_bodies)
@example(status=200, body=b"[" * 100_000)
@example(status=200, body=b'{"stat":"ok","result":' + b"[" * 100_000)
@example(status=200, body=b'{"stat":"fail","err":' + b"9" * 10_000 + b"}")
@example(status=200, body=b'{"stat":"fail","err":1e999}')
@example(status=200, body=b'{"stat":"fail","err":[],"message":{}}')
@example(status=200, body=b'{"error":{"code":null,"message":[]}}')
@example(status=200, body=b"<br />\n<b>" + b"</b>" * 20_000)
@example(status=200, body=b"<script>" * 20_000)
@example(status=500, body=b"\x00" * 1_000_000)
def test_any_answer_is_a_result_or_one_of_our_errors(status: int, body: bytes) -> None:
    try:
        interpret(Answer(status, body))
    except (errors.Transient, errors.NotOffered, errors.PhotoError) as error:
        assert 0 < len(error.message) < 1000  # noqa: PT017 (not every answer raises)


# what stands in the results


def test_a_status_has_user_rank_token_version_types_and_chunk_size() -> None:
    account = {"username": "admin", "status": "webmaster", "pwg_token": "0123456789abcdef"}
    limits = {"upload_file_types": "jpg,jpeg, PNG, ,Gif,webp", "upload_form_chunk_size": 500}
    status = read_status(account | limits | {"theme": "elegant", "version": "16.4.0"})
    assert (status.user, status.rank, status.version) == ("admin", "webmaster", "16.4.0")
    assert status.token == "0123456789abcdef"
    assert status.endings == frozenset({"jpg", "jpeg", "png", "gif", "webp"})
    assert status.chunk_size == 512_000
    status = read_status(account)  # an old one
    assert (status.chunk_size, status.endings, status.version) == (None, None, "")
    assert read_status({"upload_form_chunk_size": "500"}).chunk_size == 512_000
    nothing: list[object] = [0, -1, "", "many", None, [], True, 1.5]
    assert {read_status({"upload_form_chunk_size": no}).chunk_size for no in nothing} == {None}


def formats_of_7(result: object) -> object:
    """Return the formats that photo 7 has."""
    return read_formats(result, 7)


def members(result: object) -> object:
    """Return the numbers of the photos that an album shows."""
    return [photo.photo_id for photo in read_members(result)[0]]


Reader = Callable[[object], object]
FORMAT = {"status": "found", "image_id": "7", "format_exist": True}
TAGS = [{"id": "1", "name": "a"}, {"id": 2, "name": "b", "name_raw": "B"}]
NO_ID = [{"image_id": value} for value in (0, "0", -1, None, "")]
NO_BITS = [{"images": [{"id": value}]} for value in (None, -5, "-5", "x", 10**18, "9" * 5000)]
MEANINGS: list[tuple[Reader, object, list[object]]] = [
    # methods are those that are listed
    (read_methods, {"a", "b"}, [{"methods": ["a", "b"]}]),
    (read_methods, set(), [{"methods": []}, {"methods": {"0": "a"}}, {"methods": None}, [], None]),
    # photos are found by positive ids
    (read_found, {"a": 12, "b": None, "c": 7}, [{"a": "12", "b": None, "c": 7}]),
    (read_found, dict.fromkeys("abcd"), [{"a": "0", "b": "", "c": "x", "d": -3}]),
    (read_found, {}, [[], None, "x"]),
    # a stored file equals, differs, or is unknown
    (read_checked, True, [{"file": "equals"}]),
    (read_checked, False, [{"file": "differs"}]),
    (read_checked, None, [[], {"thumbnail": "equals"}, None]),
    # a finished photo has a positive id
    (image_id, 12, [{"image_id": 12, "src": "x"}, {"image_id": "12"}, {"id": 12, "file": "x"}]),
    (image_id, None, [*NO_ID, {"message": "chunks uploaded = 1,2"}, None, True, []]),
    # the formats of a photo are complete or unknown
    (formats_of_7, {"nef"}, [{"nef": FORMAT}, {"psd": {"status": "not found"}, "nef": FORMAT}]),
    (formats_of_7, set(), [{"nef": FORMAT | {"format_exist": False}}]),
    (formats_of_7, None, [{"nef": FORMAT | {"image_id": "8"}}, {"nef": {"status": "multiple"}}]),
    (formats_of_7, None, [{"nef": {"status": "found", "image_id": "7"}}, []]),
    (formats_of_7, None, [{"nef": {"status": "not found"}}]),
    # the photos of an album are listed by ids that a set of bits can hold
    (members, [1, 22], [{"images": [{"id": 1}, {"id": "22"}]}]),
    (members, [3], [{"paging": {}, "images": [{"id": 3, "file": "x"}]}]),
    (members, [], [{"images": []}]),
    (members, [0], [*NO_BITS]),
    # tags have ids, and names as they were written
    (read_tags, [("a", 1), ("B", 2)], [{"tags": TAGS}]),
    (read_tags, [], [{"tags": [{"id": "x", "name": "a"}, 7, {}]}, {"tags": []}, [], None]),
    (read_tag_id, 7, [{"id": 7}, {"id": "7"}]),
    (read_tag_id, None, [{"id": 0}, {}, []]),
]


@pytest.mark.parametrize(("read", "parsed", "results"), MEANINGS)
def test_results_are_parsed(read: Reader, parsed: object, results: list[object]) -> None:
    for result in results:
        assert read(result) == parsed, result


def test_results_of_another_form_are_refused() -> None:
    no_members: list[object] = [None, [], {}, {"images": None}, {"images": {"0": {}}}, "x"]
    for read, results in ((read_status, [None, [], "x", 1, True]), (read_members, no_members)):
        for result in results:
            with pytest.raises(errors.NotOffered):
                read(result)


# names

names = st.text(st.characters(), min_size=1, max_size=300)


@given(
    stem=names,
    ending=st.from_regex(r"[a-zA-Z0-9]{1,10}", fullmatch=True),
    ordinary=st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F), max_size=255),
)
def test_a_storable_name_is_held_by_the_database_with_its_ending_and_an_ordinary_one_as_it_is(
    stem: str, ending: str, ordinary: str
) -> None:
    for text in (stem, f"{stem}.{ending}"):
        stored = to_storable(text)
        assert len(stored) <= 255
        assert all(ord(c) <= 0xFFFF for c in stored)
        assert not any(unicodedata.category(c) in {"Cc", "Cs"} for c in stored)
        assert to_storable(stored) == stored
    assert stored.endswith(f".{ending}")
    assert to_storable(ordinary) == unicodedata.normalize("NFC", ordinary)


def test_names_are_made_storable_and_titles_of_them() -> None:
    stored = {
        "sun 🌅.jpg": "sun �.jpg",
        "E\u0301te\u0301.jpg": "Été.jpg",
        "a\nb\tc\x7f\x1b[31m.jpg": "a b c  [31m.jpg",
        "a\x9bb.jpg": "a b.jpg",
        "x\udcff.jpg": "x?.jpg",
        "x" * 300 + ".jpg": "x" * 251 + ".jpg",
        "x" * 300: "x" * 255,
        "x." + "y" * 300: "x." + "y" * 253,
    }
    assert {name: to_storable(name) for name in stored} == stored
    titles = {"IMG_1.jpg": "IMG 1", "a.b.c.jpg": "a.b.c", "a_b_.PNG": "a b "}
    titles |= {"no ending": "no ending", ".jpg": ".jpg"}
    assert {file: title_of(file) for file in titles} == titles
