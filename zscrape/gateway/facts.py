"""The one place where the dispatcher's facts are told: to the service, and in one log line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from zscrape.core.effects import (
    DispatcherEffect,
    Ignored,
    TaskFinished,
    TaskQueued,
    WorkerJoined,
    WorkerLost,
    WorkerSuspected,
)
from zscrape.gateway.damper import Damper
from zscrape.model import TaskId


class FactTeller:
    """Logs what people want to know and hands every fact on to `listener`.

    What a stranger can cause as often as it likes is told at most once in a while.
    """

    def __init__(self, log: Any, *, clock: Callable[[], float]) -> None:
        self._log = log.bind()  # the lazy proxy would be bound again for every fact
        self._damper = Damper(clock)
        self.listener: Callable[[DispatcherEffect], None] = _nobody
        self.trace_of: Callable[[TaskId], str] = _no_trace

    def tell(self, fact: DispatcherEffect) -> None:
        """Tell one fact."""
        self._write(fact)
        self.listener(fact)

    def _write(self, fact: DispatcherEffect) -> None:
        if type(fact) not in _TOLD:  # of a task's facts most are not
            return
        log = self._log
        match fact:
            case TaskFinished(task_id=task_id, attempt=attempt, outcome=outcome):
                # Rendering a line costs as much as the rest of a task's way through here:
                # what went well is a line for those who ask for it, and in the history.
                trace_id = self.trace_of(task_id)
                say = log.debug if outcome.is_ok and not trace_id else log.info
                more = {"trace_id": trace_id} if trace_id else {}
                say(
                    "task_finished",
                    task_id=task_id,
                    attempt=attempt,
                    worker_id=fact.worker_id,
                    code=outcome.code.value,
                    **more,
                )
            case TaskQueued(task_id=task_id, code=code) if code is not None:
                log.warning(
                    "task_retried",
                    task_id=task_id,
                    attempt=fact.attempt,
                    code=code.value,
                    delay_s=fact.delay_s,
                )
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
            case Ignored():
                self._write_ignored(fact)
            case _:
                return

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


_TOLD: Final = frozenset(
    {TaskFinished, TaskQueued, WorkerJoined, WorkerSuspected, WorkerLost, Ignored}
)


def _no_trace(_task_id: TaskId) -> str:
    """Know no trace."""
    return ""


def _nobody(fact: DispatcherEffect) -> None:
    raise AssertionError(f"a fact before anybody listens: {fact}")
