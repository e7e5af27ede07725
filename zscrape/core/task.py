"""Where a task stands inside the dispatcher, and which moves there are.

    NEW ──► LINE ──► QUEUE ──► ASSIGNED ──► RUNNING ──► FINAL
     │                ▲ ▲          │            │
     └────────────────┘ ├── REST ◄─┤   (retry)  │
                        ├── PARK ◄─┤   (waits for a person)
                        └── LEASE ◄┴────────────┘   (lost while it held a lock)

Every place but FINAL leads to FINAL too: a task can be cancelled anywhere.
"""

from __future__ import annotations

from enum import IntEnum


class Place(IntEnum):
    """Where a task stands; finer than the `TaskState` that people are told.

    An IntEnum because its hash is C: a plain Enum's is a call of Python in each look-up.
    """

    NEW = 0
    LINE = 1  # waits for a lock
    QUEUE = 2  # waits for a slot
    REST = 3  # waits for the moment of its next try
    LEASE = 4  # its attempt was lost but may still run: waits for the lease to end
    ASSIGNED = 5
    RUNNING = 6
    FINAL = 7
    PARK = 8  # its attempt has ended to wait for a person: holds no slot until it is woken


WAITING = frozenset({Place.LINE, Place.QUEUE, Place.REST, Place.LEASE})
IN_FLIGHT = frozenset({Place.ASSIGNED, Place.RUNNING})

MOVES: dict[Place, frozenset[Place]] = {
    Place.NEW: frozenset(
        {Place.LINE, Place.QUEUE, Place.REST, Place.LEASE, Place.PARK, Place.ASSIGNED}
    ),
    Place.LINE: frozenset({Place.QUEUE, Place.FINAL}),
    Place.QUEUE: frozenset({Place.ASSIGNED, Place.RUNNING, Place.FINAL}),
    Place.REST: frozenset({Place.QUEUE, Place.FINAL}),
    Place.PARK: frozenset({Place.QUEUE, Place.FINAL}),
    Place.LEASE: frozenset({Place.QUEUE, Place.ASSIGNED, Place.RUNNING, Place.FINAL}),
    Place.ASSIGNED: frozenset(
        {Place.RUNNING, Place.QUEUE, Place.REST, Place.LEASE, Place.PARK, Place.FINAL}
    ),
    Place.RUNNING: frozenset({Place.QUEUE, Place.REST, Place.LEASE, Place.PARK, Place.FINAL}),
    Place.FINAL: frozenset(),
}
