"""What a child is told of its attempt: the one frame that it waits for."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from zscrape.core.effects import Assignment
from zscrape.model import RunSpec
from zscrape.runtime import channel as frames
from zscrape.worker.codes import Code

_encode = msgspec.json.Encoder().encode


class Form:
    """The frames for all attempts of a script as it stands: most of each is the same.

    See `FIELDS` in `zscrape.runtime.child`.
    """

    __slots__ = ("_code", "_content", "_folder", "_is_compile_only", "_run", "_usual")

    def __init__(
        self, run: RunSpec, folder: str, code: Code | None = None, *, is_compile_only: bool = False
    ) -> None:
        """Make one.

        Args:
            run: What is to run.
            folder: Where its script is.
            code: What that was compiled to, if it was.
            is_compile_only: It is to be compiled, and nothing is to run.
        """
        self._code = code
        self._content = b"" if code is None else code.content
        self._run = run
        self._folder = folder
        self._is_compile_only = is_compile_only
        self._usual = self._fixed(run.timeout_s, is_replay=False)

    def request(
        self,
        assignment: Assignment,
        timeout_s: float,
        left_count: int,
        known: dict[str, Any] | None,
    ) -> bytes:
        """Return the frame for an attempt.

        Args:
            assignment: The attempt.
            timeout_s: How long it may take.
            left_count: How many more attempts the process may run.
            known: What its gate to sites need not ask; None: nothing.
        """
        fixed = self._usual
        if timeout_s != self._run.timeout_s or assignment.is_replay:
            fixed = self._fixed(timeout_s, is_replay=assignment.is_replay)
        told = secrets = b""
        if (known or assignment.secrets) and not self._is_compile_only:
            told = _encode(known) if known else b""
            secrets = _encode(assignment.secrets) if assignment.secrets else b""
        payload = b"%b%b\0%d\0%b\0%d\0%b\0%d\0%d\0%b%b%b%b" % (
            frames.REQUEST,
            assignment.task_id.encode(),
            assignment.attempt,
            fixed,
            len(secrets),
            assignment.trace_id.encode(),
            left_count,
            len(told),
            assignment.params,
            told,
            secrets,
            self._content,
        )
        return len(payload).to_bytes(4, "big") + payload

    def _fixed(self, timeout_s: float, *, is_replay: bool) -> bytes:
        """Return the fields from the folder to the size of the code."""
        run, code, limits = self._run, self._code, self._run.limits
        if self._is_compile_only:
            mode = frames.COMPILE
        elif code is not None and code.is_plain:
            mode = frames.RUN_PLAIN
        else:
            mode = frames.REPLAY if is_replay else frames.RUN
        # With no limit of its own the wall clock comes first and tells the better story.
        cpu_s = math.ceil(limits.cpu_s) if limits.cpu_s else math.ceil(timeout_s) + 2
        fields = (
            f"{self._folder}\0{run.entry_point}\0{run.pin.name}\0{timeout_s:.3f}\0{max(cpu_s, 1)}\0"
            f"{limits.memory_bytes}\0{limits.result_size_bytes}\0{mode.decode()}\0"
            f"{len(self._content)}"
        )
        return fields.encode()
