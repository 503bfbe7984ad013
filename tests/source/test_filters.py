"""Which files are taken: patterns by themselves, and a scan by patterns, sizes, links, lists."""

import os
from contextlib import aclosing, chdir, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkup.errors import UsageError
from bulkup.errors import local as local_failures
from bulkup.events import SkipReason
from bulkup.source.filters import EVERYTHING, Filters, Listing, Patterns, read_flag, read_lines
from bulkup.source.photos import Photo
from bulkup.source.scan import Found, Seen, Skipped, Unreadable, check_roots, find, scan
from tests.support.walks import link, photo_at, put, put_all, scanned, word

FOLLOWING = Filters(follow_symlinks=True)
CHOICES = int(os.environ.get("BULKUP_CHAOS_PLANS", "40"))


def choosing(*flags: str) -> Filters:
    """Return what `+raw/` (an --include) and `-raw/` (an --exclude) on a command line choose."""
    names = {"+": "--include", "-": "--exclude"}
    rules = [read_flag(flag[1:], take=flag[0] == "+", flag=names[flag[0]]) for flag in flags]
    return Filters(patterns=Patterns(tuple(rules), only="".join(flags)[:1] == "+"))


async def all_of(*roots: Path, filters: Filters) -> list[Found]:
    async with aclosing(find(roots, filters, endings={"jpg"})) as batches:
        return [found async for batch in batches for found in batch]


# what patterns match


def lines(text: str) -> Patterns:
    return Patterns(tuple(read_lines(text, file="ignored")))


@pytest.mark.parametrize(
    ("pattern", "matched", "not_matched"),
    [
        ("a.jpg", ["a.jpg", "x/a.jpg", "a.jpg/b.png"], ["b.jpg", "xa.jpg", "a.jpgx"]),
        ("*.jpg", ["a.jpg", "x/y/a.jpg", ".jpg"], ["a.JPG", "a.jpgx", "a.jpg\n"]),
        ("*.jpg", ["x\ny/a\nb.jpg", "\n.jpg", os.fsdecode(b"\xff\xfe.jpg")], []),
        ("raw/", ["raw/a", "x/raw/y/a"], ["raw", "x/raw", "xraw/a"]),
        ("/raw", ["raw", "raw/a"], ["x/raw"]),
        ("/raw/", ["raw/a"], ["raw", "x/raw/a"]),
        ("x/raw", ["x/raw", "x/raw/a"], ["y/x/raw", "x/y/raw"]),
        ("x/*", ["x/a", "x/y/a"], ["y/x/a"]),
        ("x/*.jpg", ["x/a.jpg"], ["x/y/a.jpg"]),
        ("x/**/raw", ["x/raw", "x/y/z/raw/a"], ["raw", "y/x/raw"]),
        ("**/raw/x", ["raw/x", "y/raw/x/z"], ["raw/y/x"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "y/x"]),
        ("**", ["a", "x/a"], []),
        ("*", ["a", "x/a", "\n", "\n/\n"], []),
        ("IMG_000?.jpg", ["IMG_0001.jpg"], ["IMG_00012.jpg"]),
        ("IMG_[0-4]*", ["IMG_1.jpg"], ["IMG_5.jpg"]),
        ("[!a]*.jpg", ["b.jpg"], ["a.jpg"]),
        ("*.[jJ][pP][gG]", ["a.jpg", "a.JPG", "a.Jpg"], ["a.png"]),
        (r"\*.jpg", ["*.jpg"], ["a.jpg"]),
        (r"\!best", ["!best", "!best/a"], ["best"]),
        ("#recycle", ["#recycle/a"], ["recycle/a"]),
        ("a ", ["a ", "x/a "], ["a"]),
        (r"a\ ", ["a "], ["a"]),
        ("a\n", ["a\n"], ["a"]),
        ("a\nb*", ["a\nb.jpg"], ["a"]),
        ("*b", ["\nb", "a\n/b"], ["b\n"]),
        ("📷*", ["📷.jpg", "x/📷📷/a"], ["x📷"]),
        ("?.jpg", ["📷.jpg", "é.jpg", "e\u0301.jpg"], ["ab.jpg"]),
        ("été/", ["e\u0301te\u0301/a"], ["ete/a"]),
        ("e\u0301te\u0301/", ["été/a"], ["ete/a"]),
        (os.fsdecode(b"\xff*"), [os.fsdecode(b"\xff\xfe.jpg")], [os.fsdecode(b"\xfe.jpg")]),
        ("[[x]", ["[", "x"], ["y"]),
        ("[a&&b]", ["a", "&"], ["c"]),
        ("C:", ["C:"], ["C"]),
    ],
)
def test_a_pattern_matches_by_the_rules_of_git(
    pattern: str, matched: list[str], not_matched: list[str]
) -> None:
    excluding = choosing(f"-{pattern}").patterns
    assert [path for path in matched if excluding.take(path)] == []
    assert [path for path in not_matched if not excluding.take(path)] == []


@pytest.mark.parametrize(
    ("flags", "taken", "left_out"),
    [
        (["-*.png"], ["a.jpg"], ["a.png"]),
        (["+*.jpg"], ["a.jpg", "x/a.jpg"], ["a.png"]),
        (["+*.jpg", "+*.png"], ["a.jpg", "a.png"], ["a.tif"]),
        (["+*.jpg", "-raw/"], ["x/a.jpg", "x/"], ["raw/a.jpg", "a.png", "raw/"]),
        (["-raw/", "+*.jpg"], ["raw/a.jpg", "a.png", "raw/", "x/raw/"], ["raw/a.png"]),
        (["-*", "+*.jpg"], ["x/a.jpg"], ["a.png"]),
        (["-*", "+best/"], ["best/a", "x/best/y/a"], ["a", "x/a"]),
        (["-Trips/", "+Trips/best/"], ["Trips/best/a", "a"], ["Trips/a"]),
        (["-Trips/", "+Trips/best/", "-*.tif"], ["Trips/best/a"], ["Trips/best/a.tif", "a.tif"]),
        (["+best/"], ["best/a"], ["a"]),
        ([], ["a"], []),
        # a folder is entered only if something in it may be taken
        (["-raw/"], ["x/", "rawx/"], ["raw/", "x/raw/", "raw/x/"]),
        (["-*.jpg"], ["x/"], ["x.jpg/"]),
        (["-raw/", "+/best/"], ["best/"], ["raw/"]),
        (["-Trips/", "+Trips/2019/best/"], ["Trips/", "Trips/2019/"], ["Trips/2018/", "x/Trips/"]),
        (["-Trips/", "+Trips/*/best/"], ["Trips/", "Trips/2018/"], ["Trips/2018/x/"]),
        (["-Trips/", "+Trips/**/best/"], ["Trips/2018/x/y/"], ["x/Trips/"]),
        (["-Trips/", "+Trips/**"], ["Trips/", "Trips/x/"], []),
        (["-Trips/", "+Trips/a.jpg"], ["Trips/"], ["Trips/x/", "Trips/x/y/"]),
        (["+/Trips/2019/"], ["Trips/", "Trips/2019/", "Trips/2019/x/"], ["x/", "Trips/x/"]),
        (["+Trips/*.jpg"], ["Trips/"], ["Trips/x/", "x/"]),
        (["+raw"], ["x/", "raw/"], []),
        (["-*", "+été/a/"], ["e\u0301te\u0301/"], ["a/"]),
    ],
)
def test_the_last_pattern_that_matches_decides(
    flags: list[str], taken: list[str], left_out: list[str]
) -> None:
    chosen = choosing(*flags).patterns
    judged = {
        path: chosen.enter(path) if path[-1] == "/" else chosen.take(path)
        for path in (*taken, *left_out)
    }
    assert judged == dict.fromkeys(taken, True) | dict.fromkeys(left_out, False)


names = st.sampled_from(["a", "b", "ab", "a.b", "é"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
parts = st.sampled_from(["a", "b", "?", "*", "a*", "*b", "**", "[ab]", "[!a]", "é"])
globs = st.builds(
    lambda lead, middle, end: lead + "/".join(middle) + end,
    st.sampled_from(["", "/"]),
    st.lists(parts, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)


def signed(globs: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda sign, glob: sign + glob, st.sampled_from("+-"), globs)


@given(flags=st.lists(signed(globs), max_size=5), glob=globs, path=paths)
def test_folders_above_what_is_taken_are_entered_and_all_below_what_matches_is_left_out(
    flags: list[str], glob: str, path: str
) -> None:
    chosen, excluding = choosing(*flags).patterns, choosing(f"-{glob}").patterns
    folders = path.split("/")[:-1]
    if chosen.take(path):
        for depth in range(1, len(folders) + 1):
            assert chosen.enter("/".join(folders[:depth]) + "/")
    if not excluding.take(f"{path}/"):
        assert not excluding.take(f"{path}/x")
        assert not excluding.enter(f"{path}/")


@given(text=st.text(), path=st.text(min_size=1))
def test_any_text_is_a_pattern_or_a_usage_error(text: str, path: str) -> None:
    for take in (True, False):
        with suppress(UsageError):
            chosen = Patterns((read_flag(text, take=take, flag="--exclude"),), only=take)
            chosen.take(path)
            chosen.enter(f"{path}/")
    with suppress(UsageError):
        lines(text).take(path)


def test_invalid_ambiguous_patterns_and_those_that_match_nothing_are_refused() -> None:
    for text in ("", "/", "//", "a//b", "./raw", "../raw", "raw/.", "a/../b"):
        with pytest.raises(UsageError, match="matches nothing"):
            choosing(f"-{text}")
    for text in ("[z-a]", "a\\", "x/[9-0]/y"):
        with pytest.raises(UsageError, match=r"--exclude “.*” is not a valid pattern"):
            choosing(f"-{text}")
    for sign, other in (("-", "--include"), ("+", "--exclude")):
        with pytest.raises(UsageError, match="could mean two things") as caught:
            choosing(f"{sign}!raw")
        assert other in caught.value.hint


def test_a_file_of_patterns_is_read_like_a_gitignore() -> None:
    chosen = lines("# comment\r\n\r\n   \n*.tif\r\nraw/  \n!raw/best.tif\n\\#1\n\\!x\n!!y\nz\\ \n")
    taken = ["a.jpg", "raw/best.tif", "# comment", "x", "!y", "z"]
    left_out = ["a.tif", "raw/a.jpg", "#1", "!x", "z "]
    assert [path for path in (*taken, *left_out) if chosen.take(path)] == taken
    with pytest.raises(UsageError, match=r"ignored, line 2, “./b” matches nothing"):
        lines("a\n./b\n")
    assert lines("").take("a")
    assert lines("\n\n").enter("a/")


# patterns in a scan


@pytest.mark.parametrize(
    ("flags", "taken", "excluded"),
    [
        (["-raw/"], ["d.tif"], ["raw"]),  # the folder is one, and is not listed
        (["-raw/", "+raw/best/"], ["d.tif", "raw/best/b.tif"], ["raw/a.tif", "raw/x"]),
        (["+b.*", "+d.tif"], ["d.tif", "raw/best/b.tif"], ["raw/a.tif", "raw/x/c.tif"]),
    ],
)
def test_patterns_exclude_folders_and_take_out_of_them(
    tmp_path: Path, flags: list[str], taken: list[str], excluded: list[str]
) -> None:
    put_all(tmp_path, "raw/a.tif", "raw/best/b.tif", "raw/x/c.tif", "d.tif")
    assert scanned(tmp_path, choosing(*flags)) == {"taken": taken, "excluded": excluded}


def test_patterns_begin_below_the_folder_that_is_given(tmp_path: Path) -> None:
    put_all(tmp_path, "a/raw/1.jpg", "raw/2.jpg", "raw/raw/3.jpg")
    filters = choosing("-/raw/")
    assert scanned(tmp_path, filters) == {"taken": ["a/raw/1.jpg"], "excluded": ["raw"]}
    assert scanned(tmp_path / "a", filters) == {"excluded": ["raw"]}
    assert scanned(tmp_path / "raw", filters) == {"taken": ["2.jpg"], "excluded": ["raw"]}


def test_a_single_file_is_judged_by_its_name_and_counted_with_its_size(tmp_path: Path) -> None:
    png, jpg = put_all(tmp_path, "raw/a.png", "raw/a.jpg", content=b"1234")
    found = scan([png, jpg], choosing("-*.png", "-raw/"), endings=None)
    assert list(found) == [Skipped(png, 4, SkipReason.EXCLUDED), photo_at(jpg)]


def test_a_link_has_no_slash_at_its_end_unless_it_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "real/a.jpg")
    link(tmp_path / "raw", "real")
    assert scanned(tmp_path, choosing("-raw/"))["symlink"] == ["raw"]
    assert scanned(tmp_path, choosing("-raw"))["excluded"] == ["raw"]


# sizes, times, types


def test_sizes_count_with_both_ends_and_times_without_the_later_one(tmp_path: Path) -> None:
    for number in range(5):
        os.utime(put(tmp_path / str(number), b"x" * number), (number, number))
    sizes = Filters(min_size=1, max_size=3)
    times = Filters(newer_than_ns=10**9, older_than_ns=3 * 10**9)
    assert scanned(tmp_path, sizes) == {"size": ["0", "4"], "taken": ["1", "2", "3"]}
    assert scanned(tmp_path, times) == {"age": ["0", "3", "4"], "taken": ["1", "2"]}


def test_the_type_is_checked_last(tmp_path: Path) -> None:
    put_all(tmp_path, "b.txt", "c.txt")
    put(tmp_path / "a.txt", b"12345")
    words = scanned(tmp_path, replace(choosing("-c.*"), max_size=3), {"jpg"})
    assert words == {"size": ["a.txt"], "type": ["b.txt"], "excluded": ["c.txt"]}


# junk


def test_system_files_are_found_without_default_excludes_or_when_named(tmp_path: Path) -> None:
    names = [".a.jpg", ".b/c.jpg", "@eaDir/d.jpg"]
    path, *_ = put_all(tmp_path, *names)
    assert scanned(tmp_path).keys() == {"junk"}
    assert scanned(tmp_path, choosing("+.a.jpg")).keys() == {"junk"}
    assert scanned(tmp_path, Filters(default_excludes=False)) == {"taken": names}
    assert list(scan([path], EVERYTHING, endings=None)) == [photo_at(path)]


# links


def test_links_are_followed_if_wanted(tmp_path: Path) -> None:
    photo, _ = put_all(tmp_path, "out/a.jpg", "out/x/b.jpg", content=b"123")
    one = link(tmp_path / "in/one.jpg", photo)
    link(tmp_path / "in/folder", "../out/x")
    assert scanned(tmp_path / "in", FOLLOWING) == {"taken": ["folder/b.jpg", "one.jpg"]}
    assert photo_at(one) in scan([tmp_path / "in"], FOLLOWING, endings=None)


def test_followed_links_in_a_loop_end_and_one_to_nothing_is_reported(tmp_path: Path) -> None:
    put(tmp_path / "a/b/1.jpg")
    for name, target in (("up", ".."), ("top", "../.."), ("self", "self"), ("gone", "nowhere")):
        link(tmp_path / "a/b" / name, target)
    assert scanned(tmp_path, FOLLOWING) == {
        "taken": ["a/b/1.jpg"],
        "Too many levels of symbolic links": ["a/b/self"],
        "broken link": ["a/b/gone"],
        "repeated": ["a/b/top", "a/b/up"],
    }
    chosen = scanned(tmp_path, replace(choosing("-gone"), follow_symlinks=True))
    assert chosen["excluded"] == ["a/b/gone"]
    assert "broken link" not in chosen


async def test_no_file_is_taken_twice_and_links_are_followed_in_the_end(tmp_path: Path) -> None:
    real, _, out = put_all(tmp_path, "b/2019/a.jpg", "b/2019/c.jpg", "out/x/b.jpg")
    (tmp_path / "b/2019/other name of a.jpg").hardlink_to(real)
    link(tmp_path / "a/1 folder", tmp_path / "b")
    link(tmp_path / "a/2.jpg", real)
    link(tmp_path / "a/3 out", tmp_path / "out")
    link(tmp_path / "out/0.jpg", out)
    link(tmp_path / "b/2019/b.jpg", out)
    found = await all_of(tmp_path / "a", tmp_path / "b", filters=FOLLOWING)
    assert [(str(f.path.relative_to(tmp_path)), word(f)) for f in found] == [
        ("b/2019/a.jpg", "taken"),
        ("b/2019/c.jpg", "taken"),
        ("b/2019/other name of a.jpg", "taken"),
        ("a/1 folder/2019/a.jpg", "repeated"),
        ("a/1 folder/2019/c.jpg", "repeated"),
        ("a/1 folder/2019/other name of a.jpg", "repeated"),
        ("a/2.jpg", "repeated"),
        ("a/3 out/x/b.jpg", "taken"),
        ("b/2019/b.jpg", "repeated"),
        ("a/1 folder/2019/b.jpg", "repeated"),
        ("a/3 out/0.jpg", "repeated"),
    ]


async def test_what_is_excluded_in_one_place_is_taken_through_a_link(tmp_path: Path) -> None:
    put(tmp_path / "1/raw/a.jpg")
    link(tmp_path / "2", "1/raw")
    filters = replace(choosing("-raw/", "+best/"), follow_symlinks=True)
    found = await all_of(tmp_path, filters=filters)
    assert [word(f) for f in found] == ["excluded", "taken"]


# roots


@pytest.mark.parametrize("order", [1, -1])
def test_a_root_that_another_walk_leaves_out_stays(tmp_path: Path, order: int) -> None:
    put_all(tmp_path, "raw/a.jpg", "x/b.jpg", ".c/d.jpg")
    roots = [tmp_path, tmp_path / "raw", tmp_path / "x", tmp_path / ".c"][::order]
    assert set(check_roots(roots)) == {tmp_path, tmp_path / ".c"}
    stay = {tmp_path, tmp_path / "raw", roots[0], tmp_path / ".c"}
    assert set(check_roots(roots, choosing("-raw/"))) == stay
    assert check_roots(roots, Filters(default_excludes=False)) == [tmp_path]
    assert set(check_roots(roots, choosing("+/x/"))) == set(roots) - {tmp_path / "x"}
    assert set(check_roots(roots, choosing("-raw/", "+a.jpg"))) == set(roots) - {tmp_path / "x"}
    files = [tmp_path / "raw/a.jpg", tmp_path / "x/b.jpg"]
    assert check_roots([tmp_path, *files], choosing("-raw/")) == [tmp_path, files[0]]


few = st.sampled_from(["raw/", "/raw/", "x/", "a.jpg", "x/*", "raw/x/", "*", "raw/*.jpg"])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("archive")
    put_all(top, "a.jpg", "b.jpg", "raw/a.jpg", "raw/x/b.jpg", "x/raw/a.jpg", ".c/a.jpg")
    put(top / "x/b.jpg")
    link(top / "link", "raw")
    link(top / "x/link.jpg", "../a.jpg")
    return top


@pytest.mark.plans
@settings(max_examples=CHOICES, derandomize=CHOICES == 40)
@given(data=st.data())
def test_no_photo_is_taken_twice_whatever_is_chosen(
    archive: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    places = [archive, *sorted(archive.rglob("*"))]
    roots = data.draw(st.lists(st.sampled_from(places), max_size=4))
    listed = data.draw(st.lists(st.sampled_from([p for p in places if p.is_file()]), max_size=4))
    rules = data.draw(st.lists(signed(few), max_size=3))
    filters = replace(
        listing(tmp_path_factory.getbasetemp(), *listed) if listed else EVERYTHING,
        patterns=choosing(*rules).patterns,
        follow_symlinks=data.draw(st.booleans()),
        default_excludes=data.draw(st.booleans()),
    )
    found = anyio.run(partial(all_of, *check_roots(roots, filters), filters=filters))
    taken = [os.path.realpath(f.path) for f in found if isinstance(f, Photo)]
    assert len(taken) == len(set(taken))
    repeated = [f.path for f in found if word(f) == "repeated" and f.path.is_file()]
    assert {os.path.realpath(path) for path in repeated} <= set(taken)
    if not rules:
        hidden = ".c/" if filters.default_excludes else "no"
        assert {os.path.realpath(p) for p in listed if hidden not in str(p)} <= set(taken)
        assert {os.path.realpath(p) for p in roots if p.is_file()} <= set(taken)


# lists


def listing(tmp_path: Path, *lines: str | Path) -> Filters:
    """Return the choice of what a list names."""
    file = tmp_path / "list"
    file.write_bytes(b"".join(os.fsencode(line) + b"\n" for line in lines))
    return Filters(listing=Listing(str(file)))


async def test_listed_files_are_taken_in_their_order_after_the_folders(tmp_path: Path) -> None:
    b, a, c, first = put_all(tmp_path, "b.jpg", "x/a.jpg", "y/c.jpg", "z/d.jpg", content=b"12")
    single = link(tmp_path / "link.jpg", c)
    found = await all_of(tmp_path / "z", filters=listing(tmp_path, b, single, a))
    assert found == [photo_at(path) for path in (first, b, single, a)]


async def test_listed_paths_begin_at_the_current_folder(tmp_path: Path) -> None:
    put_all(tmp_path, "x/a.jpg", "b.jpg")
    filters = listing(tmp_path, "a.jpg", "./a.jpg", "../b.jpg", "b.jpg")
    with chdir(tmp_path / "x"):
        found = await all_of(filters=filters)
    assert [str(f.path) for f in found] == ["a.jpg", "a.jpg", "../b.jpg", "b.jpg"]
    assert [*map(word, found)] == ["taken", "repeated", "taken", "No such file or directory"]


async def test_listed_paths_that_are_missing_or_not_files_are_reported(tmp_path: Path) -> None:
    path = put(tmp_path / "x/a.jpg")
    strange = tmp_path / os.fsdecode(b"\xff.jpg")
    listed = [tmp_path / "gone.jpg", strange, tmp_path / ("x" * 300), path.parent, path]
    rest = [Path("a" * 200)] * 100  # a list with a NUL in its first piece has another meaning
    found = await all_of(filters=listing(tmp_path, *listed, *rest, "b\0c"))
    assert [f.path for f in found] == [*listed, *rest, Path("b\0c")]
    reasons = ["No such file or directory"] * 2 + ["File name too long", "it is a folder"]
    assert [*map(word, found[:5])] == [*reasons, "taken"]
    assert isinstance(found[3], Unreadable)
    assert "pass the folder itself" in found[3].kind.remedy
    assert found[-1] == Unreadable(
        Path("b\0c"), "its name contains a NUL", local_failures.NOT_THERE
    )


async def test_a_list_is_chosen_from_as_folders_are_but_not_by_those_above(
    tmp_path: Path,
) -> None:
    root = tmp_path / ".hidden" / "raw"
    names = ["raw/a.jpg", "b.jpg", "c.txt", "@eaDir/d.jpg", "../e.jpg"]
    put_all(root, *names[:-1])
    put(root.parent / "e.jpg")
    filters = listing(tmp_path, *names, root / "b.jpg")
    filters = replace(filters, patterns=choosing("-raw/").patterns)
    with chdir(root):
        found = await all_of(filters=filters)
    assert [*map(word, found)] == ["excluded", "taken", "type", "junk", "taken", "repeated"]
    assert word((await all_of(filters=filters))[-1]) == "junk"  # from above it counts


# memory


def test_files_seen_take_little_memory(tmp_path: Path) -> None:
    status = list(put(tmp_path / "a").stat())
    status[3] = 1  # names
    seen = Seen()
    for number in range(1, 50_001):
        status[1] = number
        assert seen.add(tmp_path, os.stat_result(status))
    status[1] = 5000
    assert not seen.add(tmp_path, os.stat_result(status))
    assert len(seen._bits) < 200
