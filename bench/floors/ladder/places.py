"""Which worker runs a task, and which task a free one gets: the promise `PLACE`.

Workers that no demand can tell apart are of one kind: those with the same tags, of the tags that
any task has asked for. What waits stands by what it demands, by priority, and within that clients
take turns.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import islice

from msgspec import Struct

from bench.floors.ladder import words
from bench.floors.ladder.links import SureLink, Worker
from bench.floors.ladder.lives import Lives, Task

_WARM_LOOK_COUNT = 8
_CLIENTS_COUNT = 1_024
_NO_TAGS: frozenset[str] = frozenset()


class _Kind(Struct, eq=False):
    tags: frozenset[str]
    free: list[dict[Worker, None]]
    demands: list[_Demand] = []


class _Demand(Struct, eq=False):
    requires: frozenset[str]
    prefers: frozenset[str]
    kinds: list[tuple[int, _Kind]] = []  # that fit, the preferred first
    heap: list[tuple[tuple[int, float, int], Task]] = []


class PlacedLink(SureLink):
    """Chooses by required tags, preferred ones, load, and who has the script ready."""

    def __init__(self, worker_count: int, lives: Lives) -> None:
        super().__init__(worker_count, lives)
        self._kinds: dict[frozenset[str], _Kind] = {}
        self._demands: dict[tuple[frozenset[str], frozenset[str]], _Demand] = {}
        self._mentioned = _NO_TAGS
        self._plain = self._demand(_NO_TAGS, _NO_TAGS)
        self._warm_count = 0  # beats that have told of warm scripts
        self._waiting_count = 0
        self._turns: dict[tuple[int, str], float] = {}
        self._served = 0.0  # the latest turn
        self._number = 0

    def run(self, task: Task) -> None:
        """Send a task to the best worker, or let it wait for one."""
        worker = self._choose(task)
        if worker is None:
            self._stand(task)
        else:
            self._send(worker, task)

    def matches(self, task: Task) -> bool:
        """True iff some worker could run a task."""
        places = [kind.free for _, kind in self._demand_of(task).kinds]
        return any(worker.free is free for worker in self._by_id.values() for free in places)

    def _demand_of(self, task: Task) -> _Demand:
        tags, script = task.request.tags, task.script
        if script.is_plain and not tags:
            return self._plain
        return self._demand(script.requires.union(tags), script.prefers)

    def _demand(self, requires: frozenset[str], prefers: frozenset[str]) -> _Demand:
        demand = self._demands.get((requires, prefers))
        if demand is None:
            fresh = (requires | prefers) - self._mentioned
            if fresh:
                self._mention(fresh)
            demand = self._demands[requires, prefers] = _Demand(requires, prefers)
            for kind in self._kinds.values():
                _meet(kind, demand)
        return demand

    def _choose(self, task: Task) -> Worker | None:
        found: dict[Worker, None] | None = None
        best_count = best_level = 0
        for count, kind in self._demand_of(task).kinds:
            if found is not None and count < best_count:
                break
            for level, free in enumerate(kind.free):
                if free:
                    if found is None or level < best_level:
                        found, best_count, best_level = free, count, level
                    break
        if found is None:
            return None
        if self._warm_count:
            digest = task.script.pin.digest
            for worker in islice(found, _WARM_LOOK_COUNT):
                if digest in worker.warm:
                    return worker
        return next(iter(found))

    def _stand(self, task: Task) -> None:
        if task.turn is None:
            line = task.request.priority, task.key.client
            turn = max(self._turns.get(line, 0.0), self._served)
            self._turns[line] = turn + 1.0
            if len(self._turns) > _CLIENTS_COUNT:
                ahead = self._turns.items()
                self._turns = {line: turn for line, turn in ahead if turn > self._served}
            self._number += 1
            task.turn = -task.request.priority, turn, self._number
        heappush(self._demand_of(task).heap, (task.turn, task))
        self._waiting_count += 1
        self._lives.wait(task)

    def _give(self, worker: Worker) -> None:
        if not self._waiting_count:
            return
        demands = self._kind_of(worker).demands
        while len(worker.running) < worker.limit:
            heaps = [heap for demand in demands if (heap := self._alive(demand.heap))]
            if not heaps:
                return
            turn, task = heappop(min(heaps, key=_first))
            self._waiting_count -= 1
            self._served = max(self._served, turn[1])
            self._send(worker, task)

    def _alive(
        self, heap: list[tuple[tuple[int, float, int], Task]]
    ) -> list[tuple[tuple[int, float, int], Task]]:
        while heap and heap[0][1].finished_at is not None:
            heappop(heap)
            self._waiting_count -= 1
        return heap

    # ---- kinds -----------------------------------------------------------------------

    def _kind_of(self, worker: Worker) -> _Kind:
        return next(kind for kind in self._kinds.values() if kind.free is worker.free)

    def _mention(self, tags: frozenset[str]) -> None:
        """Tell workers apart by these tags from now on."""
        self._mentioned |= tags
        for worker in self._by_id.values():
            for places in worker.free:
                places.pop(worker, None)
            limit, worker.limit, worker.free = worker.limit, 0, self._free_for(worker.tags)
            self._set_limit(worker, limit)

    def _free_for(self, told: Iterable[str]) -> list[dict[Worker, None]]:
        tags = self._mentioned.intersection(told)
        kind = self._kinds.get(tags)
        if kind is None:
            kind = self._kinds[tags] = _Kind(tags, [{}])
            for demand in self._demands.values():
                _meet(kind, demand)
        return kind.free

    def _beaten(self, worker: Worker, said: words.Beat) -> None:
        self._warm_count += bool(said.warm)
        super()._beaten(worker, said)


def _meet(kind: _Kind, demand: _Demand) -> None:
    if demand.requires <= kind.tags:
        demand.kinds.append((len(demand.prefers & kind.tags), kind))
        demand.kinds.sort(key=_count, reverse=True)
        kind.demands.append(demand)


def _count(offer: tuple[int, _Kind]) -> int:
    return offer[0]


def _first(heap: list[tuple[tuple[int, float, int], Task]]) -> tuple[int, float, int]:
    return heap[0][0]
