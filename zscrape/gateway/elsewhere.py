"""Who is asked after tasks that another gateway on the same database looks after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from zscrape.store.tasks import TaskRow

if TYPE_CHECKING:
    from zscrape.store.gateways import HeldLock


class Elsewhere(Protocol):
    """What asks after tasks of other gateways."""

    def follow(self, row: TaskRow) -> None:
        """Keep this row up to date, and ring the bells of its task, until `leave`."""
        ...

    def leave(self, row: TaskRow) -> None:
        """Follow the row no longer."""
        ...

    async def cancel(self, row: TaskRow) -> None:
        """Have the gateway end the task that looks after it; a moment later the row says so."""
        ...

    async def locks(self) -> list[HeldLock]:
        """Return the locks that tasks of other gateways have.

        Raises:
            StorageError: The database cannot be read.
        """
        ...


class Nowhere:
    """There is no other gateway."""

    async def locks(self) -> list[HeldLock]:
        """Return nothing."""
        return []

    def follow(self, row: TaskRow) -> None:
        """Do nothing: the row is the one that changes."""

    def leave(self, row: TaskRow) -> None:
        """Do nothing."""

    async def cancel(self, row: TaskRow) -> None:
        """Do nothing: a task that nobody looks after has ended."""
