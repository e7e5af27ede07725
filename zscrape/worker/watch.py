"""Limits that the kernel keeps for one process, kept for all processes of an attempt.

Most attempts are over before this begins. It looks ten times a second, or a little less where
that costs much: first at what costs little, and only if that could be too much at what is exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from zscrape.model import Limits, OutcomeCode
from zscrape.worker import tree
from zscrape.worker.children import Child
from zscrape.worker.tree import Process
from zscrape.worker.weight import Weight

_FIRST_LOOK_S = 0.025  # after the moment from which it may be watched: 50 ms after its begin
_LOOK_INTERVAL_S = 0.1
# A browser has a dozen processes and a hundred threads to look at, while it keeps all processors
# busy: looking takes this share of the time at most, as long as the looks are not too rare.
_SHARE = 0.05
_LOOK_CAP_S = 0.3

_Fields = Mapping[str, str | int | float]


class Over(Protocol):
    """Ends an attempt that has gone over a limit."""

    def __call__(self, code: OutcomeCode, fields: _Fields) -> None:
        """End it at once."""


class TreeWatch:
    """Watches the processes of one attempt: memory, number, processor time."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: Limits, child: Child, end: Over
    ) -> None:
        self._limits = limits
        self._child = child
        self._end = end
        self._loop = loop
        self._weight = Weight(limits.memory_bytes)
        self._cpu_s: dict[tuple[int, int], tuple[bool, float]] = {}  # stray or not, last seen
        self._ended_cpu_s = [0.0, 0.0]  # of the child's own tree, of strays
        self.pids: tuple[int, ...] = (child.pid,)  # at the last look
        self._task = loop.create_task(self._run())

    def close(self) -> None:
        """Stop watching."""
        self._task.cancel()

    def peak_bytes(self, told_bytes: int) -> int:
        """Return the most memory that was held at a time; `told_bytes` by the largest process."""
        return max(self._weight.peak_bytes, told_bytes)

    def cpu_s(self, told_s: float) -> float:
        """Return the processor time of all processes.

        Args:
            told_s: That of the child and of what it has waited for.
        """
        seen = list(self._ended_cpu_s)
        for is_stray, cpu_s in self._cpu_s.values():
            seen[is_stray] += cpu_s
        return max(seen[False], told_s) + seen[True]

    async def _run(self) -> None:
        await asyncio.sleep(self._child.watch_at + _FIRST_LOOK_S - self._loop.time())
        while True:
            begun_at = self._loop.time()
            over = await self._look()
            if over is not None:
                self._end(*over)
                return
            pause_s = max(_LOOK_INTERVAL_S, (self._loop.time() - begun_at) / _SHARE)
            await asyncio.sleep(min(pause_s, _LOOK_CAP_S))

    async def _look(self) -> tuple[OutcomeCode, _Fields] | None:
        """Return the limit that the attempt has gone over, if any."""
        limit_count = self._limits.process_count
        stray_pids = self._child.template.strays_of(self._child)
        seen = tree.look(self._child.pid, stray_pids, limit_count)
        found = [each for each in seen if not (each.is_stray and each.is_zombie)]
        if len(found) < len(seen):
            self._child.template.reap()
        self.pids = tuple(each.pid for each in found)
        self._note_cpu(seen)
        if sum(each.thread_count for each in found) > limit_count:
            return OutcomeCode.PROCESS_LIMIT, {"limit_count": limit_count}
        await self._weight.look(found)
        if self._weight.is_over:
            peak_bytes = self._weight.peak_bytes
            fields = {"limit_bytes": self._limits.memory_bytes, "peak_bytes": peak_bytes}
            return OutcomeCode.MEMORY_LIMIT, fields
        return None

    def _note_cpu(self, found: list[Process]) -> None:
        """Keep what each process has used; of those that are gone, what was seen last."""
        before, self._cpu_s = self._cpu_s, {}
        for each in found:
            self._cpu_s[each.pid, each.born] = (each.is_stray, each.cpu_s)
        for key in before.keys() - self._cpu_s.keys():
            is_stray, cpu_s = before[key]
            self._ended_cpu_s[is_stray] += cpu_s
