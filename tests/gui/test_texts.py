"""The words of the pages: all in one place, the same in each language, each used."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

import bulkup.gui.texts
from bulkup.events import SkipReason
from bulkup.gui.runs import COUNTS
from bulkup.gui.steps import STEPS
from bulkup.gui.steps.history import TASKS
from bulkup.gui.steps.options import HINTS, MAIN, kind_of
from bulkup.gui.steps.run import PHASES
from bulkup.gui.texts import choose, read_languages
from bulkup.output.findings import Mark
from bulkup.store.run_history import Ending

PACKAGE = Path(str(files("bulkup.gui")))
PAGES = sorted((PACKAGE / "pages").glob("*.html"))
LANGUAGES = read_languages()
CODE = "\n".join(path.read_text() for path in [*PAGES, *PACKAGE.rglob("*.py")])

NAMES = {step.name for step in STEPS}
PARTS = {
    "skipped.": {reason.value for reason in SkipReason},
    "options.": {
        *MAIN,
        *(
            f"{name}_{choice}"
            for name in MAIN
            if kind_of(name) == "choice"
            for choice in get_args(HINTS[name])
        ),
    },
    "checkup.mark.": {mark.value for mark in Mark},
    "count.": set(COUNTS),
    "history.task.": {*TASKS, "other"},
    "history.ending.": {"running", "killed", *filter(None, Ending)},
    "report.phase.": {*PHASES, "killed"} - {"idle"},
    "run.phase.": set(PHASES),
    "run.was.": {"killed", *filter(None, Ending)} - {Ending.DONE},
}
"""Texts whose keys are made from a value: all that it may be."""


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def own_texts(code: str) -> dict[str, str]:
    """Return the texts in a language's file, without those that it takes from English."""
    return bulkup.gui.texts.Texts(
        code, tomllib.loads((PACKAGE / "texts" / f"{code}.toml").read_text())
    ).by_key


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_has_the_texts_of_english_with_their_placeholders(code: str) -> None:
    english, other = LANGUAGES["en"].by_key, own_texts(code)
    assert other.keys() <= english.keys(), other.keys() - english.keys()
    for key, text in other.items():
        assert placeholders(text) == placeholders(english[key]), key
        assert text, key
    begun = {key.partition(".")[0] for key in other} & NAMES
    missing = {key for key in english.keys() - other.keys() if key.partition(".")[0] in begun}
    assert not missing, "only whole steps may lack, and are then shown in English"
    assert LANGUAGES[code].by_key.keys() == english.keys()


def test_a_text_that_a_language_lacks_is_shown_in_english() -> None:
    texts = bulkup.gui.texts.Texts("tlh", {"language": {"name": "tlhIngan Hol"}}, LANGUAGES["en"])
    assert (texts.name, texts("sources.add")) == ("tlhIngan Hol", "Add")


def test_french_has_no_break_before_its_punctuation() -> None:
    for key, text in own_texts("fr").items():
        assert not re.search(r" [:;?»]|« ", text), key


def test_every_text_is_used_and_every_one_used_is_there() -> None:
    used = set(re.findall(r"""["']([a-z][a-z_]*(?:\.[a-z_]+)+)["']""", CODE))
    used |= {f"{name}.title" for name in NAMES} | {f"{name}.wanted" for name in NAMES}
    used |= {f"{prefix}{part}" for prefix, parts in PARTS.items() for part in parts}
    used |= {f"{key}.{form}" for key in used for form in ("one", "many")}
    keys = {key for key in LANGUAGES["en"].by_key if not key.startswith("language.")}
    assert keys <= used, keys - used
    called = set(re.findall(r"""\b[tn]\(["']([\w.-]+)["'][,)]""", CODE))
    assert called <= keys | {key.rpartition(".")[0] for key in keys}
    for prefix, parts in PARTS.items():
        assert {f"{prefix}{part}" for part in parts} <= keys
        assert f'"{prefix}" ~' in CODE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_templates_have_no_words_of_their_own(page: Path) -> None:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", page.read_text(), flags=re.DOTALL)
    shown = re.findall(r'(?:aria-label|title|placeholder|alt|data-copied)="([^"]*)"', text)
    shown.append(re.sub(r"<[^>]*>", " ", text))
    assert set(re.findall(r"[^\W\d_]{2,}", " ".join(shown))) <= {"bulkup"}


def test_numbers_and_counts_are_written_as_in_the_language() -> None:
    english = LANGUAGES["en"]
    assert english.count("sources.found", 1, size=english.size(1234)) == "1 photo, 1.23 kB"
    assert english.count("sources.found", 1234, size="") == "1,234 photos, "
    assert english.count("checkup.problems", 0) == "0 problems."
    german, french = LANGUAGES["de"], LANGUAGES["fr"]
    assert german.count("sources.found", 12345, size=german.size(1234)) == "12.345 Fotos, 1,23 kB"
    assert french.count("sources.found", 0, size=french.size(1.5e6)) == "0 photo, 1,50 Mo"
    assert french.number(1234567) == "1\u202f234\u202f567"


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [
        ("", "", "en"),
        ("en", "tlh", "en"),
        ("fr", "de", "fr"),
        ("tlh", "fr-CH;q=0.7, de-AT, en;q=0.8", "de"),
        ("tlh", "tlh;q=1, en-GB;q=0.5", "en"),
        ("", "q=;;,,;q=x.y.z; *", "en"),
        ("", "en;q=....., a;q=1.2.3", "en"),
    ],
)
def test_the_language_is_that_of_the_cookie_or_the_best_accepted(
    cookie: str, accepted: str, chosen: str
) -> None:
    assert choose(LANGUAGES, cookie=cookie, accepted=accepted).code == chosen
