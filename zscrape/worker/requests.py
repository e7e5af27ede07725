"""What a child is told of its attempt: the one frame that it waits for."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from zscrape.runtime import channel as frames, child as child_runtime
from zscrape.worker.assignment import Assignment
from zscrape.worker.codes import Code

_encode = msgspec.json.Encoder().encode


def request_of(
    assignment: Assignment,
    folder: str,
    timeout_s: float,
    code: Code | None,
    left_count: int,
    known: dict[str, Any] | None,
) -> bytes:
    """Return the frame for an attempt: see `FIELDS` in `zscrape.runtime.child`.

    Args:
        assignment: The attempt.
        folder: Where its script is.
        timeout_s: How long it may take.
        code: What the script was compiled to, if it was.
        left_count: How many more attempts the process may run.
        known: What its gate to sites need not ask; None: nothing.
    """
    secrets = _encode(assignment.secrets) if assignment.secrets else b""
    told = _encode(known) if known else b""
    mode, content = child_runtime.RUN, b""
    if code is not None:
        mode = child_runtime.RUN_PLAIN if code.is_plain else child_runtime.RUN
        content = code.content
    if assignment.is_replay and mode == child_runtime.RUN:
        mode = child_runtime.REPLAY
    return _frame(assignment, folder, timeout_s, left_count, mode, told, secrets, content)


def compile_request_of(assignment: Assignment, folder: str, timeout_s: float) -> bytes:
    """Return the frame for a child that is to compile the script and run nothing."""
    return _frame(assignment, folder, timeout_s, 0, child_runtime.COMPILE, b"", b"", b"")


def _frame(
    assignment: Assignment,
    folder: str,
    timeout_s: float,
    left_count: int,
    mode: bytes,
    known: bytes,
    secrets: bytes,
    code: bytes,
) -> bytes:
    run = assignment.run
    limits = run.limits
    # With no limit of its own the wall clock comes first and tells the better story.
    cpu_s = math.ceil(limits.cpu_s) if limits.cpu_s else math.ceil(timeout_s) + 2
    head = (
        f"{assignment.task_id}\0{assignment.attempt}\0{folder}\0{run.entry_point}\0{run.pin.name}\0"
        f"{timeout_s:.3f}\0{max(cpu_s, 1)}\0{limits.memory_bytes}\0{limits.result_size_bytes}\0"
        f"{mode.decode()}\0{len(code)}\0{len(secrets)}\0{assignment.trace_id}\0{left_count}\0"
        f"{len(known)}\0"
    ).encode()
    parts = (frames.REQUEST, head, assignment.params, known, secrets, code)
    return b"".join((sum(map(len, parts)).to_bytes(4, "big"), *parts))
