"""Conversations with a gateway, without a socket: generators that say what is to be done next.

A conversation yields effects and is sent what came of them; `sync` and `asynchronous` are the
two that do them. So retrying, waiting and streaming are written, and right, once.

    effect          is answered with
    Send(call)      an `Answer`, or `Broken`
    Open(call)      an `Answer` without its content, or `Broken`; `Piece` follows
    Piece()         the next bytes of what is open, None at its end, or `Broken`
    Pause(s)        None, when the time is over
    Give(value)     None, when whoever iterates wants the next

Whoever stops iterating makes the conversation's next effect raise `Left`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from zscrape.client.calls import Answer, Broken, Call, refusal, unreachable
from zscrape.client.failures import ClientError
from zscrape.client.manner import NO_RETRY, Manner, Retry

T = TypeVar("T")
R = TypeVar("R")
_PASSING = frozenset({429, 503})


class Send(Struct, frozen=True):
    """Make a call and read its answer whole."""

    call: Call[Any]


class Open(Struct, frozen=True):
    """Make a call and leave its answer to be read piece by piece; what was open is closed."""

    call: Call[Any]


class Piece(Struct, frozen=True):
    """Read on in what is open."""


class Pause(Struct, frozen=True):
    """Wait."""

    wait_s: float


class Give(Struct, Generic[T], frozen=True):
    """Hand a value to whoever iterates."""

    value: T


class Left(Exception):
    """Raised in a conversation whose listener has gone."""


Effect: TypeAlias = Send | Open | Piece | Pause
Talk: TypeAlias = Generator[Effect, Any, R]
Flow: TypeAlias = Generator[Effect | Give[T], Any, None]
_Begin: TypeAlias = Callable[[Call[Any]], Effect]


def patiently(manner: Manner, call: Call[T]) -> Talk[T]:
    """Make a call, again where that helps and does no harm, and return what it brings.

    Raises:
        ClientError: It does not succeed.
    """
    answer = yield from _answered(manner, call, Send)
    return call.read(answer, manner)


def opened(manner: Manner, call: Call[Any]) -> Talk[None]:
    """Open a stream, again where that helps; its pieces follow.

    Raises:
        ClientError: It is not to be had.
    """
    answer = yield from _answered(manner, call, Open)
    if not answer.is_success:
        raise refusal(answer, manner)


def _answered(manner: Manner, call: Call[Any], begin: _Begin) -> Talk[Answer]:
    tries = 0
    while True:
        came: Answer | Broken = yield begin(call)
        tries += 1
        wait_s = _pause_s(manner.retry, tries, call, came, manner)
        if wait_s is not None:
            yield Pause(wait_s)
        elif isinstance(came, Answer):
            return came
        else:
            raise unreachable(came.reason, manner)


def _pause_s(
    retry: Retry, tries: int, call: Call[Any], came: Answer | Broken, manner: Manner
) -> float | None:
    """Return how long to wait before the call is made again; None: it is not."""
    if isinstance(came, Broken):
        return retry.pause_s(tries) if call.may_repeat or came.is_unsent else None
    if came.status not in _PASSING:
        return None
    return retry.pause_s(tries, refusal(came, manner).retry_after_s)


def let_go(manner: Manner, call: Call[Any]) -> Talk[None]:
    """Make a last call for a listener who has gone: once, and nobody is told whether it did."""
    with contextlib.suppress(ClientError):
        yield from patiently(msgspec.structs.replace(manner, retry=NO_RETRY), call)


def pieces(manner: Manner) -> Generator[Effect | Give[bytes], Any, None]:
    """Give the bytes of what is open as they come.

    Raises:
        ClientError: They end too early.
    """
    while True:
        piece: bytes | Broken | None = yield Piece()
        if piece is None:
            return
        if isinstance(piece, Broken):
            raise unreachable(piece.reason, manner)
        yield Give(piece)


class Lines:
    """Cuts bytes into lines. A JSON text may hold what else `splitlines` would cut at."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str]:
        """Return the lines that are whole now."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        return [_line_of(each) for each in whole]

    def end(self) -> list[str]:
        """Return the last line, if it had no end."""
        rest, self._rest = self._rest, b""
        return [_line_of(rest)] if rest else []


def _line_of(raw: bytes) -> str:
    return raw.removesuffix(b"\r").decode("utf-8", "replace")


def next_lines(manner: Manner, cut: Lines) -> Talk[list[str] | None]:
    """Return the lines of the next piece of what is open; None at its end.

    Raises:
        ClientError: It ends too early.
    """
    piece: bytes | Broken | None = yield Piece()
    if isinstance(piece, Broken):
        raise unreachable(piece.reason, manner)
    if piece is None:
        return cut.end() or None
    return cut.feed(piece)
