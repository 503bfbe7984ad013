"""Photos with a tag are added to the album for it."""

from pathlib import Path

from bulkup.sandbox import Sandbox
from tests.support.commands import send
from tests.support.embedded import iptc, write_jpeg, xmp
from tests.support.photos import write_photo

RULES = (
    *("--album-for-tag", "Share-Family=Shared/Family 'x'"),
    *("--album-for-tag", "sea=At sea", "--album-for-tag", "scan=At sea"),
)


def albums_of(box: Sandbox) -> dict[str, set[str]]:
    """Return the full names of the albums of each photo."""
    albums = box.gallery.albums
    return {
        photo.file: {box.gallery.fullname(albums[i]) for i in photo.albums}
        for photo in box.gallery.photos.values()
    }


async def test_tags_of_files_sidecars_and_tables_choose_further_albums(
    box: Sandbox, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "Rome", ("--ledger", tmp_path / "ledger.sqlite")
    folder.mkdir()
    write_jpeg(folder / "a.jpg", iptc("A", "share-family"))
    write_photo(folder / "b.jpg", "b")
    (folder / "b.xmp").write_bytes(xmp("B", "SEA", "share-family"))
    write_photo(folder / "c.jpg", "c")
    write_photo(folder / "d.jpg", "d")
    table = tmp_path / "table.csv"
    table.write_text("path,tags\nRome/c.jpg,Scan\n")
    flags = (*RULES, "--metadata", table, "--tree")
    planned = await send(box, folder, *flags, "--no-ledger", "--dry-run")
    assert "Family" not in {album.name for album in box.gallery.albums.values()}
    first = await send(box, folder, *flags, *ledger)
    home, shared, sea = (f"Sandbox / {name}" for name in ("Rome", "Shared / Family 'x'", "At sea"))
    expected = {
        "a.jpg": {home, shared},
        "b.jpg": {home, shared, sea},
        "c.jpg": {home, sea},
        "d.jpg": {home},
    }
    assert albums_of(box) == expected
    (folder / "d.xmp").write_bytes(xmp("D", "sea"))
    missing = await send(box, "verify", folder, *flags, "--no-ledger")
    again = await send(box, folder, *flags, *ledger)
    assert albums_of(box) == expected | {"d.jpg": {home, sea}}
    found = await send(box, "verify", folder, *flags, "--no-ledger")
    plain = await send(box, folder, *flags, *ledger, "--no-sidecars", "--no-embedded")
    ends = [ended.code for ended in (planned, first, missing, again, found, plain)]
    assert ends == [0, 0, 1, 0, 0, 0]
