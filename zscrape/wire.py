"""Messages on the link, protocol `ZS/1`: tagged structs, codecs built once.

One msgpack frame per message. A frame is never split into parts: libzmq's `MAXMSGSIZE`
bounds a frame, not a message, so parts would open an unbounded road into memory.

Evolution: new fields go to the end and have defaults; a field never changes its type or
place. `Hello`'s first field and the whole of `Reject` never change, so that any two
versions can refuse each other clearly. Anything else raises `PROTOCOL`.

Source: the Paranoid Pirate pattern (ZeroMQ RFC 6/PPP), with sessions, attempt numbers and
acknowledged outcomes added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.errors import WireError
from zscrape.model import (
    MIB,
    Attempt,
    Load,
    Outcome,
    OutcomeCode,
    Record,
    RunSpec,
    TaskId,
    WorkerFacts,
    WorkerId,
)

PROTOCOL = 1
# The largest result (contract: 64 MiB) with its envelope and the last of its records.
FRAME_LIMIT_BYTES = 80 * MIB
# What a running script may ask, and be told. Larger things are artifacts.
ASK_LIMIT_BYTES = 256 * 1024
# Scripts that a worker tells to be ready; one with more tells the latest.
WARM_LIMIT_COUNT = 4_096


class _Message(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base: an array whose first element is the class's name.

    Nothing that it has refers to it, so the collector need not know of it (`gc=False`): it is
    made in half the time.
    """


# ---- worker to gateway ---------------------------------------------------------------


class Hello(_Message, frozen=True):
    """First words of a connection, repeated until `Welcome`: identity is not in the socket."""

    protocol: int
    worker_id: WorkerId
    session: str  # one per worker process: a new one means that its attempts are gone
    slots: int
    limit: int  # attempts this gateway may have here at once, now
    tags: tuple[str, ...] = ()
    facts: WorkerFacts = WorkerFacts()
    running: tuple[Attempt, ...] = ()
    finished: tuple[Attempt, ...] = ()  # outcomes not yet acknowledged
    warm: tuple[str, ...] = ()  # digests of scripts ready to run, up to WARM_LIMIT_COUNT
    is_draining: bool = False
    # Rises with every connection of the session: a Hello that was overtaken by a later one's
    # (two pipes of a ROUTER are read in turn) is known for what it is.
    connection: int = 0


class Heartbeat(_Message, frozen=True):
    """A worker lives. `running` is evidence: only what it lists has its lease renewed."""

    session: str
    seq: int
    limit: int
    running: tuple[Attempt, ...] = ()
    load: Load = Load()
    warm: tuple[str, ...] | None = None  # None: as last told
    is_draining: bool = False  # its own wish


class Started(_Message, frozen=True):
    """The child has begun to run the script; preparing is over."""

    task_id: TaskId
    attempt: int


class Events(_Message, frozen=True):
    """Records `first_index`, `first_index + 1`, ... of an attempt, in order."""

    task_id: TaskId
    attempt: int
    first_index: int
    records: tuple[Record, ...]


class Done(_Message, frozen=True):
    """How an attempt ended, with the last of its records. Repeated until `Stored` or `Ack`.

    It implies `Started` where the script ran at all.
    """

    task_id: TaskId
    attempt: int
    outcome: Outcome
    first_index: int = 0
    records: tuple[Record, ...] = ()


class Refused(_Message, frozen=True):
    """The worker does not take this attempt; that costs the task no retry.

    `full` and `draining` are races; `cannot` means never here (its `outcome` says why, and
    becomes the task's if no other worker is left); `stale` means that it came too late.
    """

    task_id: TaskId
    attempt: int
    reason: Literal["full", "draining", "cannot", "stale"]
    outcome: Outcome | None = None


class Need(_Message, frozen=True):
    """A question to the gateway, answered by `Give`. `script` asks for the bytes of a digest."""

    request: int  # chosen by the worker
    kind: Literal["script"]
    key: str


class Ask(_Message, frozen=True):
    """A running script asks the gateway; repeated until `Tell` comes or the attempt is over.

    `body` is JSON; what it means is between the script's runtime and whoever answers `kind`.
    """

    task_id: TaskId
    attempt: int
    request: int  # chosen by the attempt
    kind: str
    body: bytes


class Goodbye(_Message, frozen=True):
    """The worker leaves; attempts it still had are gone."""

    session: str


class Join(_Message, frozen=True):
    """The only words over a connection that a join token has opened: know me by this key.

    Repeated until `Joined` or `Reject`; the worker comes back with that key.
    """

    protocol: int
    worker_id: WorkerId
    key: bytes  # its public key


# ---- gateway to worker ---------------------------------------------------------------


class Welcome(_Message, frozen=True):
    """The worker is known. Attempts that it runs and `keep` does not list must end."""

    gateway_id: str
    boot: str  # one per gateway process
    interval_ms: int
    missed_count: int
    lease_ms: int
    keep: tuple[Attempt, ...] = ()
    is_draining: bool = False  # an operator drains this worker


class GatewayHeartbeat(_Message, frozen=True, tag="Heartbeat"):
    """The gateway lives. `ack` is the last worker beat it has heard, 0 for none."""

    boot: str
    ack: int
    queued: int = 0  # tasks that wait: the demand, for sharing slots among gateways
    is_draining: bool = False  # an operator drains this worker: state, so a lost `Drain` heals


class Run(_Message, frozen=True):
    """Run one attempt. Deadlines travel as remaining time, never as clock readings."""

    task_id: TaskId
    attempt: int
    ack: int  # as in the heartbeat: a worker does not start what comes from an old one
    remaining_ms: int | None  # of the task's whole life; None: no such limit
    lease_ms: int  # 0: this task may overlap with itself, so it goes on while the link is down
    run: RunSpec
    params: bytes
    secrets: dict[str, str] = {}  # values by name: filled in as it leaves, kept nowhere
    trace_id: str = ""  # by which others know the call
    client: str = ""  # whose task it is: nobody else's runs in a process that it leaves behind
    # The sites that have a budget as it leaves, for a script that may ask sites; None: they may be
    # asked for.
    budgeted: tuple[str, ...] | None = None


class Prepare(_Message, frozen=True):
    """Get a script and its environment ready ahead of time; nothing is answered."""

    run: RunSpec


class Cancel(_Message, frozen=True):
    """End an attempt: gracefully, then by force. `code` becomes its outcome."""

    task_id: TaskId
    attempt: int
    code: OutcomeCode = OutcomeCode.CANCELLED


class Claim(_Message, frozen=True):
    """Give this attempt to the gateway that asks: the one that sent it is gone, its task here.

    Repeated until a beat lists the attempt, its `Done` comes, or `Refused` says that it is not
    there.
    """

    task_id: TaskId
    attempt: int


class Drain(_Message, frozen=True):
    """Take nothing new (or take work again); what runs goes on."""

    is_draining: bool


class Give(_Message, frozen=True):
    """Answer to `Need`. `body` is None when the gateway does not have it."""

    request: int
    body: bytes | None


class Tell(_Message, frozen=True):
    """Answer to `Ask`: JSON. With a `code` it is refused, and `body` has the words for it."""

    task_id: TaskId
    attempt: int
    request: int
    body: bytes
    code: str = ""


class Stored(_Message, frozen=True):
    """These outcomes are kept by the gateway. Many in one message: nobody waits for it."""

    attempts: tuple[Attempt, ...]


class Ack(_Message, frozen=True):
    """A `Done` that is not wanted, or a gap among an attempt's records.

    `stale`: superseded or unknown, forget it; `resend`: records from `received` on are
    missing, send them (and the outcome) again.
    """

    task_id: TaskId
    attempt: int
    verdict: Literal["stale", "resend"]
    received: int = 0


class Who(_Message, frozen=True):
    """The gateway does not know this connection: say `Hello`."""


class Reject(_Message, frozen=True):
    """The gateway will never take this worker. `reason` is a code, `detail` for people."""

    reason: str
    detail: str = ""


class Joined(_Message, frozen=True):
    """The key of a `Join` is known from now on."""

    worker_id: WorkerId


class Keys(_Message, frozen=True):
    """The public keys by which the gateway can be known, the one in use first.

    Told after `Welcome` and when the gateway is about to take another key: a worker that
    keeps them finds the gateway again after that.
    """

    keys: tuple[bytes, ...]


WorkerMessage: TypeAlias = (
    Hello | Heartbeat | Started | Events | Done | Refused | Need | Ask | Goodbye
)
GatewayMessage: TypeAlias = (
    Welcome
    | GatewayHeartbeat
    | Run
    | Prepare
    | Cancel
    | Claim
    | Drain
    | Give
    | Tell
    | Stored
    | Ack
    | Who
    | Reject
)
# What is heard on a connection, besides the dialogue with the dispatcher.
Spoken: TypeAlias = WorkerMessage | Join
Answered: TypeAlias = GatewayMessage | Joined | Keys

_WORKER_DECODER: msgspec.msgpack.Decoder[Spoken] = msgspec.msgpack.Decoder(Spoken)
_GATEWAY_DECODER: msgspec.msgpack.Decoder[Answered] = msgspec.msgpack.Decoder(Answered)
# msgspec lets more than its own error out (measured on 0.22): bad UTF-8, deep nesting, huge ints.
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)


# Returns the one frame that carries a message.
encode: Callable[[Spoken | Answered], bytes] = msgspec.msgpack.Encoder().encode


def decode_worker(frame: bytes | memoryview) -> Spoken:
    """Read what a worker sent.

    Raises:
        WireError: The frame is not a message that a worker may send.
    """
    try:
        return _WORKER_DECODER.decode(frame)
    except _UNREADABLE as error:
        raise WireError(reason=str(error)) from error


def decode_gateway(frame: bytes) -> Answered:
    """Read what a gateway sent.

    Raises:
        WireError: The frame is not a message that a gateway may send.
    """
    try:
        return _GATEWAY_DECODER.decode(frame)
    except _UNREADABLE as error:
        raise WireError(reason=str(error)) from error
