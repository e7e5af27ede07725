"""A thousand random lives of a cluster, and proof that the simulation would notice."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.sim.life import run_life
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import TaskRecords
from zscrape.core.entities import Task, Worker
from zscrape.core.lives import Lives
from zscrape.wire import Done, Events

LIFE_COUNT = 1_000
CHUNK_COUNT = 20
# A mutant that survives this many lives is not caught.
MUTANT_LIFE_COUNT = 400


@pytest.mark.parametrize("chunk", range(CHUNK_COUNT))
def test_random_lives_keep_every_promise(chunk: int) -> None:
    """Whatever happens to a cluster, every promise holds, and in the end every task has ended."""
    for seed in range(chunk, LIFE_COUNT, CHUNK_COUNT):
        run_life(seed)


class Unfenced(Dispatcher):
    """A dispatcher that believes an attempt whatever its number."""

    def _current(self, worker: Worker, task_id: str, attempt: int) -> Task | None:
        task = self._lives.tasks.get(task_id)
        return task if task is not None and task.worker is worker else None


class Gullible(Dispatcher):
    """A dispatcher that does not notice gaps among records."""

    def _tell_records(self, task: Task, said: Events | Done) -> bool:
        if said.records:
            told = TaskRecords(task.id, task.attempt, task.received_count, said.records)
            self._lives.out.append(told)
            task.received_count += len(said.records)
        return True


class Hasty(Dispatcher):
    """A dispatcher that gives a lost task with a lock away without waiting for its lease."""

    def __init__(self, **policies: Any) -> None:
        super().__init__(**policies)
        self._lives.__class__ = HastyLives


class HastyLives(Lives):
    """Lives without leases."""

    def lose(self, task: Task, *, may_run: bool, now: float) -> None:
        """Take every lost attempt for ended."""
        super().lose(task, may_run=False, now=now)


class Lazy(Dispatcher):
    """A dispatcher that sleeps too long."""

    def next_deadline(self) -> float | None:
        """Return a moment that is later than what waits inside."""
        deadline = super().next_deadline()
        return None if deadline is None else deadline + 0.5


class Trusting(Dispatcher):
    """A dispatcher that lets workers forget outcomes before they are stored."""

    def __init__(self, **policies: Any) -> None:
        super().__init__(**policies | {"is_store_behind": False})


@pytest.mark.parametrize("mutant", [Unfenced, Gullible, Hasty, Lazy, Trusting])
def test_broken_dispatcher_is_caught(mutant: type[Dispatcher]) -> None:
    """One line changed for the worse is found, and the failure tells seed and history."""
    stories = (story(seed, mutant) for seed in range(MUTANT_LIFE_COUNT))
    found = next(filter(None, stories), "")

    assert re.search(r"\nseed \d+: AssertionError", found)
    assert re.search(r"\n +\d+\.\d{3} (gateway|\w+) +\w+\(", found)


def test_failing_seed_can_be_looked_at_again() -> None:
    """The same seed lives the same life."""
    seed = next(seed for seed in range(MUTANT_LIFE_COUNT) if story(seed, Gullible))

    assert story(seed, Gullible) == story(seed, Gullible)


def story(seed: int, mutant: type[Dispatcher]) -> str:
    """Return what a failing life tells, or nothing if all went well."""
    try:
        run_life(seed, dispatcher_factory=mutant)
    except AssertionError as failure:
        return str(failure)
    return ""
