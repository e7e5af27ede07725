"""Children that wait for another attempt of the same script and client: the manifest's `reuse`.

A child goes after so many attempts, after any that has failed or has left something in its folder,
when anything that it has started is still there, when it does anything but wait, when nobody has
needed it for a while, and when there are more of them than slots.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from bench.floors.ladder.children import Child, Spares

Use: TypeAlias = tuple[str, bytes]  # a client, and what it has run

_LOOK_S, _STIR_S, _IDLE_S = 0.5, 0.05, 30.0  # as ours has them
_NEVER = float("inf")


class _Waiting(NamedTuple):
    use: Use
    since_at: float
    cpu_s: float


class Reusing:
    """The children that wait, the one that has waited longest first."""

    def __init__(self, spares: Spares, limit_count: int, memory_bytes: int) -> None:
        self._spares, self._limit_count, self._memory_bytes = spares, limit_count, memory_bytes
        self._waiting: dict[Child, _Waiting] = {}
        self.look_at = _NEVER

    def __contains__(self, child: Child) -> bool:
        return child in self._waiting

    def take(self, use: Use) -> Child | None:
        """Return a child that has run the same; None if there is none."""
        for child in reversed(self._waiting):
            if self._waiting[child].use == use:
                del self._waiting[child]
                return child
        return None

    def offer(self, use: Use, child: Child, now: float) -> None:
        """Keep a child whose attempt is over, or let it go."""
        cpu_s = self._spares.alone_s(child, self._memory_bytes)
        if cpu_s is None or not self._spares.is_home_untouched(child):
            self._spares.release(child)
            return
        self._waiting[child] = _Waiting(use, now, cpu_s)
        if len(self._waiting) > self._limit_count:
            self.drop(next(iter(self._waiting)))
        self.look_at = min(self.look_at, now + _LOOK_S)

    def drop(self, child: Child) -> None:
        """Let go of one that waits."""
        del self._waiting[child]
        self._spares.release(child)

    def look(self, now: float) -> float:
        """Let go of whom nobody needs, and who does not wait; return when to look again."""
        if now >= self.look_at:
            for child, waiting in [*self._waiting.items()]:
                cpu_s = self._spares.alone_s(child, self._memory_bytes)
                is_idle = now - waiting.since_at >= _IDLE_S
                if is_idle or cpu_s is None or cpu_s - waiting.cpu_s > _STIR_S:
                    self.drop(child)
            self.look_at = now + _LOOK_S if self._waiting else _NEVER
        return self.look_at
