"""What a worker has asked its gateway and has no answer to yet."""

from __future__ import annotations

from math import inf
from typing import Literal

from zscrape.wire import Need

# A lost question is missed soon; a gateway that is busy reading a script is not flooded.
REPEAT_S = 2.0


class Questions:
    """Open questions by number, all repeated together."""

    def __init__(self) -> None:
        self.repeat_at = inf  # infinite iff nothing is open
        self._open: dict[int, Need] = {}
        self._count = 0

    def ask(self, kind: Literal["script"], key: str, *, now: float) -> Need:
        """Return a new question; its number comes back with the answer."""
        self._count += 1
        need = self._open[self._count] = Need(self._count, kind, key)
        self.repeat_at = min(self.repeat_at, now + REPEAT_S)
        return need

    def repeat(self, *, now: float) -> list[Need]:
        """Return what is to be asked again."""
        self.repeat_at = now + REPEAT_S if self._open else inf
        return list(self._open.values())

    def answer(self, request: int) -> bool:
        """Close a question. True iff it was open: only the first answer counts."""
        is_open = self._open.pop(request, None) is not None
        if not self._open:
            self.repeat_at = inf
        return is_open
