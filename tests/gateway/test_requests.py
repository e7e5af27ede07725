"""Depth of documents, and what msgspec's sentences become."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, strategies as st

from zscrape.core.nesting import depth_of
from zscrape.errors.requests import MalformedJson
from zscrape.gateway.faults import FieldFault, read_fault
from zscrape.gateway.requests import check_depth, decode_task

_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\[]{},:\n한'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='k"\\[]{}'), inner, max_size=3)
    ),
    max_leaves=30,
)


def _depth(document: object) -> int:
    if isinstance(document, dict):
        return 1 + max((_depth(value) for value in document.values()), default=0)
    if isinstance(document, list):
        return 1 + max((_depth(value) for value in document), default=0)
    return 0


@given(document=_DOCUMENTS, limit=st.integers(0, 6), has_escapes=st.booleans())
def test_depth_is_that_of_the_document(document, limit, has_escapes):
    """A document is refused iff it nests deeper than the limit, whatever its strings hold."""
    raw = json.dumps(document, ensure_ascii=has_escapes).encode()

    is_deeper = depth_of(raw, limit) > limit

    assert is_deeper == (_depth(document) > limit)


@given(raw=st.binary(max_size=60))
def test_garbage_is_a_fault(raw):
    """Garbage ends in a fault that can be told, whatever it is."""
    depth_of(raw, 3)

    with pytest.raises((FieldFault, MalformedJson)):
        decode_task(raw, depth_limit=3)


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 500_000 + b"]" * 500_000,
        b"[]," * 350_000,
        b"{" * 1_000_000,
        b'"\\' * 500_000,
        b'["' * 500_000,
        b"[" + (b"[" * 800 + b"]" * 800 + b",") * 600 + b"1]",
    ],
)
def test_depth_of_a_hostile_megabyte(document):
    """Looking at a hostile megabyte takes milliseconds, not the loop's turn."""
    began_at = time.process_time()
    depth_of(document, 32)

    assert time.process_time() - began_at < 0.5


def test_check_depth():
    """One level too many is a fault that tells the limit."""
    check_depth(b"[[1]]", 2)

    with pytest.raises(FieldFault) as fault:
        check_depth(b"[[[1]]]", 2)
    assert fault.value.fields["limit"] == 2


def test_unknown_sentence_of_the_decoder():
    """A finding that is not known is still told, in its own words."""
    fault = read_fault(ValueError("something new"))

    assert isinstance(fault, MalformedJson)
    assert fault.text_key == "http.json_unreadable"
