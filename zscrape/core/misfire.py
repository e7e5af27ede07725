"""What becomes of due moments that are looked at late: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

# So late a moment still counts as met: a gateway restarts within it.
ON_TIME_S: Final = 30.0


class Misfire(StrEnum):
    """What to do about due moments that nobody was there for."""

    RUN_LAST = "run_last"  # the last of them, if it is not older than the window
    SKIP = "skip"  # none
    ALL = "all"  # each that is not older than the window


class Decision(Struct, frozen=True):
    """Which due moments fire now, in order, and which were missed."""

    fire: tuple[float, ...]
    missed: tuple[float, ...]


def decide(
    due_ats: Sequence[float], *, late_s: float, now: float, misfire: Misfire, window_s: float
) -> Decision:
    """Return what becomes of moments that have passed, oldest first.

    Args:
        due_ats: The moments, at least one.
        late_s: How much later than due the last one was to be acted upon (its jitter).
        now: The moment of the look.
        misfire: What was asked for.
        window_s: How old a moment may be that is made up for.
    """
    if misfire is Misfire.ALL:
        fire = tuple(due for due in due_ats if now - due - late_s <= max(window_s, ON_TIME_S))
    else:
        allowed_s = ON_TIME_S if misfire is Misfire.SKIP else max(window_s, ON_TIME_S)
        fire = tuple(due for due in due_ats[-1:] if now - due - late_s <= allowed_s)
    return Decision(fire, tuple(due_ats[: len(due_ats) - len(fire)]))
