"""What one attempt asks its gateway: checked, bounded, slowed down when it asks too much."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from zscrape.model import OutcomeCode
from zscrape.runtime import channel as frames
from zscrape.wire import ASK_LIMIT_BYTES, Tell
from zscrape.worker.masking import Mask
from zscrape.worker.speech import DECODE_ERRORS, Violation, check_json

# How many answers an attempt may wait for at once, each in a thread of its own.
OPEN_LIMIT_COUNT = 64
# An attempt may ask so often, and as many as `_BURST_COUNT` at once; what is more waits here.
_RATE_PER_S = 200
_BURST_COUNT = 400
_HEAD_BYTES = 1024
# These carry what nobody else may read, to a place that is made for it.
_UNMASKED_KINDS = frozenset(("session",))
_KIND = re.compile(r"[a-z_]{1,32}")


class _Asked(Struct):
    request: Annotated[int, Meta(ge=1, le=2**53)]
    kind: str
    body: msgspec.Raw


class _Told(Struct):
    request: int
    code: str
    body: msgspec.Raw


_decode = msgspec.json.Decoder(_Asked).decode
_encode = msgspec.json.Encoder().encode


class Inquiry:
    """The open questions of one attempt.

    Beyond this worker they have numbers of ours, each used once: an answer that comes twice, or
    late, is never taken for that to another question, whichever numbers a script chooses.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        mask: Mask | None,
        *,
        pass_on: Callable[[int, str, bytes], None],
    ) -> None:
        self._loop = loop
        self._mask = mask
        self._pass_on = pass_on
        self._open: dict[int, int] = {}  # the script's number by ours
        self._count = 0
        self._next_at = 0.0  # when the next one is due if nothing may be saved up

    def hear(self, payload: bytes) -> None:
        """Pass a question on.

        Raises:
            Violation: It is not what the runtime asks.
        """
        if len(payload) > ASK_LIMIT_BYTES + _HEAD_BYTES:
            raise _torn()
        try:
            asked = _decode(payload)
            check_json(bytes(asked.body))
        except (*DECODE_ERRORS, RecursionError):
            raise _torn() from None
        is_known = asked.request in self._open.values()
        if is_known or len(self._open) >= OPEN_LIMIT_COUNT or not _KIND.fullmatch(asked.kind):
            raise _torn()
        self._count += 1
        self._open[self._count] = asked.request
        body = bytes(asked.body)
        if self._mask is not None and asked.kind not in _UNMASKED_KINDS:
            body = self._mask.document(body)
        delay_s = self._delay_s()
        if delay_s > 0:
            self._loop.call_later(delay_s, self._pass_on, self._count, asked.kind, body)
        else:
            self._pass_on(self._count, asked.kind, body)

    def answer(self, tell: Tell) -> bytes:
        """Return the frame that tells the script; empty if it has not asked that."""
        request = self._open.pop(tell.request, 0)
        if not request:
            return b""
        told = frames.TELL + _encode(_Told(request, tell.code, msgspec.Raw(tell.body)))
        return len(told).to_bytes(4, "big") + told

    def _delay_s(self) -> float:
        now = self._loop.time()
        self._next_at = max(self._next_at, now) + 1 / _RATE_PER_S
        return self._next_at - now - _BURST_COUNT / _RATE_PER_S


def _torn() -> Violation:
    return Violation(OutcomeCode.CRASHED, reason="its channel carried what is not a question")
