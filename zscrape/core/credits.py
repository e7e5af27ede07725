"""How a worker shares its slots among several gateways.

Each gateway is told how many attempts it may have here at once, and no two of these numbers
add up to more than the slots: what a gateway sends beyond its own is refused, at no cost to
the task. Slots go where tasks wait; what nobody waits for is spread, so that the next call
finds a slot at whichever gateway it reaches.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Side(Struct, frozen=True):
    """One gateway as its worker sees it."""

    running_count: int  # its attempts that fill a slot
    queued_count: int  # tasks that wait there, as it last said
    is_joined: bool


def shares(slots: int, sides: Sequence[Side], *, turn: int = 0) -> list[int]:
    """Return how many attempts each gateway may have.

    Never less than it has, never more than `slots` together, and no slot is kept back while
    a gateway that is there has use for it.

    Args:
        slots: How many attempts this worker runs at once.
        sides: The gateways.
        turn: Whose turn it is where all are equal; counted on by the caller.
    """
    limits = [side.running_count for side in sides]
    free_count = slots - sum(limits)
    joined = [place for place, side in enumerate(sides) if side.is_joined]
    wanting = {place: sides[place].queued_count for place in joined}
    while free_count > 0 and joined:
        waiting = [place for place in joined if wanting[place] > 0]
        count = len(sides)
        chosen = min(waiting or joined, key=lambda place: (limits[place], (place - turn) % count))
        limits[chosen] += 1
        wanting[chosen] -= 1
        free_count -= 1
    return limits
