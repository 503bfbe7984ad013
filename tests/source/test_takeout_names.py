"""Names in a Takeout, cut off, numbered and edited: which JSON file belongs to which photo."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkup.source.takeout.names import EDITED, LONGEST, SUFFIX, FolderNames, Tie


def folder(*names: str) -> FolderNames:
    return FolderNames(dict.fromkeys(names, Path()))


def json_of(photo: str, *others: str) -> str | None:
    """Return the JSON file that a photo has in a folder with these other files."""
    found = folder(photo, *others).json_of(photo)
    return found[0] if found else None


LONG = "Urlaub in Knaufspesch in der Schneifel (38)"
CEREMONY = "Backyard_ceremony_wedding_photography_xxxxxxx_"
ORIGINAL = "original_1d4caa6f-16c6-4c3d-901b-9387de10e528_"
PIXEL = "PXL_20230809_203449253.LONG_EXPOSURE-02.ORIGIN"
COVER = "PXL_20240506_142610305.LONG_EXPOSURE-01.COVER."
MOTION = "PXL_20211120_223243932.MOTION-02.ORIGINAL.jpg"
FACES = "😀😃😄😁😆😅😂🤣🥲☺️😊😇🙂🙃😉😌😍🥰😘😗😙😚😋"  # 46 characters for Google
FACEBOOK = "Screenshot_20231027_123303_Facebook"
SNAPCHAT = "Screenshot_2024-08-31-00-53-48-647_com.snapcha"
DIGITS = "21345678901234567890123456789012345678901234567"


@pytest.mark.parametrize(
    ("photo", "json"),
    [
        *(
            ("IMG_1.jpg", f"IMG_1.jpg{end}.json")
            for end in ("", ".supplemental-metadata", ".supplemental-meta", ".suppl", ".s", ".")
        ),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-me(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1(2).jpg.json"),
        ("IMG2021021(1)74722(1).jpg", "IMG2021021(1)74722.jpg(1).json"),
        ("Negative0-36-35(1)(1).jpg", "Negative0-36-35(1).jpg.supplemental-metadata(1).json"),
        ("skytree (2).jpg", "skytree (2).jpg.supplemental-metadata.json"),
        ("CLIP0001(10).AVI", "CLIP0001.AVI.supplemental-metadata(10).json"),
        ("IMG_1-EDITED.JPG", "IMG_1.JPG.json"),
        ("IMG_1(2)-edited.jpg", "IMG_1(2)-edited.jpg.json"),
        ("IMG_1(2)-edited.jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2)-edited.jpg", "IMG_1(2).jpg.json"),
        ("20220322_205147-edited(1).jpg", "20220322_205147.jpg.supplemental-metadata(1).json"),
        ("PXL_1.PORTRAIT-modifié.jpg", "PXL_1.PORTRAIT.jpg.json"),
        ("PXL_1.MP~2.jpg", "PXL_1.MP~2.jpg.json"),
        (f"{FACEBOOK}-edited.jpg", f"{FACEBOOK}.jpg.supple.json"),
        (f"{FACEBOOK}(1).jpg", f"{FACEBOOK}.jpg.supple(1).json"),
        # an edited version whose own name was cut off
        (f"{'x' * 41}-edite.jpg", f"{'x' * 41}.jpg..json"),
        (f"{'x' * 44}-ed.jpg", f"{'x' * 44}.j.json"),
        # names cut after 46 or 51 characters, or after as many UTF-16 code units
        (f"{LONG}.JPG", f"{LONG}.JP.json"),
        (f"{PIXEL}A.jpg", f"{PIXEL}.json"),
        (f"{COVER}jpg", f"{COVER}.json"),
        (MOTION, f"{MOTION}..json"),
        (f"{SNAPCHAT}t.jpg", f"{SNAPCHAT}.json"),
        (f"{CEREMONY}m(494).jpg", f"{CEREMONY}(494).json"),
        (f"{DIGITS}.png", f"{DIGITS[:46]}.json"),
        (f"{DIGITS}890.png", f"{DIGITS}890.json"),
        (f"{DIGITS}8901234.png", f"{DIGITS}8901.json"),
        (f"{FACES}😛.jpg", f"{FACES}.json"),
        ("13039_327707840323_537645323_9470255_27214_n(1).jpg",
         "13039_327707840323_537645323_9470255_27214_n.j(1).json"),
        ("D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg",
         "D7157814-D2D5-4A62-AFCE-9CF465CB7D66.jpeg.supp.json"),
        # two titles that were cut to the same name, of which only one has a JSON file
        (f"{ORIGINAL}P(1).jpg", f"{ORIGINAL}.json"),
        # titles without an extension
        ("27_06_12 - 2.jpg", "27_06_12 - 2.json"),
        ("2234089303984509579-edited.jpg", "2234089303984509579.supplemental-metadata.json"),
        ("no ending", "no ending.json"),
        (".jpg", ".jpg.json"),
        (unicodedata.normalize("NFD", "Été.jpg"), "Été.jpg.JSON"),
        ("Été.jpg", unicodedata.normalize("NFD", "Été.jpg.json")),
    ],
)  # fmt: skip
def test_a_photo_has_the_json_of_its_name(photo: str, json: str) -> None:
    found = json_of(photo, json)
    assert found is not None
    assert found.lower() == unicodedata.normalize("NFC", json).lower()
    assert not folder(photo, json).lacks_photo(found)
    assert folder(json, "a.jpg").lacks_photo(found.replace(".json", ".JSON"))


@pytest.mark.parametrize(
    ("photo", "json"),
    [
        ("IMG_1.jpg", "IMG_1.jpg(2).json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplementary.json"),
        ("IMG_1.jpg", "IMG_10.jpg.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(3).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.json"),
        ("IMG_1-EDITED.JPG", "IMG_1.png.json"),
        ("-edited.jpg", ".jpg.json"),
        ("unedited.jpg", "un.jpg.json"),
        ("short-ed.jpg", "short.jpg.json"),
        ("PXL_1.PORTRAIT-modifié.jpg", "PXL_2.PORTRAIT.jpg.json"),
        (f"{CEREMONY}m(185).jpg", f"{CEREMONY}(494).json"),
        ("IMG_1.MP4", "IMG_1.HEIC.json"),  # without the photo
    ],
)
def test_a_photo_has_not_the_json_of_another(photo: str, json: str) -> None:
    assert json_of(photo, json) is None
    assert folder(photo, json).lacks_photo(json)


def test_a_photos_own_name_comes_before_that_of_the_original() -> None:
    own, *others = "IMG_1(2)-edited.jpg.json", "IMG_1(2).jpg.json", "IMG_1.jpg(2).json"
    assert json_of("IMG_1(2)-edited.jpg", own, *others) == own
    assert json_of("IMG_1(2)-edited.jpg", *others) == others[0]
    assert json_of("IMG_1.jpg", "IMG_1.json", "IMG_1.jpg.json") == "IMG_1.jpg.json"
    one, two = f"{CEREMONY}.json", f"{CEREMONY}(1).json"
    assert json_of(f"{CEREMONY}m(1).jpg", one, two) == two
    assert json_of(f"{CEREMONY}m.jpg", one, two) == one


@pytest.mark.parametrize(
    ("video", "still", "json"),
    [
        ("IMG_4573.MP4", "IMG_4573.HEIC", "IMG_4573.HEIC.json"),
        ("IMG_4573.mov", "IMG_4573.JPG", "IMG_4573.JPG.supplemental-metadata.json"),
        ("IMG_1(1).MOV", "IMG_1(1).HEIC", "IMG_1.HEIC.supplemental-metadata(1).json"),
        ("PXL_1.MP", "PXL_1.MP.jpg", "PXL_1.MP.jpg.json"),
        ("PXL_1.MP~2", "PXL_1.MP~2.jpg", "PXL_1.MP~2.jpg.json"),
        ("MVIMG_20180418_113218", "MVIMG_20180418_113218.jpg", "MVIMG_20180418_113218.jpg.json"),
    ],
)
def test_the_video_of_a_live_photo_has_the_json_of_the_photo(
    video: str, still: str, json: str
) -> None:
    names = folder(video, still, json)
    assert names.still_of(video) == still
    assert names.json_of(video) == (json, Tie.LIVE)
    assert names.json_of(still) == (json, Tie.OWN)
    assert names.still_of(still) is None
    own = folder(video, still, json, f"{video}.json").json_of(video)
    assert own == (f"{video}.json", Tie.OWN)
    assert folder(video, f"{video}.txt").json_of(video) is None


@pytest.mark.parametrize(
    ("edited", "original"),
    [
        *((f"IMG_1{word}.jpg", "IMG_1.jpg") for word in EDITED),
        ("IMG_1-edited(2).jpg", "IMG_1(2).jpg"),
        ("IMG_1(2)-edited.jpg", "IMG_1(2).jpg"),
        ("IMG_1-edited.jpg", "IMG_1.HEIC"),
        (f"{'x' * 41}-edite.jpg", f"{'x' * 41}.jpg"),
        (f"{'x' * 41}-edite(3).jpg", f"{'x' * 41}(3).jpg"),
    ],
)
def test_an_edited_version_belongs_to_its_original(edited: str, original: str) -> None:
    json = f"{original}.json"
    names = folder(edited, original, json, "other.jpg")
    assert names.json_of(edited) == (json, Tie.EDITED)
    assert names.original_of(edited) == original
    assert names.edited_of(original) == [edited]
    assert names.original_of(original) is None
    assert names.edited_of("other.jpg") == names.edited_of(edited) == []
    assert folder(edited, original, "b.json").original_of(edited) == original
    alone = folder(edited, original, json, f"{edited}.json")  # a photo of its own after all
    assert alone.original_of(edited) is None
    assert alone.edited_of(original) == []
    assert folder(edited, json).original_of(edited) is None


stems = st.text(st.characters(blacklist_characters="/\0.()", codec="utf-8"), min_size=1)


@given(
    stem=stems,
    ending=st.sampled_from([".jpg", ".HEIC", ".png"]),
    number=st.integers(1, 99) | st.none(),
    edited=st.sampled_from(["", *EDITED]),
    old=st.booleans(),
    units=st.booleans(),
)
def test_any_name_that_google_uses_is_found(
    stem: str, ending: str, *, number: int | None, edited: str, old: bool, units: bool
) -> None:
    count = f"({number})" if number else ""
    stem = unicodedata.normalize("NFC", stem)
    whole = stem + ending + ("" if old else SUFFIX)
    cut = whole[:LONGEST]
    if units:
        cut = whole.encode("utf-16-le")[: 2 * LONGEST].decode("utf-16-le", "ignore")
    json = f"{unicodedata.normalize('NFC', cut)}{count}.json"
    assert json_of(f"{stem}{edited}{count}{ending}", json) == json


@given(st.lists(st.text("aé(1)-.jsonpgedit~MPV4😛\ud800", max_size=60), max_size=12))
def test_any_names_are_read(names: list[str]) -> None:
    there = folder(*names)
    for name in names:
        found = there.json_of(name)
        assert found is None or found[0] in there.sidecars
        assert there.original_of(name) != name
        there.edited_of(name)
    for json in there.jsons:
        there.lacks_photo(json)
