"""The end of every run with faults: is each accepted task accounted for, and only once?"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from tests.faults.notes import Note, read_notes
from tests.faults.services import Cluster, until
from tests.faults.traffic import Told

_FINAL = frozenset({"completed", "failed", "timed_out", "cancelled"})
# How a task may end that nobody has ended: its process or its workers were killed.
_ALLOWED = frozenset({None, "crashed", "worker_lost"})
# Of all tasks with more than one attempt, and of this many others, the whole log is read.
_SAMPLE_COUNT = 300
# Of an envelope: what it tells of the end.
# (Not its moment: an outcome that was told but not yet written when a gateway died is taken
# again from its worker, later.)
_DELIVERED = ("status", "data", "error", "worker_id", "attempts")


class Account(Struct):
    """What became of everything that was accepted."""

    accepted_count: int
    final: dict[str, int]  # tasks by how they ended: the status, or a failure's code
    attempt_count: int  # that a script says it began
    repeated_count: int  # tasks that were begun more than once
    overlap_count: int  # attempts that began while another of their task still ran
    faults: list[str]

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.final.items()))
        lines = [
            f"{self.accepted_count} accepted: {ends}; {self.attempt_count} attempts, "
            f"{self.repeated_count} tasks begun more than once, {self.overlap_count} overlaps"
        ]
        return "\n".join(lines + [f"FAULT {fault}" for fault in self.faults[:50]])


def settle(cluster: Cluster, told: Told, *, within_s: float = 90.0) -> Account:
    """Wait until nothing is under way any more, then compare all records with each other."""

    def is_idle() -> bool:
        status = cluster.http.get("/status").raise_for_status().json()
        names = ("queue_length", "assigned_count", "running_count")
        return not any(status[name] for name in names)

    until(is_idle, within_s)
    tasks = {task["request_id"]: task for task in cluster.tasks()}
    notes = read_notes(cluster.notes)
    faults = [*told.faults, *find_faults(told, tasks, notes)]
    with ThreadPoolExecutor(4) as pool:
        faults += [
            fault for found in pool.map(_Log(cluster, tasks), _sample(tasks)) for fault in found
        ]
        delivered = pool.map(lambda each: _delivered(cluster, each), told.ended.values())
        faults += [fault for found in delivered for fault in found]
    starts = Counter(note.task for note in notes if note.what == "start")
    return Account(
        accepted_count=len(told.accepted),
        final=dict(Counter(t["error_code"] or t["status"] for t in tasks.values())),
        attempt_count=starts.total(),
        repeated_count=sum(count > 1 for count in starts.values()),
        overlap_count=sum(note.what == "overlap" for note in notes),
        faults=faults,
    )


def find_faults(told: Told, tasks: dict[str, Any], notes: list[Note]) -> list[str]:
    """Compare what clients, the gateway and the scripts say; `tasks` are the gateway's, by id."""
    checks = (_ends, _keys, _attempts, _locks)
    return [fault for check in checks for fault in check(told, tasks, notes)]


def _ends(told: Told, tasks: dict[str, Any], notes: list[Note]) -> Iterator[str]:
    """Every accepted task is known and final; what completed has been run to its end."""
    done = {(note.task, note.attempt) for note in notes if note.what == "end"}
    for task_id, number in told.accepted.items():
        task = tasks.get(task_id)
        if task is None:
            yield f"accepted and lost: {task_id} (number {number})"
        elif task["status"] not in _FINAL:
            yield f"accepted and not final: {task_id} is {task['status']}"
        elif task["error_code"] not in _ALLOWED and not _went_with_its_gateway(task):
            yield f"ended as {task['error_code']}, which no fault explains: {task_id}"
        elif task["status"] == "completed" and (task_id, task["attempts"]) not in done:
            yield f"completed by attempt {task['attempts']}, which never ended: {task_id}"


def _went_with_its_gateway(task: dict[str, Any]) -> bool:
    """True iff it was an open call, which a gateway need not take up again when it restarts."""
    return bool(task["origin"] == "scrape" and task["error_code"] == "gateway_lost")


def _keys(told: Told, tasks: dict[str, Any], notes: list[Note]) -> Iterator[str]:
    """One idempotency key is one task."""
    for key, ids in told.by_key.items():
        if len(ids) > 1:
            yield f"key {key} made {len(ids)} tasks: {sorted(ids)}"


def _attempts(told: Told, tasks: dict[str, Any], notes: list[Note]) -> Iterator[str]:
    """No attempt is begun twice, and none that was never given."""
    starts = Counter((note.task, note.attempt) for note in notes if note.what == "start")
    for (task_id, attempt), count in starts.items():
        if count > 1:
            yield f"attempt {attempt} of {task_id} was begun {count} times"
        if task_id not in tasks:
            yield f"a task that nobody knows has run: {task_id}"
        elif attempt > tasks[task_id]["attempts"] and not _went_with_its_gateway(tasks[task_id]):
            yield f"attempt {attempt} of {task_id} has run; the gateway knows of fewer"


def _locks(told: Told, tasks: dict[str, Any], notes: list[Note]) -> Iterator[str]:
    """What holds a lock never runs beside another holder."""
    running: dict[tuple[str, int], Note] = {}  # begun, and no word of their end yet
    for note in notes:
        place = (note.task, note.attempt)
        if note.what == "start" and note.alone:
            running[place] = note
        elif note.what in ("end", "stopped"):
            running.pop(place, None)
        elif note.what == "overlap" and note.alone:
            others = [each for each, at in running.items() if at.alone == note.alone != ""]
            yield f"overlap under lock {note.alone} at {note.at:.3f}: {place} beside {others}"


def _delivered(cluster: Cluster, envelope: dict[str, Any]) -> list[str]:
    """What an open call was told is what is kept."""
    kept = cluster.look(envelope["request_id"])
    return [
        f"{name} of {envelope['request_id']}: told {envelope[name]!r}, kept {kept[name]!r}"
        for name in _DELIVERED
        if envelope[name] != kept[name]
    ]


class _Log:
    """Reads a task's log: it became final once, and at its end."""

    def __init__(self, cluster: Cluster, tasks: dict[str, Any]) -> None:
        self._cluster = cluster
        self._tasks = tasks

    def __call__(self, task_id: str) -> list[str]:
        """Return what is wrong with the log of one task."""
        if self._tasks[task_id]["status"] not in _FINAL:
            return []
        path = f"/v1/tasks/{task_id}/events"
        states = list(_states(self._cluster.http.get(path).raise_for_status().text))
        ends = [state for state in states if state in _FINAL]
        if ends != [self._tasks[task_id]["status"]] or states[-1:] != ends:
            return [f"log of {task_id} tells {states}; it is {self._tasks[task_id]['status']}"]
        return []


def _states(stream: str) -> Iterator[str]:
    """Yield the states that a stream of events tells, in order."""
    for block in stream.split("\n\n"):
        lines = dict(line.partition(": ")[::2] for line in block.splitlines())
        if lines.get("event") == "state":
            yield str(json.loads(lines["data"])["status"])


def _sample(tasks: dict[str, Any]) -> list[str]:
    repeated = [task_id for task_id, task in tasks.items() if task["attempts"] > 1]
    rest = sorted(tasks.keys() - set(repeated))
    chosen = random.Random(0).sample(rest, min(_SAMPLE_COUNT, len(rest)))
    return repeated + chosen
