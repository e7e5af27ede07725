"""What clients use up, of limits that hold over all gateways of one PostgreSQL database.

A bucket of tokens stands in a row, filled by the database's clock, so gateways need not agree
about the time. A gateway answers from what it knows and settles with the row a few times a
second: what both gave away meanwhile makes a debt, so that the rate holds in the long run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from zscrape.store.postgres import PostgresDatabase

_NOW: Final = "extract(epoch from clock_timestamp())::float8"
_DRAW: Final = (
    f"INSERT INTO rate_buckets (name, tokens, at) VALUES (?, ?, {_NOW})"  # noqa: S608 - constants
    " ON CONFLICT (name) DO UPDATE SET tokens = least(?::float8, rate_buckets.tokens"
    " + greatest(0, excluded.at - rate_buckets.at) * ?::float8) - ?::float8, at = excluded.at"
    " RETURNING tokens"
)
# As long as a bucket may have been drawn from since a gateway last looked.
_RECENT_S: Final = 5.0
_LIMIT_COUNT: Final = 10_000
_SEEN: Final = (
    f"SELECT name, tokens, {_NOW} - at FROM rate_buckets"  # noqa: S608 - constants
    f" WHERE at > {_NOW} - ? ORDER BY at DESC LIMIT ?"
)
_COUNTS: Final = (
    "SELECT client, sum(task_count)::integer FROM client_counts"
    " JOIN gateways ON gateways.id = client_counts.gateway"
    " WHERE gateway <> ? AND boot <> '' GROUP BY client"
)
_FORGET_COUNT: Final = "DELETE FROM client_counts WHERE gateway = ? AND client = ?"
_KEEP_COUNT: Final = (
    "INSERT INTO client_counts (gateway, client, task_count) VALUES (?, ?, ?)"
    " ON CONFLICT (gateway, client) DO UPDATE SET task_count = excluded.task_count"
)
_KEPT_S: Final = 86_400.0  # by then every bucket that anybody cares about is full again


class Drawn(Struct, frozen=True):
    """How often a bucket was taken from, how fast it fills, and how much it holds."""

    count: int
    per_s: float
    burst_count: int


class Level(Struct, frozen=True):
    """What is in a bucket, and how long ago that was."""

    tokens: float
    age_s: float


class LimitStore:
    """The limits of all gateways, as one of them uses them."""

    def __init__(self, database: PostgresDatabase, gateway_id: str) -> None:
        self._database = database
        self._gateway_id = gateway_id

    async def settle(self, drawn: Mapping[str, Drawn], counts: Mapping[str, int]) -> None:
        """Take from buckets what was given away here, and tell of tasks; 0: a client has none.

        Raises:
            StorageError: Nothing of it is written.
        """

        def work(writer: sqlite3.Connection) -> None:
            # In one order at all gateways: they wait for each other, and never in a circle.
            for name in sorted(drawn):
                each = drawn[name]
                full, count = float(each.burst_count), float(each.count)
                writer.execute(_DRAW, (name, full - count, full, each.per_s, count))
            for client, task_count in counts.items():
                own = (self._gateway_id, client)
                if task_count:
                    writer.execute(_KEEP_COUNT, (*own, task_count))
                else:
                    writer.execute(_FORGET_COUNT, own)

        await self._database.write(work)

    async def forget_counts(self) -> None:
        """Forget what an earlier life of this gateway has told of tasks.

        Raises:
            StorageError: It cannot be written.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute("DELETE FROM client_counts WHERE gateway = ?", (self._gateway_id,))
            writer.execute(
                "DELETE FROM client_counts WHERE gateway NOT IN (SELECT id FROM gateways)"
            )
            writer.execute(f"DELETE FROM rate_buckets WHERE at < {_NOW} - ?", (_KEPT_S,))  # noqa: S608 - constants

        await self._database.write(work)

    async def levels(self) -> dict[str, Level]:
        """Return the buckets that were drawn from of late.

        Raises:
            StorageError: They cannot be read.
        """

        def query(reader: sqlite3.Connection) -> dict[str, Level]:
            found = reader.execute(_SEEN, (_RECENT_S, _LIMIT_COUNT)).fetchall()
            return {name: Level(tokens, max(0.0, age_s)) for name, tokens, age_s in found}

        return await self._database.read(query)

    async def counts_elsewhere(self) -> dict[str, int]:
        """Return how many tasks of each client other gateways look after.

        Raises:
            StorageError: They cannot be read.
        """

        def query(reader: sqlite3.Connection) -> dict[str, int]:
            return dict(reader.execute(_COUNTS, (self._gateway_id,)).fetchall())

        return await self._database.read(query)
