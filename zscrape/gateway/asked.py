"""What running scripts ask this gateway, each question answered by whom it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.core.effects import DispatcherEffect, Question, TaskAssigned, TaskFinished, TaskQueued
from zscrape.errors import ZscrapeError
from zscrape.messages import text
from zscrape.model import RunSpec, TaskId, WorkerId
from zscrape.wire import Ask, Tell


class Asked(Struct, frozen=True):
    """One question. `body` is JSON; the same question may come again, over another connection.

    What answers it must be idempotent by `task_id`, `attempt` and `request`.
    """

    task_id: TaskId
    attempt: int
    request: int
    kind: str
    body: bytes
    worker_id: WorkerId
    run: RunSpec

    @property
    def script_name(self) -> str:
        """The script that asks."""
        return self.run.pin.name


# Answers with JSON. A `ZscrapeError` refuses: its code and its words reach the script. It may
# take as long as the attempt runs, and is cancelled when that is over.
Answerer: TypeAlias = Callable[[Asked], Awaitable[bytes]]
# Hears that an attempt which has asked something is over.
OverListener: TypeAlias = Callable[[TaskId, int], None]


# Facts by which an attempt may be over.
_FACTS: Final = (TaskQueued, TaskAssigned, TaskFinished)


class Facts(Protocol):
    """Where facts of tasks are heard."""

    def listen(self, hearer: Callable[[Any], None], kinds: Iterable[type]) -> None:
        """Tell `hearer` facts of these kinds."""
        ...

    def leave(self, hearer: Callable[[Any], None], kinds: Iterable[type]) -> None:
        """Tell it no longer."""
        ...


class _Open(Struct):
    peer: bytes  # over which its worker was heard last
    answering: asyncio.Task[None] | None = None


class Questions:
    """The open questions of all attempts of this gateway.

    It hears `facts` only while there is an attempt that has asked: most never do.
    """

    def __init__(
        self,
        answerers: Mapping[str, Answerer],
        *,
        tell: Callable[[bytes, Tell], None],
        report: Callable[[Asked, Exception], None],
        lang: str,
        facts: Facts | None = None,
    ) -> None:
        self._answerers = dict(answerers)
        self._tell = tell
        self._report = report
        self._lang = lang
        self._facts = facts
        self._attempts: dict[TaskId, tuple[int, dict[int, _Open]]] = {}
        self.over_listeners: list[OverListener] = []

    def hear(self, question: Question) -> None:
        """Begin to answer a question; one that is being answered is not begun again."""
        ask = question.ask
        known = self._attempts.get(ask.task_id)
        if known is not None and known[0] < ask.attempt:
            self._end(ask.task_id)
            known = None
        if known is None:
            if not self._attempts and self._facts is not None:
                self._facts.listen(self.note, _FACTS)
            known = self._attempts[ask.task_id] = (ask.attempt, {})
        opened = known[1].get(ask.request)
        if opened is not None:
            opened.peer = question.peer
            return
        opened = known[1][ask.request] = _Open(question.peer)
        asked = _asked(question)
        opened.answering = asyncio.get_running_loop().create_task(
            self._answer(asked, opened), name=f"answer {ask.kind} of {ask.task_id}"
        )

    def note(self, fact: DispatcherEffect) -> None:
        """Stop answering attempts that are over."""
        match fact:
            case TaskFinished(task_id=task_id) | TaskQueued(task_id=task_id):
                self._end(task_id)
            case TaskAssigned(task_id=task_id, attempt=attempt):
                known = self._attempts.get(task_id)
                if known is not None and known[0] < attempt:
                    self._end(task_id)
            case _:
                return

    async def close(self) -> None:
        """Answer nothing more."""
        opened = [each for _, found in self._attempts.values() for each in found.values()]
        tasks = [each.answering for each in opened if each.answering is not None]
        self._forget_all()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget_all(self) -> None:
        self._attempts.clear()
        if self._facts is not None:
            self._facts.leave(self.note, _FACTS)

    def _end(self, task_id: TaskId) -> None:
        attempt, found = self._attempts.pop(task_id, (0, {}))
        if not attempt:
            return
        if not self._attempts:
            self._forget_all()
        for each in found.values():
            if each.answering is not None:
                each.answering.cancel()
        for listener in self.over_listeners:
            listener(task_id, attempt)

    async def _answer(self, asked: Asked, opened: _Open) -> None:
        code = ""
        try:
            answerer = self._answerers.get(asked.kind)
            if answerer is None:
                code, body = "unsupported", self._words("asked.unsupported", kind=asked.kind)
            else:
                body = await answerer(asked)
        except ZscrapeError as error:
            code, body = error.code, self._words(error.text_key, **error.fields)
        except Exception as error:  # noqa: BLE001 - a fault of ours: told here, and to the script
            self._report(asked, error)
            code, body = "internal", self._words("asked.internal")
        attempt, found = self._attempts.get(asked.task_id, (0, {}))
        if attempt == asked.attempt and found.pop(asked.request, None) is not None:
            self._tell(opened.peer, Tell(asked.task_id, attempt, asked.request, body, code))

    def _words(self, key: str, **fields: Any) -> bytes:
        return msgspec.json.encode({"message": text(key, self._lang, **fields)})


def _asked(question: Question) -> Asked:
    ask: Ask = question.ask
    return Asked(
        ask.task_id,
        ask.attempt,
        ask.request,
        ask.kind,
        ask.body,
        question.worker_id,
        question.run,
    )
