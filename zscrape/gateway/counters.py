"""What has happened in this gateway since it started, as plain numbers.

A task costs a few additions here; names, labels and text are made when somebody looks, in
`zscrape.gateway.metrics`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import attrgetter, sub
from typing import Final, TypeAlias

from zscrape.core.effects import (
    DispatcherEffect,
    Ignored,
    TaskQueued,
    WorkerJoined,
    WorkerLost,
    WorkerSuspected,
)
from zscrape.core.snapshots import WorkerSnapshot
from zscrape.model import OutcomeCode, WorkerId
from zscrape.store.tasks import TaskRow

# Upper bounds in seconds: a no-op answers in 5 ms, a script's default timeout is 300 s.
SHORT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
OTHER: Final = "other"
SCRIPT_LIMIT_COUNT: Final = 200
CLIENT_LIMIT_COUNT: Final = 50
# Plain ends that are counted together: one by one each finds the code for it out of the
# processor's caches, which takes twice as long (measured).
_GATHERED_COUNT: Final = 64
_GATHERED_BYTES: Final = 4_096  # of a question and its answer that are kept in memory until then
SERIES_LIMIT_COUNT: Final = 2_000  # of scripts, states and clients together
Series: TypeAlias = tuple[str, str, str]  # script, state, client
# Of many rows at once these take no step of the interpreter's for each.
_ITEM_COUNT: Final = attrgetter("item_count")
_NAMES: Final = attrgetter("script_name", "digest", "status", "client")
_CREATED_AT: Final = attrgetter("created_at")
_STARTED_AT: Final = attrgetter("started_at")
_FINISHED_AT: Final = attrgetter("finished_at")
_IS_DEAD_LETTER: Final = attrgetter("is_dead_letter")
_ATTEMPTS: Final = attrgetter("attempts")
_OUTCOME: Final = attrgetter("outcome")
_CODE: Final = attrgetter("outcome.code")
_PREPARE_S: Final = attrgetter("prepare_s")
_RUN_S: Final = attrgetter("run_s")
_USAGE: Final = attrgetter("usage")
_CPU_S: Final = attrgetter("cpu_s")
_ENVIRONMENT_S: Final = attrgetter("environment_s")
_FETCH_S: Final = attrgetter("fetch_s")
_HAS_FETCHED: Final = attrgetter("has_fetched")
_LOST_REASONS: Final = ("silent", "unreachable", "left", "replaced", "absent", "revoked")


class Histogram:
    """How many values fell below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # not cumulated; the last is above every bound
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value; a clock that was set back gives none below zero."""
        self.add_all((value,))

    def add_all(self, values: Sequence[float]) -> None:
        """Count values as `add` does."""
        counts = self.counts
        for place, count in Counter(map(bisect_left, repeat(self.bounds), values)).items():
            counts[place] += count
        self.sum += _total(values)


class Names:
    """The first so many names stand for themselves, all others for `other`."""

    __slots__ = ("_known", "_limit_count")

    def __init__(self, limit_count: int) -> None:
        self._limit_count = limit_count
        self._known: dict[str, str] = {}

    def bounded(self, name: str) -> str:
        """Return the name to count under."""
        known = self._known.get(name)
        if known is not None:
            return known
        if len(self._known) >= self._limit_count:
            return OTHER
        self._known[name] = name
        return name


class Counters:
    """All counters of a gateway; one event loop uses them."""

    def __init__(self) -> None:
        self.requests: dict[Series, int] = {}
        self.durations: dict[str, Histogram] = {}  # by script: from accepted to ended
        # What is known beforehand begins at zero: else the first of each is no rise to Prometheus.
        self.attempts = {code.value: 0 for code in OutcomeCode}
        self.dispatch = Histogram(SHORT_S)  # from accepted to given to a worker
        self.prepare = Histogram(LONG_S)  # script and environment made ready
        self.fetch = Histogram(LONG_S)  # the script alone
        self.environment = Histogram(LONG_S)  # the environment alone, where one is needed
        self.scripts = {"kept": 0, "fetched": 0}
        self.environments = {"kept": 0, "built": 0}
        self.child = Histogram(LONG_S)  # the script itself
        self.cpu_s = 0.0  # of scripts
        self.item_count = 0
        self.dead_letters = {"retry_exhausted": 0, "poison": 0}
        self.workers_joined = {"new": 0, "return": 0}
        self.workers_suspected_count = 0
        self.workers_lost = dict.fromkeys(_LOST_REASONS, 0)
        self.ignored_count = 0
        self.leftover_count = 0  # processes of attempts that workers have ended
        self._leftovers: dict[WorkerId, int] = {}  # as each worker told last
        self._scripts = Names(SCRIPT_LIMIT_COUNT)
        self._clients = Names(CLIENT_LIMIT_COUNT)
        # By script, state and client as they are called: under which names they are counted.
        self._series: dict[tuple[str, str, str], tuple[Series, Histogram]] = {}
        self._gathered: list[TaskRow] = []

    def take(self, row: TaskRow) -> None:
        """Take a task that has ended: it is counted by the next `settle`, if not now."""
        outcome, gathered = row.outcome, self._gathered
        gathered.append(row)
        if (
            len(gathered) >= _GATHERED_COUNT
            or outcome is None
            or outcome.code is not OutcomeCode.OK
            or len(outcome.data or b"") + len(row.parameters) > _GATHERED_BYTES
            or row.metadata
        ):
            self.settle()

    def settle(self) -> None:
        """Count what has been taken; to be called before somebody looks."""
        gathered, self._gathered = self._gathered, []
        for rows in _alike(gathered):
            # A name that no repository knows is whatever somebody has typed.
            row = rows[0]
            name = row.script_name if row.digest else OTHER
            key = (name, row.status, row.client)
            series, duration = self._series.get(key) or self._new_series(name, row)
            self.requests[series] += len(rows)
            duration.add_all([*map(sub, map(_FINISHED_AT, rows), map(_CREATED_AT, rows))])
        self.item_count += sum(map(_ITEM_COUNT, gathered))
        for row in filter(_IS_DEAD_LETTER, gathered):
            _add(self.dead_letters, row.dropped_reason)
        self._attempted([*filter(_ATTEMPTS, gathered)])

    def _new_series(self, name: str, row: TaskRow) -> tuple[Series, Histogram]:
        """Return what a task with these names is counted under, and remember it."""
        script, status = self._scripts.bounded(name) if row.digest else OTHER, str(row.status)
        series = (script, status, self._clients.bounded(row.client))
        requests = self.requests
        if series not in requests and len(requests) >= SERIES_LIMIT_COUNT:
            series = (OTHER, status, OTHER)
        requests.setdefault(series, 0)
        duration = self.durations.get(script)
        if duration is None:
            duration = self.durations[script] = Histogram(LONG_S)
        if len(self._series) < SERIES_LIMIT_COUNT:
            self._series[name, row.status, row.client] = series, duration
        return series, duration

    def _attempted(self, rows: Sequence[TaskRow]) -> None:
        """Count the attempts that ended tasks: each of these has an outcome."""
        self.dispatch.add_all(
            [
                row.assigned_at - row.created_at
                for row in rows
                if row.attempts == 1 and row.assigned_at is not None
            ]
        )
        for code, count in Counter(map(_CODE, rows)).items():
            _add(self.attempts, str(code), count)
        ran = [*map(_OUTCOME, filter(_STARTED_AT, rows))]
        self.prepare.add_all([*map(_PREPARE_S, ran)])
        self.child.add_all([*map(_RUN_S, ran)])
        used = [*map(_USAGE, ran)]
        self.cpu_s += _total([*map(_CPU_S, used)])
        self.fetch.add_all([*map(_FETCH_S, used)])
        fetched_count = sum(map(_HAS_FETCHED, used))
        self.scripts["fetched"] += fetched_count
        self.scripts["kept"] += len(used) - fetched_count
        for usage in filter(_ENVIRONMENT_S, used):
            self.environment.add(usage.environment_s)
            self.environments["built" if usage.has_built else "kept"] += 1

    def look(self, workers: Iterable[WorkerSnapshot]) -> None:
        """Add what workers have cleared away since the last look; one anew begins at zero."""
        told = {worker.id: worker.load.leftover_count for worker in workers}
        for worker_id, count in told.items():
            before = self._leftovers.get(worker_id, 0)
            self.leftover_count += count - before if count >= before else count
        self._leftovers = told

    def note(self, fact: DispatcherEffect) -> None:
        """Count a fact that is not a task's end; of those that are not `COUNTED` nothing."""
        match fact:
            case TaskQueued(code=code):
                if code is not None:
                    _add(self.attempts, code.value)
            case WorkerJoined(is_return=is_return):
                _add(self.workers_joined, "return" if is_return else "new")
            case WorkerSuspected():
                self.workers_suspected_count += 1
            case WorkerLost(reason=reason):
                _add(self.workers_lost, reason)
            case Ignored():
                self.ignored_count += 1
            case _:
                return


COUNTED: Final = frozenset({TaskQueued, WorkerJoined, WorkerSuspected, WorkerLost, Ignored})


def _alike(rows: Sequence[TaskRow]) -> Iterable[list[TaskRow]]:
    """Return the rows that are counted under the same names together."""
    names = [*map(_NAMES, rows)]
    if names and names.count(names[0]) == len(names):  # mostly one script of one client
        return ([*rows],)
    alike: dict[object, list[TaskRow]] = {}
    for each, row in zip(names, rows, strict=True):
        alike.setdefault(each, []).append(row)
    return alike.values()


def _total(values: Sequence[float]) -> float:
    """Return the sum of values; of a worker's word, which may be none or below zero, too."""
    total = sum(values)
    if total != total or min(values, default=0.0) < 0.0:
        total = sum([value for value in values if value > 0.0])
    return total


def _add(counts: dict[str, int], name: str, count: int = 1) -> None:
    counts[name] = counts.get(name, 0) + count
