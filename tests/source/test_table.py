"""Tables of metadata: their encodings, columns and values, and which photo a row is for."""

import csv
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook

from bulkup.errors import UsageError
from bulkup.source.cells import TableFile, read_date, read_degrees
from bulkup.source.metadata import Metadata
from bulkup.source.table import Table
from tests.support.archives import write_zip


def write_table(folder: Path, *rows: Sequence[object], name: str = "t.csv") -> Path:
    """Write a table as comma-separated values in UTF-8."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def read(path: Path, /, *roots: Path, **columns: str) -> Table:
    return Table(TableFile(path, columns), roots=roots)


def problems(table: Table) -> list[tuple[int, str]]:
    return [(problem.line, problem.reason) for problem in table.problems]


def titles(table: Table, *photos: Path) -> list[str | None]:
    found = map(table.metadata_of, photos)
    return [None if metadata is None else metadata.title for metadata in found]


# files


TEXT = "Datei;Titel;Schlagwörter\r\na.jpg;Grüße – „Größe“;Rom, Italien\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_encoding_and_separator_are_recognised(
    tmp_path: Path, encoding: str, separator: str
) -> None:
    text = TEXT.replace("Rom, Italien", '"Rom, Italien"').replace(";", separator)
    (path := tmp_path / "t.csv").write_bytes(text.encode(encoding))
    table = read(path, tmp_path, path="Datei", title="titel", tags="Schlagwörter")
    metadata = table.metadata_of(tmp_path / "a.jpg")
    assert metadata == Metadata(title="Grüße – „Größe“", tags=("Rom", "Italien"))


def test_lines_are_counted_as_in_an_editor_and_a_broken_row_is_only_a_problem(
    tmp_path: Path,
) -> None:
    text = 'sep=;\n\npath;title;date\na.jpg;"two\nlines";x\n\nb.jpg\n;T\nc.jpg;C;2019;more;cells\n'
    (path := tmp_path / "t.csv").write_text(text + f"d.jpg;{'x' * 200_000}\ne.jpg;E", "utf-8")
    table = read(path, tmp_path)
    photos = [tmp_path / f"{name}.jpg" for name in "abcde"]
    assert titles(table, *photos) == ["two lines", "", "C", None, "E"]
    (dated, *_), (named, _), (wide, _) = problems(table)
    assert (dated, named, wide) == (4, 8, 10)


def test_a_workbook_gives_texts_numbers_and_dates(tmp_path: Path) -> None:
    book = Workbook()
    book.create_sheet("other").append(["nothing"])
    sheet = book.worksheets[0]
    rows: list[list[object]] = [
        ["File", "Title", "Date Taken", "Level", "GPS Latitude", "lon", "Cover"],
        ["a.jpg", 2019, datetime.fromisoformat("2019-07-04 12:30"), 4, 45.5, -9, True],
        [None] * 7,
        ["b.jpg", "#N/A", date(2019, 7, 4), None, None, None, None],
    ]
    for row in rows:
        sheet.append(row)
    book.save(path := tmp_path / "a table.csv")  # the name does not matter
    table = read(path, tmp_path)
    one, other = (table.metadata_of(tmp_path / name) for name in ("a.jpg", "b.jpg"))
    assert one is not None
    assert other is not None
    assert (one.title, one.level, one.position, one.cover) == ("2019", 4, (45.5, -9.0), True)
    assert one.date is not None
    assert (one.date.text, bool(one.date.leeway)) == ("2019-07-04 12:30:00", False)
    assert other.date is not None
    assert (other.title, other.date.leeway.days) == ("", 1)
    assert table.row(1) == (4, "b.jpg")
    assert not table.problems


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is known"),
        (b"title,tags\nT,x\n", "tells which photo"),
        (b"path\na.jpg\n", "has metadata"),
        (b"\0" * 5000, "is known"),
        (b"PK\x03\x04 and no more", "not an intact Excel file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old format"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (path := tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read(path)
    assert caught.value.hint


def test_a_column_or_file_that_is_missing_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path, ["path", "Caption"])
    with pytest.raises(UsageError, match="no column “Titel”") as caught:
        read(path, title="Titel")
    assert "path, Caption" in caught.value.hint
    for missing in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UsageError):
            read(missing)


# columns and values


def test_columns_are_found_by_their_usual_names_or_those_given(tmp_path: Path) -> None:
    head = ["SourceFile", "FileName", "XMP:Title", "Caption-Abstract", "By-line", "Keywords"]
    path = write_table(
        tmp_path,
        [*head, "Note", "album", "Privacy Level", "RATING", "Rank"],
        *[["./x/a.jpg", "b.jpg", "T", "D\n\nE", "A", "r, s", "N", "p/ q;r", "Family", "4", "7"]],
    )
    table = read(path, tmp_path)
    wanted = Metadata(
        title="T",
        description="D\n\nE",
        author="A",
        tags=("r", "s"),
        albums=(("p", "q"), ("r",)),
        level=4,
        rating=4,
        rank=7,
    )
    assert table.metadata_of(tmp_path / "x/a.jpg") == wanted
    table = read(path, tmp_path, path="FileName", title="Note", tags="xmp:title")
    found = table.metadata_of(tmp_path / "b.jpg")
    assert found is not None
    assert (found.title, found.tags) == ("N", ("T",))


def test_wrong_values_are_named_with_their_lines_and_the_rest_of_the_row_is_used(
    tmp_path: Path,
) -> None:
    head = ["path", "title", "date", "level", "latitude", "longitude", "rank", "cover", "rating"]
    path = write_table(
        tmp_path,
        head,
        ["a.jpg", "A", "31.02.2019", "3", "91", "9", "-1", "perhaps", "6"],
        ["b.jpg", "B", "", "", "", "9", "", "", ""],
        ["c.jpg", "C", "2019", "0", "1", "2", "3", "no", "1"],
    )
    table = read(path, tmp_path)
    assert titles(table, *(tmp_path / f"{name}.jpg" for name in "abc")) == ["A", "B", "C"]
    lines = [number for number, _ in problems(table)]
    assert lines == [2] * 6 + [3]
    hidden = table.metadata_of(tmp_path / "a.jpg")
    assert hidden is not None
    assert hidden.level == 8  # a photo that was to be hidden must not become public


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2019-07-04 12:30:15", "2019-07-04 12:30:15"),
        ("2019-7-4T9:05", "2019-07-04 09:05:00"),
        ("2019:07:04 12:30:15+02:00", "2019-07-04 12:30:15"),
        ("2019/07/04", "2019-07-04 00:00:00"),
        ("4.7.2019, 12:30", "2019-07-04 12:30:00"),
        ("7/14/2019 3:05 PM", "2019-07-14 15:05:00"),
        ("14/7/2019 12:05 a.m.", "2019-07-14 00:05:00"),
        ("2019-07", "2019-07-01 00:00:00"),
        ("7/4/2019", None),
        ("2019-02-30", None),
        ("2019-07-04 25:00", None),
        ("٢٠١٩-07-04", None),
        ("yesterday", None),
    ],
)
def test_dates_are_read_unless_they_are_ambiguous(text: str, date: str | None) -> None:
    found = read_date(text)
    assert (found.text if found else None) == date


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("45.5", 45.5),
        ("-45,5", -45.5),
        ("45° 30' N", 45.5),
        ("45 deg 30' 0.00\" S", -45.5),
        ("s 45.5", -45.5),
        ("45.5 E", None),
        ("N 45.5 N", None),
        ("45° 61'", None),
        ("90.1", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_degrees_are_read(text: str, degrees: float | None) -> None:
    assert read_degrees(text, most=90, signs="NS") == degrees


# which photo a row is for


def test_a_row_names_its_photo_in_many_ways(tmp_path: Path) -> None:
    root, other = tmp_path / "archive", tmp_path / "link"
    (root / "2019").mkdir(parents=True)
    other.symlink_to(root)
    nfd = unicodedata.normalize("NFD", "Zürich.jpg")
    written = {
        f"{root}/2019/absolute.jpg": "2019/absolute.jpg",
        f"{tmp_path.resolve()}/archive/2019/real.jpg": "2019/real.jpg",
        "2019/root.jpg": "2019/root.jpg",
        "./archive//2019/parent.jpg": "2019/parent.jpg",
        "../archive/2019/table.jpg": "2019/table.jpg",
        "2019\\windows.jpg": "2019/windows.jpg",
        "C:\\Photos\\2019\\foreign.jpg": "2019/foreign.jpg",
        "name.jpg": "2019/name.jpg",
        "2019/CASE.JPG": "2019/case.jpg",
        f"2019/{nfd}": "2019/Zürich.jpg",
        "2019/'\"💥\n.jpg": "2019/'\"💥\n.jpg",
    }
    (tmp_path / "tables").mkdir()
    rows = [[path, f"title {number}"] for number, path in enumerate(written)]
    path = write_table(tmp_path / "tables", ["path", "title"], *rows)
    for base in (root, other):
        table = read(path, base)
        photos = [base / name for name in written.values()]
        assert titles(table, *photos) == [title for _, title in rows]
    assert titles(table, other / "2019/another.jpg", other / "absolute.jpg") == [None, None]


def test_names_in_zip_archives_count_from_the_archive_or_its_folder(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "part.zip", {"Trip/a.jpg": b"a", "Trip/b.jpg": b"b"})
    path = write_table(
        tmp_path, ["file", "title"], ["part.zip/Trip/a.jpg", "A"], ["trip/B.jpg", 2]
    )
    table = read(path, archive)
    assert titles(table, archive / "Trip/a.jpg", archive / "Trip/b.jpg") == ["A", "2"]


def test_a_file_name_that_several_photos_or_rows_have_is_used_for_none(tmp_path: Path) -> None:
    rows = [["a.jpg", "A"], ["b.jpg", "B"], ["D:/x/c.jpg", "C"], ["D:/y/c.jpg", "D"]]
    table = read(write_table(tmp_path, ["path", "title"], *rows), tmp_path / "photos")
    photos = [tmp_path / "photos" / name for name in ("1/a.jpg", "2/a.jpg", "1/b.jpg", "1/c.jpg")]
    assert table.needs_names
    for photo in photos:
        table.count(photo)
    assert titles(table, *photos) == [None, None, "B", None]
    assert [table.is_ambiguous(number) for number in range(4)] == [True, False, True, True]


def test_the_later_of_two_rows_applies_and_spelling_counts_where_it_distinguishes(
    tmp_path: Path,
) -> None:
    for name in ("c.jpg", "C.JPG"):
        (tmp_path / name).touch()
    rows = [["x/a.jpg", 1], [f"{tmp_path}/x/a.jpg", 2], ["x/a.jpg", 3], ["x/b.jpg", 4]]
    rows += [["x/B.jpg", 5], ["x/B.JPG", 6], ["C.JPG", 7]]
    table = read(write_table(tmp_path, ["path", "title"], *rows), tmp_path)
    photos = [tmp_path / name for name in ("x/a.jpg", "x/b.jpg", "x/B.jpg", "x/b.JPG")]
    assert titles(table, *photos) == ["3", "4", "5", None]
    assert list(table.rows_of(photos[0])) == [1, 2]
    assert [table.is_replaced(number) for number in range(3)] == [True, False, False]
    if not (tmp_path / "c.JPG").exists():  # the file system distinguishes names by case
        assert titles(table, tmp_path / "C.JPG", tmp_path / "c.jpg") == ["7", None]


def test_rows_are_kept_in_little_memory_and_found_beyond_the_first_block(tmp_path: Path) -> None:
    rows = [[f"{number % 7}/IMG_{number:05}.JPG", f"Title {number}"] for number in range(500)]
    table = read(write_table(tmp_path, ["path", "title"], *rows), tmp_path)
    photos = [tmp_path / path for path, _ in rows]
    assert titles(table, *photos) == [title for _, title in rows]
    assert sum(map(len, table._rows._blocks)) < sum(len("".join(row)) for row in rows)
