"""How the simulation holds the world to its safety properties."""

from __future__ import annotations


def ensure(is_so: bool, what: str) -> None:
    """Hold the world to a property.

    Raises:
        AssertionError: It does not hold.
    """
    if not is_so:
        raise AssertionError(what)
