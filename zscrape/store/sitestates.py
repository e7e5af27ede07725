"""What several gateways must agree on about the sites they share: one row for each site.

A change is one transaction: it locks the row, works on what is there by the database's clock,
and keeps what comes of it. It runs on a connection of its own: no write of tasks makes it wait,
and it holds the row of one site alone, so no two gateways wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from zscrape.store.alone import AloneConnection, Result
from zscrape.store.postgres import Connection

# Takes the state, empty iff there is none, and the moment; returns the new state with a result.
SiteWork: TypeAlias = Callable[[bytes, float], tuple[bytes, Result]]

_NOW: Final = "extract(epoch from clock_timestamp())::float8"
_NEW: Final = (
    "INSERT INTO site_states (site, state, at) VALUES (?, ?, 0) ON CONFLICT (site) DO NOTHING"
)
_FIND: Final = "SELECT state FROM site_states WHERE site = ? FOR UPDATE"
_KEEP: Final = "UPDATE site_states SET state = ?, at = ? WHERE site = ?"
_RECENT: Final = f"SELECT site, state, {_NOW} FROM site_states WHERE at > {_NOW} - ? LIMIT ?"  # noqa: S608 - constants
_SWEEP: Final = f"DELETE FROM site_states WHERE at < {_NOW} - ?"  # noqa: S608 - constants


class SiteStates:
    """The sites in a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._alone = AloneConnection(url, "store-sites")

    async def change(self, site: str, work: SiteWork[Result]) -> Result:
        """Change what is known of a site, alone among all gateways; `work` may run again.

        Raises:
            StorageError: The database cannot be reached or written.
        """

        def run(connection: Connection) -> Result:
            found: tuple[bytes] | None = None
            while found is None:  # it may be swept between the two
                connection.execute(_NEW, (site, b""))
                found = connection.execute(_FIND, (site,)).fetchone()
            now = _now(connection)
            state, result = work(bytes(found[0]), now)
            connection.execute(_KEEP, (state, now, site))
            return result

        return await self._alone.run(run)

    async def recent(self, age_s: float, limit: int) -> list[tuple[str, bytes, float]]:
        """Return the sites that have changed of late, each with its state and the moment.

        Raises:
            StorageError: The database cannot be reached or read.
        """
        found = await self._alone.run(
            lambda connection: connection.execute(_RECENT, (age_s, limit)).fetchall()
        )
        return [(site, bytes(state), now) for site, state, now in found]

    async def sweep(self, age_s: float) -> None:
        """Forget sites that have not changed for so long.

        Raises:
            StorageError: The database cannot be reached or written.
        """
        await self._alone.run(lambda connection: connection.execute(_SWEEP, (age_s,)))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._alone.close()


def _now(connection: Connection) -> float:
    found = connection.execute(f"SELECT {_NOW}").fetchone()
    if found is None:
        raise AssertionError("a clock always has a row")
    return float(found[0])
