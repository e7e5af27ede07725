"""Waiting for one task, and running many."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.client.calls import given
from zscrape.client.failures import ClientError, Document
from zscrape.client.manner import Manner
from zscrape.client.options import TaskOptions, Unpack
from zscrape.client.submitting import new_key, submit_many
from zscrape.client.talk import Flow, Give, Left, Pause, Talk, let_go, patiently
from zscrape.client.taskcalls import cancel_many, task, wait_many
from zscrape.client.tasks import Task
from zscrape.messages import text

_POLL_S: Final = 30.0
_PIECE_COUNT: Final = 200
_PIECE_BYTES: Final = 700_000  # below the gateway's limit of 1 MiB (contract section 9)
_WINDOW_LIMIT: Final = 1_000  # as many as one call waits for
_FULL_PAUSE_S: Final = 0.5
_HELD_S: Final = 0.2  # the longest that an end is held back for others
# Refusals that pass: those tasks are submitted again.
_PASSING: Final = frozenset({"queue_full", "client_queue_full", "draining", "rate_limited"})


def wait(manner: Manner, /, task_id: str, *, timeout_s: float | None = None) -> Talk[Task]:
    """Return a task when it has ended, however long that takes.

    `timeout_s` is the longest wait; without it there is none. The task goes on after it.

    Raises:
        ClientError: `wait_over`: the time was over first; or the task is unknown.
    """
    end_at = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        wait_s = _POLL_S if end_at is None else max(0.0, min(_POLL_S, end_at - time.monotonic()))
        found = yield from patiently(manner, task(task_id, wait_s=wait_s))
        if found.is_final:
            return found
        if end_at is not None and time.monotonic() >= end_at:
            words = text(
                "client.wait_over", manner.lang, id=task_id, status=found.status, wait=timeout_s
            )
            raise ClientError("wait_over", words, body=dict(found))


class Ended(Struct, frozen=True):
    """One task of a batch that has ended, and what it was for."""

    index: int  # of its parameters among those that were given
    parameters: Mapping[str, Any]
    task: Task


class _Wanted(Struct, frozen=True):
    index: int
    parameters: Mapping[str, Any]
    request: Document


class _Batch:
    """What of a batch is to come, waits to be sent, and is under way."""

    def __init__(self, wanted: Iterator[_Wanted], window: int) -> None:
        self._wanted = wanted
        self.window = window
        self.waiting: deque[_Wanted] = deque()
        self.flying: dict[str, _Wanted] = {}
        self.is_full = False  # the gateway took the last ones not

    def piece(self) -> list[_Wanted]:
        """Take those of the next call."""
        room = min(self.window - len(self.flying), _PIECE_COUNT)
        if self.is_full and self.flying:
            return []
        piece: list[_Wanted] = []
        size_bytes = 0
        while len(piece) < room and (each := self._next()) is not None:
            size_bytes += len(msgspec.json.encode(each.request)) + 100
            if piece and size_bytes > _PIECE_BYTES:
                self.waiting.appendleft(each)
                break
            piece.append(each)
        return piece

    def _next(self) -> _Wanted | None:
        return self.waiting.popleft() if self.waiting else next(self._wanted, None)

    def submitted(
        self, piece: Sequence[_Wanted], views: Sequence[Document], lang: str
    ) -> list[Ended]:
        """Note what became of a call; return those that will never run."""
        refused: list[Ended] = []
        self.is_full = False
        for each, view in zip(piece, views, strict=True):
            error = view.get("error")
            if error is None:
                self.flying[str(view["request_id"])] = each
            elif error.get("code") in _PASSING:
                self.waiting.append(each)
                self.is_full = True
            else:
                refused.append(_never_run(each, error, lang))
        return refused

    def refused(self, piece: Sequence[_Wanted], error: ClientError, lang: str) -> list[Ended]:
        """Note that a whole call was refused; return those that are to blame for it.

        Raises:
            ClientError: That error: none is to blame, and it does not pass.
        """
        faults = faults_of(error, len(piece))
        if error.code in _PASSING:
            self.is_full = True
        elif not faults:
            raise error
        kept = [each for place, each in enumerate(piece) if place not in faults]
        self.waiting.extendleft(reversed(kept))
        return [
            _never_run(piece[place], {"code": error.code, "message": words}, lang)
            for place, words in faults.items()
        ]

    def landed(self, tasks: Iterable[Task]) -> list[Ended]:
        """Note which have ended."""
        self.is_full = False
        found = ((self.flying.pop(task.id, None), task) for task in tasks)
        return [Ended(it.index, it.parameters, task) for it, task in found if it is not None]


def _never_run(each: _Wanted, error: Document, lang: str) -> Ended:
    """Return a task that was refused, as one that has failed."""
    document = {
        "request_id": "",
        "status": "failed",
        "error": error,
        "script_name": each.request["script_name"],
    }
    return Ended(each.index, each.parameters, Task(document, lang=lang))


def batch(
    manner: Manner,
    /,
    script: str,
    parameters: Iterable[Mapping[str, Any]],
    *,
    window: int = 200,
    **options: Unpack[TaskOptions],
) -> Flow[Ended]:
    """Run a script once for each of these parameters, and give the tasks as they end.

    The order is that of their ends; `index` tells whose it is. Parameters are taken as they are
    needed, so that there may be any number. Whoever stops iterating ends what is under way.
    `window` is how many may be under way at once, up to 1,000; `options` go with every request.

    Raises:
        ClientError: The gateway is gone, or refuses all: the key, the script.
    """
    common = given({**options, "idempotency_key": None})
    run_key = options.get("idempotency_key") or new_key()
    wanted = (
        _Wanted(
            index,
            each,
            {
                "script_name": script,
                "parameters": dict(each),
                **common,
                "idempotency_key": f"{run_key}:{index}",
            },
        )
        for index, each in enumerate(parameters)
    )
    state = _Batch(wanted, max(1, min(window, _WINDOW_LIMIT)))
    try:
        yield from _run(manner, state)
    except (Left, ClientError):
        if state.flying:
            yield from let_go(manner, cancel_many(ids=list(state.flying)))
        raise


class _Tide:
    """How many ends are worth an answer: one of slow tasks, more the faster they come.

    A call for every end would cost more than the tasks; waiting for many would hold back what
    has ended.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self.count = 1

    @property
    def wait_s(self) -> float:
        """The longest wait in one call."""
        return _POLL_S if self.count == 1 else _HELD_S

    def took(self, elapsed_s: float) -> None:
        """Note how long so many ends took."""
        if elapsed_s < _HELD_S / 2:
            self.count = min(self._limit, self.count * 2)
        else:
            self.count = max(1, self.count // 2)


def _run(manner: Manner, state: _Batch) -> Flow[Ended]:
    tide = _Tide(state.window // 2)
    while True:
        piece = state.piece()
        if piece:
            for refused in (yield from _submit(manner, state, piece)):
                yield Give(refused)
        if state.flying:
            ids, began_at = list(state.flying), time.monotonic()
            count = min(tide.count, len(ids))
            call = wait_many(ids, wait_s=tide.wait_s, count=count, data=True)
            landed = state.landed((yield from patiently(manner, call)))
            tide.took(time.monotonic() - began_at)
            for ended in landed:
                yield Give(ended)
        elif state.is_full:
            yield Pause(_FULL_PAUSE_S)
        elif not (piece or state.waiting):
            return


def _submit(manner: Manner, state: _Batch, piece: list[_Wanted]) -> Talk[list[Ended]]:
    try:
        views = yield from patiently(manner, submit_many([each.request for each in piece]))
    except ClientError as error:
        return state.refused(piece, error, manner.lang)
    return state.submitted(piece, views, manner.lang)


def faults_of(error: ClientError, count: int) -> dict[int, str]:
    """Return which tasks of a call are at fault, by the pointers of its problems."""
    faults: dict[int, list[str]] = {}
    for problem in error.problems:
        parts = str(problem.get("pointer", "")).split("/")
        if parts[:2] == ["", "tasks"] and len(parts) > 2 and parts[2].isdigit():
            place = int(parts[2])
            if place < count:
                told = f"/{'/'.join(parts[3:])} {problem.get('reason', '')}".strip()
                faults.setdefault(place, []).append(told)
    return {place: "; ".join(told) for place, told in faults.items()}
