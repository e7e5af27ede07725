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
    *,
    is_compile_only: bool = False,
) -> bytes:
    """Return the frame for an attempt: see `FIELDS` in `zscrape.runtime.child`.

    Args:
        assignment: The attempt.
        folder: Where its script is.
        timeout_s: How long it may take.
        code: What the script was compiled to, if it was.
        left_count: How many more attempts the process may run.
        known: What its gate to sites need not ask; None: nothing.
        is_compile_only: It is to compile the script and to run nothing.
    """
    run = assignment.run
    content = b"" if code is None else code.content
    told = _encode(known) if known else b""
    needs_secrets = assignment.secrets and not is_compile_only
    secrets = _encode(assignment.secrets) if needs_secrets else b""
    if is_compile_only:
        mode = child_runtime.COMPILE
    elif code is not None and code.is_plain:
        mode = child_runtime.RUN_PLAIN
    else:
        mode = child_runtime.REPLAY if assignment.is_replay else child_runtime.RUN
    limits = run.limits
    # With no limit of its own the wall clock comes first and tells the better story.
    cpu_s = math.ceil(limits.cpu_s) if limits.cpu_s else math.ceil(timeout_s) + 2
    head = (
        f"{assignment.task_id}\0{assignment.attempt}\0{folder}\0{run.entry_point}\0{run.pin.name}\0"
        f"{timeout_s:.3f}\0{max(cpu_s, 1)}\0{limits.memory_bytes}\0{limits.result_size_bytes}\0"
        f"{mode.decode()}\0{len(content)}\0{len(secrets)}\0{assignment.trace_id}\0{left_count}\0"
        f"{len(told)}\0"
    ).encode()
    parts = (frames.REQUEST, head, assignment.params, told, secrets, content)
    return b"".join((sum(map(len, parts)).to_bytes(4, "big"), *parts))
