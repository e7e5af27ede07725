"""A heap full of holes has none left once they are filled."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

# What is free between objects that stay is found, and found once; then memory is new.
_FILL = """
from zscrape.runtime import holes

def make():
    return [bytes(size) for size in range(600, 20_000, 40)]

kept = make()
del kept[::2]
filled = holes.fill(), holes.fill()
end = max(map(id, kept))
print(filled[0] > 2_000_000, filled[1] < 100_000, min(map(id, make())) > end)
"""


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library has another heap"
)
def test_no_hole_is_left() -> None:
    """In a process of its own: what is taken is never given back."""
    told = subprocess.run(
        [sys.executable, "-c", _FILL], capture_output=True, text=True, check=True, timeout=60
    ).stdout

    assert told == "True True True\n"


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the heap does not tell about itself nothing is taken."""
    from zscrape.runtime import holes

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())

    assert holes.fill() == 0
