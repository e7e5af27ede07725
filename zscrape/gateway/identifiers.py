"""Ids of tasks: UUIDv7 (RFC 9562), so that they sort by the moment of their making."""

from __future__ import annotations

import random
import struct
import time
from binascii import hexlify

_MARKS = 7 << 76 | 0b10 << 62  # version and variant, where they stand
_NOISE_BITS = 76  # below the version; two of them stand where the variant does
_NOISE_MASK = ~(0b11 << 62)
_PARTS = struct.Struct("8s4s4s4s12s")  # of an id as text
# Ids must be unique, not secret: a generator seeded by the system saves a system call each.
_RANDOM = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311


def new_task_id() -> str:
    """Return a new id, as text."""
    millisecond = time.time_ns() // 1_000_000
    noise = _RANDOM.getrandbits(_NOISE_BITS) & _NOISE_MASK
    # Through bytes: formatting numbers as text takes three times as long.
    told = hexlify((millisecond << 80 | noise | _MARKS).to_bytes(16, "big"))
    return b"-".join(_PARTS.unpack(told)).decode()
