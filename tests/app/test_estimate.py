"""What is counted of an archive, and that only counts are kept of it."""

from pathlib import Path

from bulkup.app.doctor import EXAMPLES, OTHER_TYPES, TYPES_KEPT, Estimate, estimate
from bulkup.engine.ports import NoLedger
from tests.support.photos import write_files


async def count(*roots: Path, signs: list[int] | None = None) -> Estimate:
    return await estimate(
        roots,
        endings={"jpg"},
        chunk_size=10,
        ledger=NoLedger(),
        album=None,
        progress=(signs if signs is not None else []).append,
    )


async def test_what_is_not_there_to_be_read_is_counted_and_named(tmp_path: Path) -> None:
    counts = await count(*(tmp_path / f"{n}.jpg" for n in range(EXAMPLES + 2)))
    assert (counts.photos, counts.unreadable) == (0, EXAMPLES + 2)
    assert counts.examples == {
        tmp_path / f"{n}.jpg": "No such file or directory" for n in range(EXAMPLES)
    }


async def test_of_very_many_types_the_first_are_kept_apart(tmp_path: Path) -> None:
    write_files(tmp_path, *(f"x.t{n:04}" for n in range(TYPES_KEPT + 50)))
    signs: list[int] = []
    counts = await count(tmp_path, signs=signs)
    assert len(counts.types) == TYPES_KEPT + 1
    assert counts.types[OTHER_TYPES] == 50
    assert signs == [64, 128, 192, 250]
