"""`ctx.emit(item, key=)`: which items an earlier run of the script has brought."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from zscrape.errors import StorageError
from zscrape.gateway.asked import Asked
from zscrape.gateway.requests import decode_body
from zscrape.model import TaskId, TaskState
from zscrape.runtime.emitting import BATCH_COUNT, key_digest
from zscrape.store.itemkeys import ItemKeyStore
from zscrape.store.tasks import TaskRow

_Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Finder = Callable[[TaskId], Awaitable[TaskRow | None]]


class KeyQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """Which of these are known? Asking notes them for the attempt."""

    keys: Annotated[tuple[_Digest, ...], Meta(min_length=1, max_length=2 * BATCH_COUNT)]


class KnownKey(Struct, frozen=True):
    """A key that a run has brought."""

    task_id: TaskId
    expires_at: float


_UNKNOWN_S: Final = 86_400.0  # no attempt runs longer
_QUESTION: Final = msgspec.json.Decoder(KeyQuestion)
_encode = msgspec.json.Encoder().encode


class ItemKeys:
    """The keys of items of every script.

    A key counts from the end of an attempt that ended well. Two tasks that run at once may
    both bring an item: to lose none is worth more than to have none twice.
    """

    def __init__(self, store: ItemKeyStore, *, kept_s: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._kept_s = kept_s
        self._clock = clock
        self.asking: set[TaskId] = set()  # tasks that have keys pending
        self._settling: set[asyncio.Task[None]] = set()

    async def answer(self, asked: Asked) -> bytes:
        """Answer a running script.

        Raises:
            InvalidRequest: It asks for what cannot be.
            StorageError: The store does not answer now.
        """
        question = decode_body(_QUESTION.decode, asked.body, known=("keys",))
        told_s = asked.run.key_kept_s
        kept_s = self._kept_s if told_s is None else told_s
        if kept_s <= 0:
            return _encode({"seen": []})
        digests = [bytes.fromhex(each) for each in question.keys]
        self.asking.add(asked.task_id)
        seen = await self._store.ask(
            asked.script_name,
            (asked.task_id, asked.attempt),
            digests,
            kept_s=kept_s,
            now=self._clock(),
        )
        return _encode({"seen": [at for at, digest in enumerate(digests) if digest in seen]})

    def ended(self, row: TaskRow) -> None:
        """Hear that a task has ended: its keys count, or are forgotten."""
        if row.id in self.asking:
            self.asking.discard(row.id)
            task = asyncio.get_running_loop().create_task(self._settle(row))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def resume(self, find: Finder) -> None:
        """Settle the keys of tasks that ended unheard: before a restart, or elsewhere.

        Raises:
            StorageError: The store does not answer now.
        """
        for task_id, asked_at in await self._store.pending():
            if task_id in self.asking:
                continue
            row = await find(task_id)
            if row is None:  # a call is kept only once it has ended, and other gateways have some
                if asked_at < self._clock() - _UNKNOWN_S:
                    await self._store.settle(task_id, None, now=self._clock())
            elif row.status.is_final:
                await self._settle(row)
            else:
                self.asking.add(task_id)

    async def sweep(self) -> None:
        """Remove keys whose time is over.

        Raises:
            StorageError: The store does not answer now.
        """
        removed_count = 1
        while removed_count:
            removed_count = await self._store.sweep(now=self._clock())

    async def count(self, script_name: str) -> int:
        """Return how many keys of a script are known.

        Raises:
            StorageError: They cannot be read.
        """
        return await self._store.count(script_name, now=self._clock())

    async def find(self, script_name: str, key: str) -> KnownKey | None:
        """Return what is known of a key; None: a run would bring its item.

        Raises:
            StorageError: It cannot be read.
        """
        digest = bytes.fromhex(key_digest(key))
        found = await self._store.find(script_name, digest, now=self._clock())
        return None if found is None else KnownKey(*found)

    async def forget(self, script_name: str, key: str | None = None) -> int:
        """Forget one key of a script, or all; return how many that were.

        Raises:
            StorageError: Nothing can be changed now.
        """
        digest = None if key is None else bytes.fromhex(key_digest(key))
        return await self._store.forget(script_name, digest)

    async def close(self) -> None:
        """Wait for what is being settled."""
        await asyncio.gather(*self._settling)

    async def _settle(self, row: TaskRow) -> None:
        attempt = row.attempts if row.status is TaskState.COMPLETED else None
        try:
            await self._store.settle(row.id, attempt, now=self._clock())
        except StorageError:  # told by the store; `resume` finds it again
            self.asking.add(row.id)
