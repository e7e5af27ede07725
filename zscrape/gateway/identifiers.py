"""Ids of tasks: UUIDv7 (RFC 9562), so that they sort by the moment of their making."""

from __future__ import annotations

import random
from time import time_ns

# Ids must be unique, not secret: a generator seeded by the system saves a system call each.
_getrandbits = random.Random(random.SystemRandom().getrandbits(256)).getrandbits  # noqa: S311
_NOISE_BITS = 72  # of 74: the last digit of the variant is always the same


def new_task_id() -> str:
    """Return a new id, as text."""
    moment, noise = f"{time_ns() // 1_000_000:012x}", f"{_getrandbits(_NOISE_BITS):018x}"
    return f"{moment[:8]}-{moment[8:]}-7{noise[:3]}-8{noise[3:6]}-{noise[6:]}"
