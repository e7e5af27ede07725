"""Numbers that nobody could read, found in large documents without making objects of them.

A number of a million digits is JSON. Readers refuse it, or work on it for minutes: Python
takes 4,300 digits, a double holds 309. What is looked for is looked for in the whole document
at the speed of memory; only where something was found, and may yet be text, are strings told
from what is between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# All digits are alike here. Numbers that people mean have fewer of them, and exponents of at
# most three.
_ALIKE: Final = bytes.maketrans(b"123456789E", b"000000000e")
_SIGNS: Final = (b"0" * 400, b"0e0000", b"0e+0000")
# With a plus taken for one more digit, one search does for two; what it finds may be 1e+300.
_ALIKE_AND_PLUS: Final = bytes.maketrans(b"123456789E+", b"000000000e0")
_FIRST_SIGNS: Final = _SIGNS[:2]
_LONGEST_SIGN_BYTES: Final = 400
_CHUNK_BYTES: Final = 1 << 16  # what is cut up at a time: pieces of it take more memory
_BACKSLASH: Final = ord("\\")
_backslashes: Final = re.compile(rb"\\+")


def holds_unreadable_number(document: bytes) -> bool:
    """True iff a document, which must be JSON, has a number that is too long to be one."""
    return _has_sign(document) and any(map(_has_sign, _outside_strings(document)))


def _has_sign(text: bytes) -> bool:
    alike = text.translate(_ALIKE_AND_PLUS)
    if not any(sign in alike for sign in _FIRST_SIGNS):
        return False
    alike = text.translate(_ALIKE)
    return any(sign in alike for sign in _SIGNS)


def _outside_strings(document: bytes) -> Iterator[bytes]:
    """Give what is not in strings, piece by piece; each begins with the end of the last one."""
    begin, is_inside, tail = 0, False, b""
    while begin < len(document):
        end = _end_of_chunk(document, begin + _CHUNK_BYTES)
        chunk = document[begin:end].replace(rb"\\", b"").replace(rb"\"", b"")
        parts = chunk.split(b'"')
        text = tail + b'"'.join(parts[is_inside::2])
        yield text
        is_inside ^= len(parts) % 2 == 0
        tail = b"" if is_inside else text[-_LONGEST_SIGN_BYTES:]
        begin = end


def _end_of_chunk(document: bytes, end: int) -> int:
    """Return an end at or after this one that does not part a backslash from what it escapes."""
    if end >= len(document) or document[end - 1] != _BACKSLASH:
        return end
    found = _backslashes.match(document, end)
    return (found.end() if found else end) + 1
