"""Ids of tasks: UUIDv7 (RFC 9562), so that they sort by the moment of their making."""

from __future__ import annotations

import random
import time

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A = ((1 << 12) - 1) << 64  # below the version
_RANDOM_B = (1 << 62) - 1  # below the variant
# Ids must be unique, not secret: a generator seeded by the system saves a system call each.
_RANDOM = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311


def new_task_id() -> str:
    """Return a new id, as text."""
    noise = _RANDOM.getrandbits(80)
    millisecond = time.time_ns() // 1_000_000
    value = millisecond << 80 | _VERSION_7 | noise & _RANDOM_A | _VARIANT | noise & _RANDOM_B
    told = f"{value:032x}"
    return f"{told[:8]}-{told[8:12]}-{told[12:16]}-{told[16:20]}-{told[20:]}"
