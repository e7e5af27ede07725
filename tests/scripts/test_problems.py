"""Faults told to people."""

from __future__ import annotations

import os

import pytest

from zscrape.messages import CATALOGUE
from zscrape.scripts.problems import pointer_to, problem, told


def test_a_problem_speaks_both_languages() -> None:
    """The same fault is told in English and in Korean, at the same place."""
    fault = problem("/timeout", "range", actual=0, minimum=1, maximum=5)

    assert told([fault], "en") == [
        {"pointer": "/timeout", "code": "range", "reason": "0 is not between 1 and 5"}
    ]
    assert told([fault], "ko")[0]["reason"] == "0은(는) 1에서 5 사이가 아닙니다"


def test_what_is_quoted_is_short_and_printable() -> None:
    """A megabyte of control characters in a value does not reach a terminal."""
    fault = problem("/name", "name", actual="\x1b[31m" + "x" * 1_000_000)

    assert len(fault["reason"]) < 300
    assert fault["reason"].isprintable()


def test_a_reason_without_a_code_is_told_as_it_is() -> None:
    """Problems that another room made keep their words."""
    assert told([{"pointer": "/a", "reason": "wrong"}], "ko")[0]["reason"] == "wrong"


def test_pointers_are_escaped() -> None:
    """A slash and a tilde inside a name are escaped as RFC 6901 says."""
    assert pointer_to("files", "a/b~c", 3) == "/files/a~1b~0c/3"


def test_pointers_to_names_that_are_no_text() -> None:
    """A name of a file that is no UTF-8 is told escaped: a pointer goes into answers and rows."""
    name = os.fsdecode(b"caf\xe9.txt")

    assert pointer_to("files", name).encode() == rb"/files/caf\udce9.txt"


@pytest.mark.parametrize("key", [each for each in CATALOGUE if each.startswith("problem.")])
def test_reasons_are_clauses(key: str) -> None:
    """A reason stands after a pointer: no full stop at its end, in either language."""
    assert not CATALOGUE[key].en.endswith(".")
    assert not CATALOGUE[key].ko.endswith(".")
