"""What somebody who has mistyped a name has probably meant."""

from __future__ import annotations

from collections.abc import Iterable

# Comparing costs length times length, and names come from strangers.
_LENGTH_LIMIT = 128


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, or an empty text."""
    return _closest(name, known, 0.6)


def most_like(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like `name`, however little; empty iff none is known."""
    return _closest(name, known, 0.0)


def _closest(name: str, known: Iterable[str], cutoff: float) -> str:
    # Only who has mistyped something needs it: no other command waits for it.
    import difflib

    found = difflib.get_close_matches(name[:_LENGTH_LIMIT], list(known), 1, cutoff)
    return found[0] if found else ""
