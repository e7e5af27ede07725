"""The queue: which task a free worker gets next, whatever else is blocked.

Tasks stand in one heap per demand, so tasks that no free worker can run are never looked
at. Each kind of worker has a heap of the first tasks of the demands that it fits. Those
heads are corrected late: an entry may name a task that has gone since, which makes it too
early, never too late; it is put right when it surfaces. So taking a task costs the same
with ten thousand blocked ones beside it, and nothing is paid for kinds that do not ask.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace

from zscrape.core.entities import Demand, HeadEntry, Kind, Task

# Below this many entries a heap is not worth compacting.
_COMPACT_FLOOR_COUNT = 64


class Queue:
    """Tasks that wait for a slot, by priority and then by turn and order of acceptance."""

    def push(self, task: Task) -> None:
        """Let `task` wait. A task that waited before gets its old place."""
        demand = task.demand
        task.is_queued = True
        demand.queued_count += 1
        if not task.is_in_heap:
            task.is_in_heap = True
            heappush(demand.heap, (*task.order, task))
        if self.head(demand) is task:
            for _, kind in demand.offers:
                self._tell(kind, demand, task)

    def remove(self, task: Task) -> None:
        """Take `task` out, wherever it stands; nothing happens if it does not wait here."""
        if not task.is_queued:
            return
        task.is_queued = False
        demand = task.demand
        demand.queued_count -= 1
        heap = demand.heap
        if len(heap) > _COMPACT_FLOOR_COUNT and len(heap) > 2 * demand.queued_count:
            for entry in heap:
                entry[3].is_in_heap = entry[3].is_queued
            heap[:] = [entry for entry in heap if entry[3].is_queued]
            heapify(heap)

    def leave(self, task: Task) -> None:
        """Forget a task that waits no more at its demand, the dead entry included."""
        if task.is_in_heap:
            heap = task.demand.heap
            heap[:] = [entry for entry in heap if entry[3] is not task]
            heapify(heap)
            task.is_in_heap = False

    def head(self, demand: Demand) -> Task | None:
        """Return the first task of `demand`, leaving it where it is."""
        heap = demand.heap
        while heap:
            task = heap[0][3]
            if task.is_queued:
                return task
            heappop(heap)
            task.is_in_heap = False
        return None

    def take(self, kind: Kind) -> Task | None:
        """Take out the first task that a worker of `kind` can run, or return None."""
        heads = kind.heads
        while heads:
            entry = heads[0]
            demand = entry[3]
            if kind.entry_by_demand.get(demand) is not entry:
                heappop(heads)
                continue
            task = self.head(demand)
            if task is None:
                heappop(heads)
                del kind.entry_by_demand[demand]
                continue
            if task.seq != entry[2]:
                later: HeadEntry = (*task.order, demand)
                heapreplace(heads, later)
                kind.entry_by_demand[demand] = later
                if heads[0] is not later:
                    continue
            heappop(demand.heap)
            task.is_in_heap = task.is_queued = False
            demand.queued_count -= 1
            return task
        return None

    def introduce(self, kind: Kind, demand: Demand) -> None:
        """Tell a new kind what waits at a demand that it fits."""
        task = self.head(demand)
        if task is not None:
            self._tell(kind, demand, task)

    def _tell(self, kind: Kind, demand: Demand, task: Task) -> None:
        """Put the head of `demand` into the heads of `kind`; the entry before it is void.

        Not of one whose browsers are all busy: a member is of another kind when one comes free.
        """
        if not kind.has_room_for(demand):
            return
        entry: HeadEntry = (*task.order, demand)
        known = kind.entry_by_demand.get(demand)
        if known is not None and known[:3] <= entry[:3]:
            return
        kind.entry_by_demand[demand] = entry
        heappush(kind.heads, entry)
        if len(kind.heads) > _COMPACT_FLOOR_COUNT + 2 * len(kind.entry_by_demand):
            kind.heads[:] = kind.entry_by_demand.values()
            heapify(kind.heads)
