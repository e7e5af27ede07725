"""What a machine of the core tells its shell: first what to do, then what has happened.

The shell performs the deeds and, in one place, logs and counts the facts.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from zscrape.model import Attempt, Outcome, OutcomeCode, Record, RunSpec, TaskId, WorkerId
from zscrape.wire import Ask, GatewayMessage, Tell, WorkerMessage

# ---- Dispatcher: deeds ---------------------------------------------------------------


class Send(Struct, frozen=True, gc=False):
    """Send `message` to the connection `peer` (the ROUTER's address of it)."""

    peer: bytes
    message: GatewayMessage


class GiveScript(Struct, frozen=True):
    """Answer a worker's `Need` for the bytes of `digest`."""

    peer: bytes
    worker_id: WorkerId
    request: int
    digest: str


class Question(Struct, frozen=True):
    """Answer what a running attempt asks, by a `Tell`; the same question may come again."""

    peer: bytes
    worker_id: WorkerId
    ask: Ask
    run: RunSpec


# ---- Dispatcher: facts ---------------------------------------------------------------


class TaskAccepted(Struct, frozen=True):
    """The task was accepted and waits for its first attempt; see also `TaskAssigned`."""

    task_id: TaskId


class TaskQueued(Struct, frozen=True):
    """The task is to be tried again, or was taken up after a restart.

    `attempt` is the last one, 0 for none. `code` says why it did not end the task; `delay_s` how
    long that rests first; `message` what the script raised, cut to what a person reads. With
    `parked_on` it is not queued: it waits, without a slot, for the answer to this question.
    """

    task_id: TaskId
    attempt: int
    code: OutcomeCode | None = None
    delay_s: float = 0.0
    message: str = ""
    parked_on: str = ""


class TaskAssigned(Struct, frozen=True, gc=False):
    """The task was sent to a worker. The number fences every earlier attempt.

    With `is_accepted` it says also that the task was accepted, which nobody had told before.
    """

    task_id: TaskId
    attempt: int
    worker_id: WorkerId
    is_accepted: bool = False


class TaskAdopted(Struct, frozen=True):
    """An attempt that was given up as lost goes on after all, or has ended: its worker said so."""

    task_id: TaskId
    attempt: int
    worker_id: WorkerId
    is_started: bool


class TaskStarted(Struct, frozen=True):
    """The script has begun to run."""

    task_id: TaskId
    attempt: int
    worker_id: WorkerId


class TaskRecords(Struct, frozen=True):
    """New records of an attempt; each is told once, in order."""

    task_id: TaskId
    attempt: int
    first_index: int
    records: tuple[Record, ...]


class TaskFinished(Struct, frozen=True, gc=False):
    """The task's last word. `worker_id` is None iff no attempt spoke it.

    `dropped_reason` makes it a dead letter: `retry_exhausted`, or `poison` when its attempts
    took their workers with them. With `has_begun` it says also that the script has begun to
    run, which nobody had told before.
    """

    task_id: TaskId
    attempt: int
    worker_id: WorkerId | None
    outcome: Outcome
    dropped_reason: str = ""
    trace_id: str = ""  # by which others know the call
    has_begun: bool = False


class WorkerJoined(Struct, frozen=True):
    """A worker is known. `is_return`: the same session as before, its attempts still there."""

    worker_id: WorkerId
    is_return: bool


class WorkerSuspected(Struct, frozen=True):
    """A worker's connection broke; it gets nothing new until it says Hello again."""

    worker_id: WorkerId


class WorkerLost(Struct, frozen=True):
    """A worker is gone.

    `reason`: `silent`, `unreachable`, `left`, `replaced` (new session), `absent` or `revoked`.
    """

    worker_id: WorkerId
    reason: str
    attempts: tuple[Attempt, ...]


class Ignored(Struct, frozen=True):
    """A message that changed nothing: `superseded`, `unknown_session`, `duplicate`, ..."""

    peer: bytes
    kind: str  # the message's class name
    reason: str


DispatcherEffect: TypeAlias = (
    Send
    | GiveScript
    | Question
    | TaskAccepted
    | TaskQueued
    | TaskAssigned
    | TaskAdopted
    | TaskStarted
    | TaskRecords
    | TaskFinished
    | WorkerJoined
    | WorkerSuspected
    | WorkerLost
    | Ignored
)

# ---- WorkerLink: deeds ---------------------------------------------------------------


class SendUp(Struct, frozen=True):
    """Send `message` to the gateway."""

    message: WorkerMessage


class Reopen(Struct, frozen=True):
    """Close the socket; after `delay_s` open a new one and call `opened`."""

    delay_s: float


class Assignment(Struct, frozen=True):
    """Begin an attempt. `deadline_at`: when the task's whole life ends, monotonic seconds."""

    task_id: TaskId
    attempt: int
    run: RunSpec
    params: bytes
    deadline_at: float | None = None
    is_exclusive: bool = False  # another may begin as soon as this one is told to be over
    secrets: dict[str, str] = {}  # values by name, as far as they are granted
    trace_id: str = ""  # by which others know the call
    client: str = ""  # whose it is
    is_replay: bool = False  # sites answer as they did once: what asks `replay` says
    budgeted: tuple[str, ...] | None = None  # sites that have a budget; None: it may ask


class Ready(Struct, frozen=True):
    """Get a script and its environment ready: somebody will soon ask for it."""

    run: RunSpec


class Stop(Struct, frozen=True):
    """End an attempt, gracefully then by force; its outcome takes `code`.

    `is_wanted` is False when nobody will take the outcome: superseded, fenced or unknown.
    """

    task_id: TaskId
    attempt: int
    code: OutcomeCode
    is_wanted: bool


class Seek(Struct, frozen=True):
    """The gateway wants an attempt that another gateway has sent: look at the other links."""

    task_id: TaskId
    attempt: int


class Told(Struct, frozen=True):
    """The gateway's answer to what an attempt has asked."""

    tell: Tell


class Given(Struct, frozen=True):
    """The gateway's answer to a `Need`; `body` is None when it does not have the thing."""

    request: int
    body: bytes | None


class Exit(Struct, frozen=True):
    """Stop the worker: drained (`reason` "drained") or rejected for good (the code)."""

    reason: str
    detail: str = ""


# ---- WorkerLink: facts ---------------------------------------------------------------


class GatewayJoined(Struct, frozen=True):
    """The gateway has welcomed this worker."""

    gateway_id: str
    is_restart: bool  # another process than before


class GatewayLost(Struct, frozen=True):
    """The gateway has been silent for too long."""

    silent_s: float


class AttemptFenced(Struct, frozen=True):
    """An attempt with a lock has outlived its lease and is ended before another may start."""

    task_id: TaskId
    attempt: int


LinkEffect: TypeAlias = (
    SendUp
    | Reopen
    | Assignment
    | Ready
    | Stop
    | Seek
    | Given
    | Told
    | Exit
    | GatewayJoined
    | GatewayLost
    | AttemptFenced
)
