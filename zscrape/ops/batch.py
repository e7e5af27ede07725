"""Many targets, one task for each: submitted in pieces, waited for together.

A task's idempotency key is made of the run, the target and the number of the try, so that a
call whose answer was lost can be made again, and a run that was killed finds its tasks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.client import Client, ClientError, Document
from zscrape.client.batching import faults_of
from zscrape.ops.batchends import End, reason_of
from zscrape.ops.journal import Entry, Journal
from zscrape.ops.operation import Operation
from zscrape.ops.targets import Target

_PIECE_COUNT: Final = 200  # tasks in one call: more would let the others wait for the answer
_PIECE_BYTES: Final = 700_000  # below the gateway's limit of 1 MiB (contract section 9)
_FEW_COUNT: Final = 16  # tasks at once
_POLL_S: Final = 2.0  # the longest wait in one call, so that bars move and limits are kept
_CANCEL_S: Final = 10.0  # how long a stopped run waits for its tasks to end
_PATIENCE_S: Final = 60.0  # for a gateway that does not answer
_BACKOFF_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0)
# Refusals that pass: the tasks are submitted again.
_PASSING: Final = frozenset(
    {"queue_full", "client_queue_full", "draining", "too_many_connections", "rate_limited"}
)
_OF_TARGETS: Final = frozenset({"params_invalid", "invalid_request"})


class Pace(Struct, frozen=True):
    """How many tasks may begin in how many seconds."""

    count: float
    per_s: float

    @property
    def gap_s(self) -> float:
        """Seconds between two beginnings."""
        return self.per_s / self.count


class _Flight(Struct, frozen=True):
    target: Target
    began_at: float


class Batch:
    """One run over targets.

    Args:
        operation: The run.
        client: The gateway.
        journal: What is kept of it.
        concurrency: How many tasks may be under way at once.
        pace: How fast they may begin; None: as fast as that lets them.
        on_change: Told after every step: how many are under way.
    """

    def __init__(
        self,
        operation: Operation,
        client: Client,
        journal: Journal,
        *,
        concurrency: int,
        pace: Pace | None = None,
        on_change: Callable[[int], None] | None = None,
    ) -> None:
        self._operation = operation
        self._client = client
        self._journal = journal
        self._concurrency = concurrency
        # Topped up by halves: a call for every end would cost more than the tasks. With few,
        # every one counts, and there is nobody to be spared.
        self._low_count = concurrency // 2 if concurrency >= _FEW_COUNT else concurrency - 1
        self._pace = pace
        self._next_at = time.monotonic()
        self._on_change = on_change or (lambda _: None)
        self._waiting: deque[Target] = deque()
        self._flying: dict[str, _Flight] = {}
        self._silent_since: float | None = None

    def run(self, targets: Sequence[Target]) -> None:
        """Run the targets that are not done yet.

        Raises:
            ClientError: The gateway cannot be reached any more, or refuses the key.
            KeyboardInterrupt: Somebody stopped it; what was under way has been cancelled.
        """
        seen: set[str] = set()
        for target in targets:
            if target.key in self._journal.done:
                self._operation.end(
                    target.name, "skipped", self._operation.told("summary.done_before")
                )
            elif target.key in seen:
                self._operation.end(
                    target.name, "skipped", self._operation.told("summary.given_twice")
                )
            else:
                self._waiting.append(target)
            seen.add(target.key)
        try:
            while not self._operation.stops and (self._waiting or self._flying):
                self._fill()
                self._collect()
                self._on_change(len(self._flying))
        finally:
            self._stop()

    # ---- out -------------------------------------------------------------------------

    def _fill(self) -> None:
        while self._waiting and len(self._flying) <= self._low_count:
            piece = self._piece()
            if not piece or not self._submit(piece):
                return

    def _piece(self) -> list[Target]:
        """Take the targets of the next call."""
        room = min(self._concurrency - len(self._flying), _PIECE_COUNT, self._allowed())
        piece: list[Target] = []
        size_bytes = 0
        while self._waiting and len(piece) < room:
            size_bytes += len(msgspec.json.encode(self._waiting[0])) + 500
            if piece and size_bytes > _PIECE_BYTES:
                break
            piece.append(self._waiting.popleft())
        if self._pace is not None:
            now = time.monotonic()
            self._next_at = max(self._next_at, now - 1.0) + len(piece) * self._pace.gap_s
        return piece

    def _allowed(self) -> int:
        """Return how many may begin now."""
        if self._pace is None:
            return _PIECE_COUNT
        behind_s = min(1.0, time.monotonic() - self._next_at)  # what was missed does not pile up
        return int(behind_s / self._pace.gap_s) + 1 if behind_s >= 0 else 0

    def _submit(self, piece: list[Target]) -> bool:
        """Submit some targets; False: wait before the next."""
        began_at = time.monotonic()
        try:
            views = self._client.submit_many([self._task(each) for each in piece])
        except ClientError as error:
            return self._refused(piece, error)
        self._silent_since = None
        is_room = True
        for target, view in zip(piece, views, strict=True):
            refusal = view.get("error")
            if refusal is None:
                self._flying[view["request_id"]] = _Flight(target, began_at)
            elif refusal["code"] in _PASSING:
                self._waiting.append(target)
                is_room = False
            else:
                reason = f"{refusal['code']}: {refusal['message']}"
                self._end(End(target, began_at, "failed", reason))
        if not is_room and not self._flying:
            self._pause(_BACKOFF_S[1])
        return is_room

    def _task(self, target: Target) -> Document:
        plan = self._journal.plan
        run_id = self._operation.summary.run_id
        number = self._journal.tries.get(target.key, 0)
        metadata = {"run_id": run_id, "target": target.name}
        if target.group:
            metadata["group"] = target.group
        task = {
            "script_name": plan.script_name,
            "parameters": target.parameters,
            "version": plan.version,
            "timeout": plan.timeout,
            "priority": plan.priority,
            "tags": plan.tags or None,
            "metadata": metadata,
            "idempotency_key": f"{run_id}:{target.key}:{number}",
        }
        return {name: value for name, value in task.items() if value is not None}

    def _refused(self, piece: list[Target], error: ClientError) -> bool:
        """A whole call was refused: it passes, or some targets are at fault, or all is lost.

        Raises:
            ClientError: It does not pass.
        """
        if error.status == 0 or error.status == 503 or error.code in _PASSING:
            self._waiting.extendleft(reversed(piece))
            self._wait_out(error)
            return False
        faults = faults_of(error, len(piece)) if error.code in _OF_TARGETS else {}
        if not faults:
            raise error
        for place, target in enumerate(piece):
            if place in faults:
                reason = f"{error.code}: {faults[place]}"
                self._end(End(target, time.monotonic(), "failed", reason))
        self._waiting.extendleft(
            target for place, target in reversed(list(enumerate(piece))) if place not in faults
        )
        return True

    def _wait_out(self, error: ClientError) -> None:
        """Give a gateway that is away or full some time.

        Raises:
            ClientError: It has had enough.
        """
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        silent_s = now - self._silent_since
        if error.status == 0 and silent_s > _PATIENCE_S:
            raise error
        self._pause(next((each for each in _BACKOFF_S if each > silent_s), _BACKOFF_S[-1]))

    def _pause(self, pause_s: float) -> None:
        left_s = self._operation.left_s
        threading.Event().wait(pause_s if left_s is None else min(pause_s, left_s))

    # ---- in --------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait for ends until there is room for a further call."""
        wait_s = self._wait_s()
        if not self._flying:
            if self._waiting:
                self._pause(wait_s)
            return
        count = len(self._flying) - (self._low_count if self._waiting else 0)
        # The last ones are told as they come: nothing has to be topped up any more.
        count = max(1, count if self._waiting else min(count, self._concurrency // 4))
        try:
            ended = self._client.wait_many(
                list(self._flying)[:1_000],
                wait_s=wait_s,
                count=count,
                data=self._journal.plan.has_items,
            )
        except ClientError as error:
            if error.status not in (0, 503):
                raise
            self._wait_out(error)
            return
        self._silent_since = None
        self._land(ended)

    def _wait_s(self) -> float:
        waits = [_POLL_S]
        if self._operation.left_s is not None:
            waits.append(self._operation.left_s)
        if self._pace is not None and self._waiting:
            waits.append(max(0.0, self._next_at - time.monotonic()))
        return min(waits)

    def _land(self, views: Sequence[Document], *, is_stopped: bool = False) -> None:
        """Some tasks have ended."""
        ends: list[End] = []
        try:
            for view in views:
                flight = self._flying.pop(view["request_id"], None)
                if flight is not None:
                    ends.append(self._end_of(flight, view, is_stopped=is_stopped))
        finally:  # the rows of one may not be had: the others have ended all the same
            self._end(*ends)

    def _end_of(self, flight: _Flight, view: Document, *, is_stopped: bool) -> End:
        target = flight.target
        task_id, attempt_count = view["request_id"], view.get("attempts") or 0
        if is_stopped and view.get("status") == "cancelled":
            return End(target, flight.began_at, "cancelled", "", task_id)
        if view.get("status") == "completed":
            self._journal.bring(target.key, self._rows(view))
            return End(target, flight.began_at, "succeeded", "", task_id, attempt_count)
        return End(target, flight.began_at, "failed", reason_of(view), task_id, attempt_count)

    def _end(self, *ends: End) -> None:
        # First the journal: what was told as ended must not be run again. Each file has one
        # write for all: one for every end cost more than all else that is done about it.
        self._journal.note(*(Entry(end.target.key, end.state, end.task_id) for end in ends))
        now = time.monotonic()
        with self._operation.together():
            for end in ends:
                if end.state != "cancelled":
                    self._operation.end(
                        end.target.name,
                        end.state,
                        end.reason,
                        elapsed_s=now - end.began_at,
                        is_retried=end.attempt_count > 1,
                        **end.fields,
                    )

    def _rows(self, view: Document) -> list[Any]:
        """Return what a task has brought: its items, else its data."""
        if not self._journal.plan.has_items:
            return []
        data = view.get("data")
        item_count = view.get("item_count") or 0
        if item_count:
            if isinstance(data, list) and len(data) == item_count:
                return data
            return list(self._client.items(view["request_id"]))
        if data is None:  # nothing, or too much to stand in an answer
            data = msgspec.json.decode(self._client.result(view["request_id"]))
        if data is None:
            return []
        return data if isinstance(data, list) else [data]

    # ---- stop ------------------------------------------------------------------------

    def _stop(self) -> None:
        """End what is under way; whatever ended all the same counts as it ended."""
        if not self._flying:
            return
        ids = list(self._flying)
        try:
            for start in range(0, len(ids), 1_000):
                self._client.cancel_many(ids=ids[start : start + 1_000])
            end_at = time.monotonic() + _CANCEL_S
            while self._flying and time.monotonic() < end_at:
                flying = list(self._flying)[:1_000]
                ended = self._client.wait_many(
                    flying,
                    wait_s=_CANCEL_S / 2,
                    count=len(flying),
                    data=self._journal.plan.has_items,
                )
                self._land(ended, is_stopped=True)
        except ClientError as error:
            told = self._operation.words_of(error)
            self._operation.warn("cli.batch.not_cancelled", count=len(self._flying), reason=told)
