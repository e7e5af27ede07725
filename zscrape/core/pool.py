"""Workers, and which of them gets an attempt.

Liveness and load are separate facts: a message moves `expires_at`, an attempt moves `level`.

Choosing: required tags must be there; then most preferred tags, least load, a warm script,
and whoever has stood longest at that load. Workers that no demand can tell apart form a
kind, and a kind keeps its members with room by level of load, so choosing costs the same
with ten workers and with thousands.

Source: ipyparallel's least-load ordering; the levels make its linear search a bit scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple, TypeAlias

from zscrape.core.entities import BROWSER_TAG, LOAD_LEVEL_COUNT, Demand, Kind, Worker
from zscrape.core.queue import Queue
from zscrape.model import TaskSpec, WorkerId

# Looked at in search of a warm worker, from either side: among the least loaded, and among
# the warm. Bounded, because a warm start is worth less than a long search.
_WARM_LOOK_COUNT = 8
# Demands that no task stands at are kept for the next task up to this many.
_IDLE_DEMAND_COUNT = 1024


# Required and preferred tags, and the script.
_DemandKey: TypeAlias = tuple[frozenset[str], frozenset[str], str]


class _KindKey(NamedTuple):
    tags: frozenset[str]
    cannot: frozenset[str]
    has_browser_room: bool


class Pool:
    """All known workers by id and by connection, and the demands that tasks make of them."""

    def __init__(self, queue: Queue) -> None:
        self.workers: dict[WorkerId, Worker] = {}
        self.by_peer: dict[bytes, Worker] = {}
        self.kinds: dict[_KindKey, Kind] = {}
        self.demands: dict[_DemandKey, Demand] = {}
        # Whose load has changed since the last choice: nobody asks for its level before the next.
        self.moved: dict[Worker, None] = {}
        self._queue = queue
        self._mentioned: frozenset[str] = frozenset()  # tags that some demand asks for
        self._sweep_at_count = _IDLE_DEMAND_COUNT

    # ---- demands ---------------------------------------------------------------------

    def demand(self, spec: TaskSpec) -> Demand:
        """Return the demand that `spec` makes, shared by all tasks that make the same."""
        requires = spec.requires
        if "browser" in spec.run.kit:
            requires |= {BROWSER_TAG}
        key = (requires, spec.prefers, spec.run.pin.digest)
        demand = self.demands.get(key)
        return self._new_demand(key) if demand is None else demand

    def _new_demand(self, key: _DemandKey) -> Demand:
        if len(self.demands) >= self._sweep_at_count:
            self._drop_idle_demands()
        mentions = key[0] | key[1]
        fresh = mentions - self._mentioned
        if fresh:
            self._mentioned |= fresh
            for worker in self.workers.values():
                if worker.kind is not None and not fresh.isdisjoint(worker.tags):
                    self.settle(worker)
        demand = self.demands[key] = Demand(*key)
        for kind in self.kinds.values():
            self._match(kind, demand)
        return demand

    def _drop_idle_demands(self) -> None:
        """Forget demands without a task; next time there are twice as many as now remain."""
        self.demands = {key: demand for key, demand in self.demands.items() if demand.task_count}
        self._sweep_at_count = max(_IDLE_DEMAND_COUNT, 2 * len(self.demands))
        self._mentioned = frozenset().union(
            *(demand.requires | demand.prefers for demand in self.demands.values())
        )
        for kind in self.kinds.values():
            kind.entry_by_demand = {
                demand: entry for demand, entry in kind.entry_by_demand.items() if demand.task_count
            }

    # ---- choosing --------------------------------------------------------------------

    def choose(self, demand: Demand) -> Worker | None:
        """Return the best worker with room for a task of `demand`, or None."""
        # Once for all that has come and gone since: mostly a task has gone and another has come.
        for worker in self.moved:
            self._weigh_slots(worker)
        self.moved.clear()
        best: Kind | None = None
        best_count = best_bit = 0
        for preferred_count, kind in demand.offers:
            if best is not None and preferred_count < best_count:
                break
            bit = kind.mask & -kind.mask
            is_better = bit and (best is None or bit < best_bit)
            if is_better and (kind.has_browser_room or not demand.is_browser):
                best, best_count, best_bit = kind, preferred_count, bit
        if best is None:
            return None
        first = next(iter(best.levels[best_bit]))
        warm = best.warm.get(demand.digest)
        if warm is None or first.id in warm:
            return first
        return _warm_one(best, best_bit, warm) or first

    # ---- workers ---------------------------------------------------------------------

    def settle(self, worker: Worker) -> None:
        """Put `worker` among its like, after its tags or what it cannot run have changed."""
        key = _KindKey(worker.tags & self._mentioned, worker.cannot, worker.has_browser_room)
        self._unsettle(worker)
        kind = self.kinds.get(key)
        if kind is None:
            kind = self.kinds[key] = Kind(*key)
            for demand in self.demands.values():
                self._match(kind, demand)
        kind.members[worker.id] = worker
        worker.kind = kind
        for digest in worker.warm:
            kind.warm.setdefault(digest, {})[worker.id] = worker
        self._weigh_slots(worker)

    def weigh(self, worker: Worker) -> None:
        """Put `worker` on the level of its load, after its load or capacity has changed.

        It goes behind those that stand there already.
        """
        kind = worker.kind
        if kind is None:
            return
        if worker.browser_slots and kind.has_browser_room != worker.has_browser_room:
            self.settle(worker)
        else:
            self._weigh_slots(worker)

    def _weigh_slots(self, worker: Worker) -> None:
        """Do as `weigh` where no task with a browser has come or gone: its kind stays."""
        kind = worker.kind
        if kind is None:
            return
        in_flight_count, capacity = len(worker.tasks) + len(worker.leftovers), worker.capacity
        bit = 0
        if in_flight_count < capacity:
            bit = 1 << in_flight_count * LOAD_LEVEL_COUNT // capacity
        before = worker.level_bit
        if bit == before:
            if bit:
                kind.levels[bit].move_to_end(worker)
            return
        if before:
            level_workers = kind.levels[before]
            del level_workers[worker]
            if not level_workers:
                kind.mask ^= before
        worker.level_bit = bit
        if bit:
            kind.levels[bit][worker] = None
            kind.mask |= bit

    def rate(self, worker: Worker) -> None:
        """Reckon what `worker` may have at once, after its status or limit has changed."""
        takes_work = not (
            worker.is_expected or worker.is_suspect or worker.is_draining or worker.is_leaving
        )
        worker.capacity = min(worker.slots, worker.limit) if takes_work else 0
        self.weigh(worker)

    def set_warm(self, worker: Worker, digests: frozenset[str]) -> None:
        """Note which scripts are ready to run on `worker`."""
        kind = worker.kind
        if kind is not None:
            for digest in worker.warm - digests:
                self._chill(kind, worker, digest)
            for digest in digests - worker.warm:
                kind.warm.setdefault(digest, {})[worker.id] = worker
        worker.warm = digests

    def bind(self, worker: Worker, peer: bytes) -> None:
        """Note that `worker` speaks through `peer` from now on."""
        if worker.peer:
            del self.by_peer[worker.peer]
        worker.peer = peer
        self.by_peer[peer] = worker

    def remove(self, worker: Worker) -> None:
        """Forget `worker`."""
        self._unsettle(worker)
        del self.workers[worker.id]
        if worker.peer:
            del self.by_peer[worker.peer]

    def _unsettle(self, worker: Worker) -> None:
        kind = worker.kind
        if kind is None:
            return
        capacity, worker.capacity = worker.capacity, 0
        self._weigh_slots(worker)
        worker.capacity = capacity
        for digest in worker.warm:
            self._chill(kind, worker, digest)
        worker.kind = None
        del kind.members[worker.id]
        if not kind.members:
            del self.kinds[_KindKey(kind.tags, kind.cannot, kind.has_browser_room)]
            for demand in self.demands.values():
                demand.offers = [offer for offer in demand.offers if offer[1] is not kind]

    def _chill(self, kind: Kind, worker: Worker, digest: str) -> None:
        warm = kind.warm[digest]
        del warm[worker.id]
        if not warm:
            del kind.warm[digest]

    def _match(self, kind: Kind, demand: Demand) -> None:
        if not kind.fits(demand):
            return
        demand.offers.append((len(demand.prefers & kind.tags), kind))
        demand.offers.sort(key=_by_preference)
        self._queue.introduce(kind, demand)


def _warm_one(kind: Kind, bit: int, warm: Mapping[WorkerId, Worker]) -> Worker | None:
    """Return a worker of this level that has the script ready; None if none is soon found."""
    for worker in islice(kind.levels[bit], _WARM_LOOK_COUNT):
        if worker.id in warm:
            return worker
    for worker in islice(warm.values(), _WARM_LOOK_COUNT):
        if worker.level_bit == bit:
            return worker
    return None


def _by_preference(offer: tuple[int, Kind]) -> int:
    return -offer[0]
