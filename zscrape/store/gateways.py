"""Which gateways live, by leases in the database they share, and which tasks change hands.

A row of `gateways` is one gateway's lease, renewed by the database's clock; `boot` tells its
lives apart and fences what an earlier one would still write. A life whose lease has ended is
marked by an empty boot; the others then take its tasks over, some at a time, and the last of
them forgets the row. Every call runs on a connection of its own: no write makes it wait.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import Any, Final

from msgspec import Struct

from zscrape.errors.storage import LeaseLost
from zscrape.model import TaskId
from zscrape.store.alone import AloneConnection
from zscrape.store.postgres import OWNERSHIP_LOCK, Connection

LEASE_S: Final = 10.0
# Beyond a lease before its tasks are taken over: attempts with a lock are ended by then.
MARGIN_S: Final = 2.0
_NOW: Final = "extract(epoch from clock_timestamp())::float8"
# What nobody has heard after this belongs to no task that lives.
_CANCEL_KEPT_S: Final = 3600.0

_REGISTER: Final = (
    f"INSERT INTO gateways (id, boot, lease_until) VALUES (?, ?, {_NOW} + ?)"  # noqa: S608 - constants
    " ON CONFLICT (id) DO UPDATE SET boot = excluded.boot, lease_until = excluded.lease_until"
)
_RENEW: Final = f"UPDATE gateways SET lease_until = {_NOW} + ? WHERE id = ? AND boot = ?"  # noqa: S608 - constants
_EXPIRE: Final = (
    "UPDATE gateways SET boot = '' WHERE id IN (SELECT id FROM gateways WHERE boot <> ''"  # noqa: S608 - constants
    f" AND lease_until + ? < {_NOW} FOR UPDATE SKIP LOCKED) RETURNING id"
)
_OWN: Final = "SELECT 1 FROM gateways WHERE id = ? AND boot = ? FOR SHARE"
_NEW_LOCK: Final = (
    "INSERT INTO locks (key, gateway, holder, since, fence)"  # noqa: S608 - constants
    f" VALUES (?, ?, ?, {_NOW}, 1) ON CONFLICT (key) DO NOTHING"
)
# A dead gateway's row stays until all of its tasks have gone to others, with their locks.
_SEE_LOCK: Final = (
    f"SELECT gateway, holder, {_NOW} - since,"  # noqa: S608 - constants
    " NOT EXISTS (SELECT 1 FROM gateways WHERE gateways.id = locks.gateway)"
    " FROM locks WHERE key = ? FOR UPDATE"
)
_GIVE_LOCK: Final = (
    f"UPDATE locks SET gateway = ?, holder = ?, since = {_NOW}, fence = fence + 1 WHERE key = ?"  # noqa: S608 - constants
)
_OTHER_LOCKS: Final = (
    f"SELECT key, holder, {_NOW} - since, fence FROM locks WHERE gateway <> ?"  # noqa: S608 - constants
    " AND EXISTS (SELECT 1 FROM gateways WHERE gateways.id = locks.gateway)"
)
_ADOPT_LOCKS: Final = (
    "UPDATE locks SET gateway = ? WHERE gateway = ?"
    " AND holder IN (SELECT id FROM tasks WHERE owner = ? AND finished_at IS NULL)"
)
_ASK_CANCEL: Final = (
    f"INSERT INTO cancels (task_id, asked_at) VALUES (?, {_NOW})"  # noqa: S608 - constants
    " ON CONFLICT (task_id) DO NOTHING"
)
_FORGET_CANCELS: Final = f"DELETE FROM cancels WHERE asked_at < {_NOW} - ?"  # noqa: S608 - constants


class Renewal(Struct, frozen=True):
    """What a gateway learns with each renewal of its lease."""

    other_count: int  # gateways beside it
    dead_count: int  # whose tasks are to be taken over
    expired: tuple[str, ...]  # found dead just now
    cancelled: tuple[TaskId, ...]  # own tasks that somebody has cancelled elsewhere


class HeldLock(Struct, frozen=True):
    """A lock that a task of another gateway has."""

    holder: TaskId
    age_s: float
    key: str = ""
    fence: int = 0


class Adopted(Struct, frozen=True):
    """Tasks that have changed hands, by their places."""

    live: tuple[int, ...]
    unsent: tuple[TaskId, ...]  # ended, and somebody is still to be told

    @property
    def is_empty(self) -> bool:
        """True iff there was none."""
        return not (self.live or self.unsent)


class GatewayLease:
    """One life of a gateway among those that share a database."""

    def __init__(self, url: str, gateway_id: str, boot: str, *, lease_s: float = LEASE_S) -> None:
        self.gateway_id = gateway_id
        self.boot = boot
        self.lease_s = lease_s
        self._renewed_at = -inf  # monotonic
        self._steady_since = inf
        self._alone = AloneConnection(url, "store-lease")

    async def register(self) -> None:
        """Begin this life; an earlier one of the same gateway has ended with that.

        Raises:
            StorageError: The database cannot be reached or written.
        """
        await self._alone.run(self._register)

    async def renew(self) -> Renewal:
        """Renew the lease, and look what has become of the others.

        Raises:
            LeaseLost: It has ended; the tasks are others' by now.
            StorageError: The database cannot be reached or written.
        """
        return await self._alone.run(self._renew)

    async def adopt(self, limit: int) -> Adopted:
        """Take over some tasks of gateways that are dead; no two gateways get the same.

        Raises:
            LeaseLost: This gateway is dead itself.
            StorageError: The database cannot be reached or written.
        """
        return await self._alone.run(lambda connection: self._adopt(connection, limit))

    async def take_lock(self, key: str, holder: TaskId, *, is_sure: bool) -> HeldLock | None:
        """Take a key for a task of this gateway; return who has it, None iff it is this gateway.

        What this gateway has already is given to `holder` only if that `is_sure` to have it.

        Raises:
            LeaseLost: This gateway has nothing any more.
            StorageError: The database cannot be reached or written.
        """
        return await self._alone.run(
            lambda connection: self._take_lock(connection, key, holder, is_sure)
        )

    async def free_locks(self, keys: Sequence[str]) -> None:
        """Free keys of this gateway.

        Raises:
            StorageError: The database cannot be reached or written.
        """
        marks = ", ".join("?" * len(keys))
        await self._alone.run(
            lambda connection: connection.execute(
                f"DELETE FROM locks WHERE gateway = ? AND key IN ({marks})",  # noqa: S608 - marks
                (self.gateway_id, *keys),
            )
        )

    async def locks(self) -> dict[str, TaskId]:
        """Return the keys that this gateway has, each with its holder.

        Raises:
            StorageError: The database cannot be reached or read.
        """
        found = await self._alone.run(
            lambda connection: connection.execute(
                "SELECT key, holder FROM locks WHERE gateway = ?", (self.gateway_id,)
            ).fetchall()
        )
        return dict(found)

    async def other_locks(self) -> list[HeldLock]:
        """Return the locks that tasks of other gateways have.

        Raises:
            StorageError: The database cannot be reached or read.
        """
        found = await self._alone.run(
            lambda connection: connection.execute(_OTHER_LOCKS, (self.gateway_id,)).fetchall()
        )
        return [
            HeldLock(holder, max(0.0, age_s), key, fence) for key, holder, age_s, fence in found
        ]

    async def ask_cancel(self, task_id: TaskId) -> None:
        """Leave the wish that a task of another gateway ends.

        Raises:
            StorageError: The database cannot be reached or written.
        """
        await self._alone.run(lambda connection: connection.execute(_ASK_CANCEL, (task_id,)))

    async def notify(self, channel: str, texts: Sequence[str]) -> None:
        """Tell the other gateways; outside of any transaction that keeps something.

        Raises:
            StorageError: The database cannot be reached.
        """
        await self._alone.run(
            lambda connection: [
                connection.execute("SELECT pg_notify(?, ?)", (channel, text)) for text in texts
            ]
        )

    async def close(self) -> None:
        """End this life: what is left of its tasks is the others' at once."""
        with suppress(Exception):  # then its lease ends by itself
            await self._alone.run(self._release)
        await self._alone.close()

    # ---- in the thread ---------------------------------------------------------------

    def _register(self, connection: Connection) -> None:
        _alone(connection)
        connection.execute(_REGISTER, (self.gateway_id, self.boot, self.lease_s))

    def _renew(self, connection: Connection) -> Renewal:
        own = (self.gateway_id, self.boot)
        if not connection.execute(_RENEW, (self.lease_s, *own)).rowcount:
            raise LeaseLost(reason="the lease of this gateway has ended")
        expired = self._expire(connection)
        boots = connection.execute("SELECT boot FROM gateways WHERE id <> ?", own[:1]).fetchall()
        dead_count = sum(boot == "" for (boot,) in boots)
        cancelled = connection.execute(
            "DELETE FROM cancels USING tasks WHERE cancels.task_id = tasks.id AND tasks.owner = ?"
            " RETURNING cancels.task_id",
            own[:1],
        ).fetchall()
        connection.execute(_FORGET_CANCELS, (_CANCEL_KEPT_S,))
        return Renewal(len(boots) - dead_count, dead_count, _firsts(expired), _firsts(cancelled))

    def _expire(self, connection: Connection) -> list[tuple[Any, ...]]:
        """End lives whose leases have ended, as far as that is their own fault.

        When the database was away for all, those that come back to it first must give the
        others as much time.
        """
        if not self._is_steady():
            return []
        return connection.execute(_EXPIRE, (MARGIN_S,)).fetchall()

    def _is_steady(self) -> bool:
        now = time.monotonic()
        if now - self._renewed_at > self.lease_s / 2:
            self._steady_since = now
        self._renewed_at = now
        return now - self._steady_since >= self.lease_s

    def _adopt(self, connection: Connection, limit: int) -> Adopted:
        _alone(connection)
        self._check(connection)
        for (dead,) in connection.execute("SELECT id FROM gateways WHERE boot = ''").fetchall():
            taken = (
                "UPDATE tasks SET owner = ? WHERE seq IN (SELECT seq FROM tasks"
                " WHERE owner = ? AND {} ORDER BY seq LIMIT ? FOR UPDATE SKIP LOCKED) RETURNING {}"
            )
            values = (self.gateway_id, dead, limit)
            live = connection.execute(taken.format("finished_at IS NULL", "seq"), values)
            unsent = connection.execute(taken.format("is_unsent", "id"), values)
            adopted = Adopted(_firsts(live.fetchall()), _firsts(unsent.fetchall()))
            if not adopted.is_empty:
                connection.execute(_ADOPT_LOCKS, (self.gateway_id, dead, self.gateway_id))
                return adopted
            connection.execute(
                "DELETE FROM gateways WHERE id = ? AND NOT EXISTS (SELECT 1 FROM tasks"
                " WHERE owner = ? AND (finished_at IS NULL OR is_unsent))",
                (dead, dead),
            )
        return Adopted((), ())

    def _check(self, connection: Connection) -> None:
        """Prove that this life still has its lease.

        Raises:
            LeaseLost: It has not.
        """
        own = (self.gateway_id, self.boot)
        if connection.execute(_OWN, own).fetchone() is None:
            raise LeaseLost(reason="the lease of this gateway has ended")

    def _take_lock(
        self, connection: Connection, key: str, holder: TaskId, is_sure: bool
    ) -> HeldLock | None:
        self._check(connection)
        own = (self.gateway_id, holder)
        found: tuple[Any, ...] | None = None
        while found is None:  # it may be freed between the two
            if connection.execute(_NEW_LOCK, (key, *own)).rowcount:
                return None
            found = connection.execute(_SEE_LOCK, (key,)).fetchone()
        gateway, known, age_s, is_orphan = found
        if gateway != self.gateway_id and not is_orphan:
            return HeldLock(known, max(0.0, age_s))
        if is_sure or is_orphan:
            connection.execute(_GIVE_LOCK, (*own, key))
        return None

    def _release(self, connection: Connection) -> None:
        connection.execute(
            "UPDATE gateways SET boot = '' WHERE id = ? AND boot = ?",
            (self.gateway_id, self.boot),
        )


def _alone(connection: Connection) -> None:
    """Let no two gateways begin a life or take tasks over at the same time."""
    connection.execute("SELECT pg_advisory_xact_lock(?)", (OWNERSHIP_LOCK,))


def _firsts(found: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(first for first, *_ in found)
