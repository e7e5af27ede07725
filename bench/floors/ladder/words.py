"""What gateway and worker say to each other from the rung `WORKERS` on."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

BEAT_S, MISSED_COUNT = 1.0, 3
Attempt: TypeAlias = tuple[str, int]  # of a task; the number fences late outcomes


class _Word(Struct, frozen=True, array_like=True, gc=False):
    """Base: an array whose first element is a small number."""


# ---- a worker's ----------------------------------------------------------------------


class Hello(_Word, frozen=True, tag=1):
    """First words over a connection: identity is not in the socket."""

    worker_id: str
    session: str  # one per process
    slots: int
    running: tuple[Attempt, ...] = ()
    finished: tuple[Attempt, ...] = ()  # outcomes that are not acknowledged
    tags: tuple[str, ...] = ()


class Beat(_Word, frozen=True, tag=2):
    """It lives, and takes so many attempts at once."""

    seq: int
    limit: int
    warm: tuple[str, ...] = ()  # digests of scripts that are ready


class Said(_Word, frozen=True, tag=3):
    """What a running attempt has said: stream or kind, and text."""

    task_id: str
    attempt: int
    records: tuple[tuple[str, str], ...]


class Done(_Word, frozen=True, tag=4):
    """How an attempt has ended, with the last that it has said. Repeated until `Stored`."""

    task_id: str
    attempt: int
    code: str
    data: bytes | None
    run_s: float
    cpu_us: int = 0
    memory_bytes: int = 0
    records: tuple[tuple[str, str], ...] = ()
    error: dict[str, Any] = {}


# ---- a gateway's ---------------------------------------------------------------------


class Welcome(_Word, frozen=True, tag=1):
    """The worker is known; attempts that it runs and `keep` does not list are to end."""

    keep: tuple[Attempt, ...]


class Pulse(_Word, frozen=True, tag=2):
    """The gateway lives; `ack` is the last beat that it has heard."""

    ack: int


class Run(_Word, frozen=True, tag=3):
    """Run one attempt."""

    task_id: str
    attempt: int
    remaining_ms: int | None
    run: bytes  # a `RunSpec`, encoded once
    parameters: bytes
    client: str = ""


class Cancel(_Word, frozen=True, tag=4):
    """End an attempt."""

    task_id: str
    attempt: int


class Stored(_Word, frozen=True, tag=5):
    """These outcomes are kept."""

    attempts: tuple[Attempt, ...]


class Who(_Word, frozen=True, tag=6):
    """This connection is not known: say `Hello`."""


OfWorker: TypeAlias = Hello | Beat | Said | Done
OfGateway: TypeAlias = Welcome | Pulse | Run | Cancel | Stored | Who
encode = msgspec.msgpack.Encoder().encode
of_worker = msgspec.msgpack.Decoder(OfWorker)
of_gateway = msgspec.msgpack.Decoder(OfGateway)
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)
