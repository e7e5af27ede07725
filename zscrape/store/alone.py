"""A PostgreSQL connection that one thread has for itself, and makes anew when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from zscrape.errors.storage import StorageUnavailable
from zscrape.store.postgres import Connection, Raw, connect, translated_errors

Result = TypeVar("Result")


class AloneConnection:
    """Runs work in transactions, one after the other, beside the event loop."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self._raw: Raw | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Return what `work` returns once its transaction is committed.

        Raises:
            StorageError: The database cannot be reached, read or written.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._transact, work)

    def _transact(self, work: Callable[[Connection], Result]) -> Result:
        if self._raw is None or self._raw.closed:
            self._raw = connect(self.url)
        try:
            with translated_errors(), self._raw.transaction():
                return work(Connection(self._raw))
        except StorageUnavailable:
            raw, self._raw = self._raw, None
            with suppress(Exception):  # it is broken already
                raw.close()
            raise

    async def close(self) -> None:
        """Let go of the connection, once what was begun is over."""
        await asyncio.to_thread(self._pool.shutdown)
        if self._raw is not None:
            self._raw.close()
