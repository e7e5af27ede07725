"""A worker's sign of life for `zscrape health`: a small file that its loop writes anew.

A worker listens on no port that one could ask. A process that is there may hang: what tells
is the loop itself, every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from zscrape.log import get_logger

SUFFIX: Final = ".pulse"
INTERVAL_S: Final = 5.0


class Beat(Struct, frozen=True):
    """What a worker last said."""

    worker_id: str
    pid: int
    at: float  # Unix time
    joined_count: int  # gateways that know it now
    gateway_count: int
    is_draining: bool = False


@contextlib.contextmanager
def pulse(path: Path, look: Callable[[], Beat]) -> Iterator[None]:
    """Write what `look` says every few seconds while inside; remove the file at the end."""
    beating = asyncio.get_running_loop().create_task(_beat(path, look), name="pulse")
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(OSError):  # a disk that cannot be written keeps it: it grows old
            path.unlink(missing_ok=True)


async def _beat(path: Path, look: Callable[[], Beat]) -> None:
    has_failed = False
    while True:
        try:
            _write(path, look())
            has_failed = False
        except OSError as error:
            if not has_failed:
                has_failed = True
                reason = error.strerror or str(error)
                get_logger().warning("pulse_unwritten", path=str(path), reason=reason)
        await asyncio.sleep(INTERVAL_S)


def _write(path: Path, beat: Beat) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(beat))
    draft.replace(path)


def read(path: Path) -> Beat | None:
    """Return what a file says; None when there is none, or nothing in it makes sense."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Beat)
    except (OSError, msgspec.MsgspecError):
        return None


def age_s(beat: Beat) -> float:
    """Return how long ago that was."""
    return max(0.0, time.time() - beat.at)
