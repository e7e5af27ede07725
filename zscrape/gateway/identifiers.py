"""Ids of tasks: UUIDv7 (RFC 9562), so that they sort by the moment of their making."""

from __future__ import annotations

import random
import time

_RANDOM_BITS = 74  # 12 behind the version, 62 behind the variant
_FIRST_MASK = 0xFFF
_MARKS = 7 << 76 | 0b10 << 62  # version and variant, where they stand
# Ids must be unique, not secret: a generator seeded by the system saves a system call each.
_RANDOM = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311


def new_task_id() -> str:
    """Return a new id, as text."""
    noise = _RANDOM.getrandbits(_RANDOM_BITS)
    millisecond = time.time_ns() // 1_000_000
    number = millisecond << 80 | _MARKS | (noise & _FIRST_MASK) << 64 | noise >> 12
    # Through bytes: formatting numbers as text takes three times as long.
    told = number.to_bytes(16, "big").hex()
    return f"{told[:8]}-{told[8:12]}-{told[12:16]}-{told[16:20]}-{told[20:]}"
