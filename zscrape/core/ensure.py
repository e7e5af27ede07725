"""The one way in which a machine of the core says that an invariant is broken."""

from __future__ import annotations


def ensure(is_so: bool, what: str) -> None:
    """Hold the machine to an invariant; unlike `assert`, also under `python -O`.

    Raises:
        AssertionError: It is broken; `what` says which one, and on what.
    """
    if not is_so:
        raise AssertionError(what)
