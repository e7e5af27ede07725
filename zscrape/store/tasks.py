"""What is kept of a task, and the seam behind which it is kept.

A task's log is one numbered list: what its attempts said (`log`, `progress`, `item`,
`artifact`) and every change of its state (`state`), in order. A live stream, a resumed one
and a look at an old task all read that list, so no subscriber needs a queue of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import count, repeat
from operator import attrgetter
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.model import (
    NO_RETRY,
    Outcome,
    Overlap,
    RetryPolicy,
    TaskId,
    TaskSpec,
    TaskState,
    WorkerId,
)
from zscrape.store.blobs import Blob

# What an attempt says; an entry of a task's log is one of these, or a `state`.
SaidKind: TypeAlias = Literal["log", "progress", "item", "artifact"]
# Calls that answer before the task has ended: 202 promises that it will.
DURABLE_ORIGINS: Final = frozenset({"task", "batch", "retry", "schedule"})


class LogEntry(Struct, frozen=True, array_like=True, gc=False):
    """One line of a task's log. `number` counts from 1 within the task and never repeats."""

    number: int
    kind: str
    attempt: int
    at: float  # Unix time, for people
    body: bytes  # one JSON document, UTF-8


# What is left out of a document as the default is this very object: to msgspec no other zero is it.
NO_DELAY_S: Final = 0.0


class StateChange(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a task's log tells of its state: the document of a `state` entry."""

    request_id: TaskId
    status: TaskState
    attempt: int
    worker_id: WorkerId | None = None
    code: str | None = None
    delay_s: float = NO_DELAY_S
    handoff: str = ""  # the question to a person that it waits for


_ATTEMPT: Final = attrgetter("attempt")
_DOCUMENT: Final = msgspec.json.Encoder().encode


def state_entries(number: int, at: float, changes: Sequence[StateChange]) -> Iterator[LogEntry]:
    """Return the entries of changes that came together, the first with this number."""
    attempts, documents = map(_ATTEMPT, changes), map(_DOCUMENT, changes)
    return map(LogEntry, count(number), repeat("state"), attempts, repeat(at), documents)


class ArtifactRow(Struct, frozen=True, gc=False):
    """One file that an attempt saved; `number` is that of its log entry, which has the bytes."""

    name: str
    size_bytes: int
    content_type: str
    sha256: str
    number: int


class Recorded(Struct, frozen=True, gc=False):
    """What sites have answered to an attempt that failed: kept as an artifact is."""

    attempt: int
    file: ArtifactRow


class WebhookDelivery(Struct, frozen=True, kw_only=True, gc=False):
    """Who is told of a task's end, and what became of that: `pending delivered failed`."""

    url: str
    event: str  # the state in which the task ended
    status: str = "pending"
    tries: int = 0
    http_status: int = 0  # of the last try; 0 iff it had no answer
    reason: str = ""  # why the last try failed
    at: float | None = None  # the last try


def group_of(metadata: Mapping[str, Any] | None) -> str:
    """Return the group that a task is of, as its client says; an empty text for none."""
    group = (metadata or {}).get("group")
    return group if isinstance(group, str) else ""


class TaskRow(Struct, kw_only=True, gc=False, omit_defaults=True):
    """One task: what was asked, and what became of it. Moments are Unix time.

    It refers to nothing that refers to it, so the collector need not visit the many that are
    kept (`gc=False`): their visits were half the cost of keeping one.
    """

    # ---- what was asked
    id: TaskId
    script_name: str
    created_at: float
    version: str = ""
    digest: str = ""
    repository: str = ""
    parameters: bytes = b"{}"  # a JSON object as the client gave it
    priority: int = 0
    tags: tuple[str, ...] = ()
    lock_key: str = ""
    overlap: Overlap = Overlap.SKIP
    retry: RetryPolicy = NO_RETRY
    timeout_s: float | None = None
    metadata: dict[str, Any] = {}
    webhook_url: str = ""  # is told of its end
    webhook_events: tuple[str, ...] = ()  # of which ends; empty: as the gateway is set
    origin: str = "task"  # how it came: `scrape`, `run`, `task`, `batch`, `retry` or `schedule`
    schedule_id: str = ""  # the schedule that made it
    retry_of: TaskId = ""  # the ended task that somebody had done again by this one
    client: str = ""  # whose key
    trace_id: str = ""  # by which others know the call
    idempotency_key: str = ""
    idempotency_mark: str = ""  # stands for the body that came with the key

    # ---- what became of it
    status: TaskState = TaskState.QUEUED
    attempts: int = 0
    worker_id: WorkerId | None = None
    handoff: str = ""  # the question to a person that it waits for
    handoff_count: int = 0  # questions to people
    assigned_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    next_retry_at: float | None = None
    last_error: str = ""  # the code of the last attempt that failed and was not the last word
    last_error_message: str = ""  # what that attempt's script raised, cut
    retry_count: int = 0  # attempts that were given up for another
    # Why it is, or was, a dead letter: `retry_exhausted` or `poison`.
    dropped_reason: str = ""
    is_dead_letter: bool = False  # until it is retried or dropped
    retried_as: TaskId = ""  # the task that a dead letter was retried as
    fraction: float | None = None  # of its progress, as it last said
    progress_text: str = ""
    outcome: Outcome | None = None
    far_data: Blob | None = None  # its answer, where that is kept outside and was not loaded
    # An outcome whose code is none of the model's: a script that could not be resolved.
    error_code: str = ""
    error_text_key: str = ""
    error_fields: dict[str, Any] = {}
    item_count: int = 0
    artifacts: tuple[ArtifactRow, ...] = ()
    recordings: tuple[Recorded, ...] = ()  # of attempts that failed, the latest last
    webhooks: tuple[WebhookDelivery, ...] = ()  # set as it ends
    last_number: int = 0  # of its log
    is_brief: bool = False  # its log has nothing that its row does not tell: see `brief_log`
    dropped_count: int = 0  # log entries beyond what is kept of one task
    # ---- what a restarted gateway must know to go on with it
    try_count: int = 0  # attempts that spoke and are tried again
    lost_count: int = 0  # workers that it has lost
    received_count: int = 0  # records of the last attempt

    @property
    def is_durable(self) -> bool:
        """True iff it was promised to end: it outlives the gateway that accepted it."""
        return self.origin in DURABLE_ORIGINS


# What is noted of a call that a worker was free for, and of one whose script did not last.
Changes: TypeAlias = tuple[StateChange, ...]
PLACED_COUNT: Final = 2
BRIEF_COUNT: Final = 4


def placed_changes(task_id: TaskId, attempt: int, worker_id: WorkerId | None) -> Changes:
    """Return what is told of a task that was given to a worker as soon as it came."""
    placed = StateChange(task_id, TaskState.ASSIGNED, attempt, worker_id)
    return StateChange(task_id, TaskState.QUEUED, 0), placed


def over_changes(row: TaskRow) -> Changes:
    """Return what is told of a task whose worker has told its beginning with its end."""
    code = None if row.outcome is None else row.outcome.code
    return (
        StateChange(row.id, TaskState.RUNNING, row.attempts, row.worker_id),
        StateChange(row.id, row.status, row.attempts, row.worker_id, code),
    )


def brief_log(row: TaskRow) -> list[LogEntry]:
    """Return the log of a task that was placed at once, and over when it was heard of next."""
    placed = placed_changes(row.id, row.attempts, row.worker_id)
    return [
        *state_entries(1, row.assigned_at or 0.0, placed),
        *state_entries(PLACED_COUNT + 1, row.finished_at or 0.0, over_changes(row)),
    ]


class TaskQuery(Struct, frozen=True, kw_only=True):
    """Which tasks are asked for. Newest first; `before` is the cursor of the page before."""

    ids: frozenset[TaskId] = frozenset()  # of these alone; empty: any
    statuses: frozenset[TaskState] = frozenset()  # empty: any
    script_name: str = ""
    origin: str = ""
    client: str = ""  # whose; empty: anybody's
    scripts: tuple[str, ...] = ()  # of these alone, `*` stands for any part; empty: any
    groups: tuple[str, ...] = ()  # of these alone, by their metadata; empty: any and none
    since: float | None = None  # created at or after
    is_dead_letter: bool = False  # True: dead letters alone
    dropped_reason: str = ""
    limit: int = 50
    before: int | None = None


class TaskPage(Struct, frozen=True):
    """One page of tasks. `next_before` is None iff it is the last."""

    rows: list[TaskRow]
    next_before: int | None


class Ended(Struct, frozen=True, gc=False):
    """When a task came and ended, and how: what charts are drawn of."""

    id: TaskId
    status: str
    created_at: float
    finished_at: float


class KeyTaken(Exception):
    """Raised when another task of a client came first with the same idempotency key.

    Its text, where there is any, is what the database says of that key.
    """


# Hears of tasks, each with the number of the last entry of its log that is safe.
KeptListener: TypeAlias = Callable[[Sequence[tuple[TaskRow, int]]], None]


class TaskStore(Protocol):
    """Where tasks are kept: `async` where a database would make the caller wait.

    `append` and `note` are told behind the task's back: they return at once, and a store on a
    disk writes a moment later, in order.
    """

    def fault(self) -> str:
        """Return why it keeps less than it should: a code, or an empty text when it does not."""
        ...

    async def add(self, row: TaskRow, spec: TaskSpec | None = None) -> None:
        """Keep a new task; a durable one is safe when this returns.

        Raises:
            StorageError: Nothing can be kept now.
            KeyTaken: Another task of its client has its idempotency key.
        """
        ...

    def take_in(self, row: TaskRow, spec: TaskSpec) -> None:
        """Keep a new task of which nothing is promised: not durable, without an idempotency key.

        Raises:
            StorageError: Nothing can be kept now.
        """
        ...

    async def add_many(self, tasks: Sequence[tuple[TaskRow, TaskSpec | None]]) -> None:
        """Keep new tasks, all or none; raises as `add`."""
        ...

    def take_back(self, task_id: TaskId) -> None:
        """Forget a task that was taken in a moment ago, before anything else could happen."""
        ...

    async def discard(self, task_id: TaskId) -> None:
        """Forget a task that was never accepted."""
        ...

    def append(self, row: TaskRow, kind: SaidKind, attempt: int, at: float, body: bytes) -> int:
        """Add to the task's log; return the entry's number, or 0 when it is full."""
        ...

    def note(self, row: TaskRow, at: float, *changes: StateChange) -> None:
        """Keep `row` as it is now, with what has changed of its state in the task's log.

        That is always told, also where the log is full: whoever follows must learn how it ends.
        """
        ...

    def note_placed(self, row: TaskRow) -> None:
        """Keep `row` as it is now: accepted and, in the same moment, given to a worker."""
        ...

    def note_over(self, row: TaskRow) -> None:
        """Keep `row` as it is now: its script has begun to run and, for all we know, ended at once.

        Most calls come to no more than this and `note_placed`: the quickest way to keep them.
        """
        ...

    def kept(self, task_id: TaskId, *, is_urgent: bool = False) -> asyncio.Future[None] | None:
        """Return what is done once the task's state of now is safe; None if it is."""
        ...

    def hear_kept(self, listener: KeptListener) -> None:
        """Tell `listener` how far the logs of tasks have become safe, of many at once."""
        ...

    async def forget_key(self, client: str, idempotency_key: str) -> None:
        """Let a client use a key again: the time for which it stood for a task is over."""
        ...

    async def take_dead_letter(self, task_id: TaskId, *, retried_as: TaskId = "") -> bool:
        """Take an ended task from the dead letters; False when it is none (any more).

        Of callers at once, one gets True: nothing is retried twice.
        """
        ...

    async def return_dead_letter(self, task_id: TaskId) -> None:
        """Put back a task that was taken from the dead letters, when that came to nothing."""
        ...

    async def note_webhooks(self, task_id: TaskId, webhooks: tuple[WebhookDelivery, ...]) -> None:
        """Keep what became of telling others of a task's end; an unknown task is no error."""
        ...

    async def unsent_webhooks(self) -> list[TaskRow]:
        """Return the ended tasks of which somebody is still to be told, oldest first."""
        ...

    async def get(self, task_id: TaskId) -> TaskRow | None:
        """Return the task, or None when it is not known (any more)."""
        ...

    async def page(self, query: TaskQuery) -> TaskPage:
        """Return one page of the tasks asked for, newest first."""
        ...

    async def ended(self, *, since: float, limit: int) -> list[Ended]:
        """Return the tasks that ended at or after a moment, the last to end first."""
        ...

    async def entries(
        self, task_id: TaskId, *, after: int = 0, kinds: frozenset[str] | None = None, limit: int
    ) -> list[LogEntry]:
        """Return up to `limit` log entries with a number above `after`."""
        ...

    async def items(
        self, task_id: TaskId, *, offset: int = 0, limit: int | None = None
    ) -> list[bytes]:
        """Return the items of the task's last attempt, as JSON documents."""
        ...

    async def entry(self, task_id: TaskId, number: int) -> LogEntry | None:
        """Return one log entry."""
        ...

    async def blob(self, task_id: TaskId, kind: str, number: int) -> Blob | None:
        """Return what is kept outside of an entry; None when that is inside."""
        ...

    async def check_blob(self, blob: Blob) -> bool:
        """Look a blob over before it is given, where that is cheap; True iff a part is too.

        Raises:
            BlobMissing, BlobDamaged, BlobUnavailable: It cannot be given.
        """
        ...

    def stream(self, blob: Blob, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Yield a blob, or a part of it, piece by piece; raises as `check_blob`."""
        ...

    async def find_by_key(self, client: str, idempotency_key: str) -> TaskRow | None:
        """Return the task that this client made with this key."""
        ...

    async def known_keys(self, client: str, idempotency_keys: Sequence[str]) -> set[str]:
        """Return those of many keys that a task of this client has, or may have in a moment."""
        ...

    async def find_result(
        self, digest: str, parameters: bytes, *, since: float, client: str = ""
    ) -> TaskRow | None:
        """Return a completed task of the same bytes and parameters, ended at or after `since`.

        With `client` only one of its own will do.
        """
        ...
