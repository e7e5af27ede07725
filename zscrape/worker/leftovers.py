"""How many processes attempts have left behind: ended by this worker, told to its gateways."""

from __future__ import annotations


class Leftovers:
    """A count that is told once: with several gateways, to the one that asks first."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, count: int) -> None:
        """Count processes that were ended."""
        self._count += count

    def take(self) -> int:
        """Return how many there were since this was asked last."""
        taken, self._count = self._count, 0
        return taken
