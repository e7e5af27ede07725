"""The one place where the dispatcher's facts are told: to the service, and in one log line each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from zscrape.core.effects import (
    DispatcherEffect,
    Ignored,
    TaskAccepted,
    TaskAdopted,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
    TaskRecords,
    TaskStarted,
    WorkerJoined,
    WorkerLost,
    WorkerSuspected,
)
from zscrape.gateway.damper import Damper
from zscrape.model import OutcomeCode

# All that the dispatcher tells beside what its shell is to do.
FACTS: Final = (
    *(TaskAccepted, TaskQueued, TaskAssigned, TaskAdopted, TaskStarted, TaskRecords, TaskFinished),
    *(WorkerJoined, WorkerSuspected, WorkerLost, Ignored),
)
Hearer: TypeAlias = Callable[[Any], None]
# Who hears of the facts of each kind, in this order.
Hearers: TypeAlias = Mapping[type, tuple[Hearer, ...]]


def all_to(hearer: Hearer) -> Hearers:
    """Return that this one, and nobody else, hears of every fact."""
    return dict.fromkeys(FACTS, (hearer,))


def tell(fact: DispatcherEffect, hearers: Hearers) -> None:
    """Tell one fact.

    Raises:
        KeyError: Nobody hears of its kind (yet): it would be lost.
    """
    for hear in hearers[type(fact)]:
        hear(fact)


class FactTeller:
    """Logs what people want to know and hands every fact on to those who `listen`.

    What a stranger can cause as often as it likes is told at most once in a while. Whoever has
    facts tells its `hearers` itself: a step less for every fact of a task.
    """

    def __init__(self, log: Any, *, clock: Callable[[], float]) -> None:
        self._log = log.bind()  # the lazy proxy would be bound again for every fact
        self._is_asked_for_all = self._log.is_enabled_for(logging.DEBUG)
        self._damper = Damper(clock)
        # A task has four facts and more on its way: each goes to those whom it concerns alone.
        self.hearers: dict[type, tuple[Hearer, ...]] = {
            TaskFinished: (self._write_finished,),
            TaskQueued: (self._write_retried,),
            WorkerJoined: (self._write_worker,),
            WorkerSuspected: (self._write_worker,),
            WorkerLost: (self._write_worker,),
            Ignored: (self._write_ignored,),
        }

    def listen(self, hearer: Hearer, kinds: Iterable[type] = FACTS) -> None:
        """Tell `hearer` facts of these kinds, after those who have listened before."""
        for kind in kinds:
            self.hearers[kind] = (*self.hearers.get(kind, ()), hearer)

    def leave(self, hearer: Hearer, kinds: Iterable[type]) -> None:
        """Tell `hearer` facts of these kinds no longer."""
        for kind in kinds:
            others = (each for each in self.hearers.get(kind, ()) if each != hearer)
            self.hearers[kind] = tuple(others)

    def _write_finished(self, fact: TaskFinished) -> None:
        # Rendering a line costs as much as the rest of a task's way through here:
        # what went well is a line for those who ask for it, and in the history.
        code, trace_id = fact.outcome.code, fact.trace_id
        if code is OutcomeCode.OK and not trace_id:
            if not self._is_asked_for_all:
                return
            say = self._log.debug
        else:
            say = self._log.info
        more = {"trace_id": trace_id} if trace_id else {}
        say(
            "task_finished",
            task_id=fact.task_id,
            attempt=fact.attempt,
            worker_id=fact.worker_id,
            code=str(code),
            **more,
        )

    def _write_retried(self, fact: TaskQueued) -> None:
        if fact.code is not None:
            self._log.warning(
                "task_retried",
                task_id=fact.task_id,
                attempt=fact.attempt,
                code=fact.code.value,
                delay_s=fact.delay_s,
            )

    def _write_worker(self, fact: WorkerJoined | WorkerSuspected | WorkerLost) -> None:
        log = self._log
        match fact:
            case WorkerJoined(worker_id=worker_id, is_return=is_return):
                log.info("worker_joined", worker_id=worker_id, is_return=is_return)
            case WorkerSuspected(worker_id=worker_id):
                log.warning("worker_suspected", worker_id=worker_id)
            case WorkerLost(worker_id=worker_id, reason=reason, attempts=attempts):
                log.warning(
                    "worker_lost",
                    worker_id=worker_id,
                    reason=reason,
                    attempt_count=len(attempts),
                )

    def _write_ignored(self, fact: Ignored) -> None:
        suppressed_count = self._damper.admit((fact.kind, fact.reason))
        if suppressed_count is not None:
            self._log.info(
                "message_ignored",
                kind=fact.kind,
                reason=fact.reason,
                peer=fact.peer.hex(),
                suppressed_count=suppressed_count,
            )
