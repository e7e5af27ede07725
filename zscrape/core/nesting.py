"""How deeply JSON nests, told without reading it.

What a decoder bears is no limit of ours: Python 3.11 counts calls to some thousand, later ones
go on until the stack of their thread is full, and the next reader may be either.
"""

from __future__ import annotations

from itertools import accumulate, count
from operator import sub
from typing import Final

# With room for the calls around a reader: Python 3.11 ends at 1,000 of both together.
READABLE_DEPTH: Final = 900

# As numbers: a number is found in bytes four times as fast as bytes of length one.
_ARRAY: Final = ord("[")
_OBJECT: Final = ord("{")
_OPENINGS: Final = (_ARRAY, _OBJECT)
_NO_SIGNS: Final = bytes(sorted(set(range(256)) - set(b'[]{}"')))
_TO_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_TO_STEPS: Final = bytes.maketrans(b"[]", b"\x02\x00")  # one less at each place: up and down
_ROUND_COUNT: Final = 16
# What may be read in all rounds: so much for every byte of the document, and what is free. One
# that has lost so little by then has more places deeper than the rounds than anybody's results.
_READ_PER_BYTE: Final = 2
_FREE_BYTES: Final = 8 * 1024 * 1024
_COUNTED_AT_ONCE_BYTES: Final = 16 * 1024
_COUNTED_BYTES: Final = 256 * 1024  # bracket by bracket: some 40 ms


def depth_of(document: bytes, limit: int) -> int:
    """Return how deeply `document` nests, counted no further than `limit + 1`.

    Every step runs in C, so a hostile megabyte of brackets costs milliseconds: strings and
    all else are cut out, then each round of removing `[]` takes one level away. What is left
    after some rounds is deep, and counted bracket by bracket; where that would take long, in a
    document with tens of thousands of such places, it is told as deeper than the limit.
    """
    # It cannot nest deeper than it has openings.
    if len(document) <= _COUNTED_AT_ONCE_BYTES:
        # To find that there is none goes twenty times as fast as to count them.
        array_count = document.count(_ARRAY) if _ARRAY in document else 0
        object_count = document.count(_OBJECT) if _OBJECT in document else 0
        if array_count + object_count <= limit:
            return 0
    elif not _has_more_openings(document, limit):
        return 0
    brackets = _brackets(document)
    depth = 0
    left_bytes = len(document) * _READ_PER_BYTE + _FREE_BYTES
    while brackets and depth <= min(limit, _ROUND_COUNT):
        left_bytes -= len(brackets)
        if left_bytes < 0:
            return limit + 1
        inner = brackets.replace(b"[]", b"")
        if inner == brackets:
            return depth  # unbalanced: the decoder will say where
        brackets, depth = inner, depth + 1
    if len(brackets) > _COUNTED_BYTES:
        return limit + 1
    steps = accumulate(brackets.translate(_TO_STEPS))
    return min(depth + max(map(sub, steps, count(1)), default=0), limit + 1)


def _has_more_openings(document: bytes, limit: int) -> bool:
    found_count = 0
    for sign in _OPENINGS:  # to look for the next one goes twenty times as fast as to count
        at = document.find(sign)
        while at >= 0:
            found_count += 1
            if found_count > limit:
                return True
            at = document.find(sign, at + 1)
    return False


def _brackets(document: bytes) -> bytes:
    # Escapes first, so that every quotation mark left opens or closes a string. Two of them
    # side by side hold nothing, whichever string they are of.
    bare = document
    if b"\\" in document:  # most documents have none, which one look tells
        bare = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    signs = bare.translate(_TO_ONE_KIND, _NO_SIGNS).replace(b'""', b"")
    return b"".join(signs.split(b'"')[::2])
