"""The depth of documents that are deeper than callers' limits, and of hostile ones."""

from __future__ import annotations

import pytest

from zscrape.core.nesting import READABLE_DEPTH, depth_of


@pytest.mark.parametrize("depth", [1, 15, 16, 17, 18, 40, READABLE_DEPTH, READABLE_DEPTH + 1])
@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}"), (b'["]",', b',"["]')])
def test_depth_is_counted_up_to_one_above_the_limit(depth: int, begin: bytes, end: bytes) -> None:
    """Arrays, objects and brackets in strings: what is deeper than the limit is known as that."""
    many = b"[]," * READABLE_DEPTH  # more openings than any limit: they are looked at
    document = b"[" + many + begin * (depth - 1) + b"1" + end * (depth - 1) + b',"[","\\"[",[]]'
    limits = (0, 16, 17, READABLE_DEPTH)

    assert [depth_of(document, limit) for limit in limits] == [
        min(max(depth, 2), limit + 1) for limit in limits
    ]


@pytest.mark.parametrize("document", [b"[" * 2_000, b"]" * 2_000 + b"[" * 2_000, b'["' * 1_000])
def test_what_is_no_json_has_some_depth(document: bytes) -> None:
    """Whatever is not balanced is left to the decoder."""
    assert 0 <= depth_of(document, READABLE_DEPTH) <= READABLE_DEPTH + 1


def test_more_deep_places_than_can_be_counted_are_too_deep() -> None:
    """Counting them would take seconds in which nothing else runs: nobody's results are such."""
    deep = b"[" * 800 + b"1" + b"]" * 800 + b","

    assert depth_of(b"[" + deep * 100 + b"1]", READABLE_DEPTH) == 801
    assert depth_of(b"[" + deep * 250 + b"1]", READABLE_DEPTH) == READABLE_DEPTH + 1
    assert depth_of(b"[" + deep * 3_000 + b"1]", READABLE_DEPTH) == READABLE_DEPTH + 1
    assert depth_of(b"[" + b"[[1],[2]]," * 1_000_000 + b"1]", READABLE_DEPTH) == 3


def test_few_openings_are_no_depth() -> None:
    """What has no more openings than the limit is not looked into."""
    assert depth_of(b"[[1]]", 2) == 0
    assert depth_of(b"[[1]]", 5) == 0


def test_large_document_with_few_openings_is_no_depth() -> None:
    """Where texts are long, openings are looked for, not counted; so many are few."""
    filling = b'"%b"' % (b"x" * 20_000)
    few, many = (b"[" * count + filling + b"]" * count for count in (16, 17))
    objects = b'{"a":' * 17 + filling + b"}" * 17

    assert [depth_of(each, 16) for each in (few, many, objects)] == [0, 17, 17]
