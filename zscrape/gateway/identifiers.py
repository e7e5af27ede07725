"""Ids of tasks: UUIDv7 (RFC 9562), so that they sort by the moment of their making."""

from __future__ import annotations

import random
import time

_RANDOM_BITS = 74  # 12 behind the version, 14 and 48 behind the variant
_VARIANT = 0b10 << 14
# Ids must be unique, not secret: a generator seeded by the system saves a system call each.
_RANDOM = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311


def new_task_id() -> str:
    """Return a new id, as text."""
    noise = _RANDOM.getrandbits(_RANDOM_BITS)
    millisecond = time.time_ns() // 1_000_000
    # By parts, not as one number: half the time.
    first, second = millisecond >> 16, millisecond & 0xFFFF
    third, fourth = noise & 0xFFF, _VARIANT | noise >> 12 & 0x3FFF
    return f"{first:08x}-{second:04x}-7{third:03x}-{fourth:04x}-{noise >> 26:012x}"
