"""The catalogue: whole in both languages, and never a reason to fail."""

from __future__ import annotations

import re
import string
import subprocess
import sys

import pytest

from zscrape import messages
from zscrape.messages import CATALOGUE, negotiate, outcome_key, placeholders, shown, text

HANGUL = re.compile("[가-힣]")
PARTS = [  # what the catalogue is put together from
    part
    for name, part in (vars(messages) | vars(shown)).items()
    if isinstance(part, dict) and name.isupper() and name not in ("_SAID", "SHOWN")
]


@pytest.mark.parametrize("key", sorted(CATALOGUE))
def test_both_languages_have_the_same_placeholders(key: str) -> None:
    """A text loses nothing in the other language."""
    entry = CATALOGUE[key]

    assert placeholders(entry.en) == placeholders(entry.ko)
    assert entry.en.strip()
    assert entry.ko.strip()


@pytest.mark.parametrize("key", sorted(CATALOGUE))
def test_korean_is_korean(key: str) -> None:
    """A text with words in it is translated, not copied; English has no Hangul."""
    entry = CATALOGUE[key]
    bare = "".join(literal for literal, *_ in string.Formatter().parse(entry.en))

    assert not HANGUL.search(entry.en)
    if len(re.findall("[A-Za-z]{2,}", bare)) >= 3:
        assert HANGUL.search(entry.ko)


def test_no_key_stands_in_two_parts() -> None:
    """Every part of the catalogue is whole: none of its texts is hidden by another's."""
    assert sum(len(part) for part in PARTS) == len(CATALOGUE)


def test_text_is_filled_in_the_language_asked_for() -> None:
    """Placeholders take their fields, in either language."""
    assert text("client.answer_invalid", "en", url="u", status=404).endswith("Check --url.")
    assert "HTTP 404" in text("client.answer_invalid", "ko", url="u", status=404)


def test_unknown_language_is_english_and_unknown_key_is_itself() -> None:
    """Telling something is better than failing while telling."""
    assert text("cli.help", "fr") == text("cli.help", "en")
    assert text("no.such.key", "ko") == "no.such.key"
    assert "no.such.key" not in CATALOGUE


def test_missing_field_shows_its_name() -> None:
    """A placeholder without a value does not raise."""
    assert text("client.answer_invalid", "en", url="u").count("{status}") == 1


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en;q=0.3, ko;q=0.7", "ko"),
        ("fr, en;q=0.5, ko;q=0.4", "en"),
        ("ko;q=x, en;q=0.1", "en"),
        ("ko;q=0", "en"),
        ("*", "en"),
    ],
)
def test_language_is_negotiated_by_quality(header: str, lang: str) -> None:
    """The best of our languages in `Accept-Language` wins; nonsense is passed over."""
    assert negotiate(header) == lang


def test_default_language_is_kept_when_none_fits() -> None:
    """A header that asks for none of ours leaves the default."""
    assert negotiate("fr", default="ko") == "ko"
    assert messages.LANGUAGES == ("en", "ko")


_SERVING = """
import sys
from zscrape.messages import outcome_key, text
text("event.gateway_ready", "ko", http="h", link="l")
text(outcome_key("timeout", {}))
print("zscrape.messages.shown" in sys.modules)
print(text("cli.up.next", "ko"))
print("zscrape.messages.shown" in sys.modules)
"""


def test_what_serves_holds_no_words_that_it_does_not_say() -> None:
    """Those of terminals and the dashboard are loaded with the first of them."""
    told = subprocess.run(
        [sys.executable, "-c", _SERVING], capture_output=True, check=True, encoding="utf-8"
    ).stdout

    assert told.split("\n") == ["False", text("cli.up.next", "ko"), "True", ""]


def test_an_outcome_has_words_for_the_way_that_it_came_about() -> None:
    """Where a field names one that has words of its own; else those of its code."""
    assert outcome_key("output_limit", {}) == "output_limit"
    assert outcome_key("output_limit", {"what": "nothing"}) == "output_limit"
    assert outcome_key("output_limit", {"what": "items"}) == "output_limit.items"
