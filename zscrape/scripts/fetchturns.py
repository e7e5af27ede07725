"""Turns of processes that share a cache: one fetches while the others wait for what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

# How long a process waits for another one's fetch, and how often it looks.
_LIMIT_S = 60.0
_LOOK_S = 0.02


class FetchTurns:
    """Locks by digest, in a folder of the cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextlib.asynccontextmanager
    async def of(self, digest: str) -> AsyncIterator[None]:
        """Let one process fetch a digest while the others wait.

        Not for ever: one that is frozen with the lock costs a second fetch, which does no harm.
        """
        # One file per two digits of the digest: they need never be removed.
        descriptor = os.open(
            self._folder / digest[7:9], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            give_up_at = time.monotonic() + _LIMIT_S
            while not _is_locked(descriptor) and time.monotonic() < give_up_at:  # noqa: ASYNC110 - another process tells no event of ours
                await asyncio.sleep(_LOOK_S)
            yield
        finally:
            os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Take the lock if it is free. It ends with its descriptor, and so with its process."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
