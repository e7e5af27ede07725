"""What gateways have told of sites' robots.txt, kept for the attempts that come next.

Most attempts of a script ask the sites that others have asked a moment before. What is known of
those goes along with the attempt; of any other site that is known here, the question is answered
here: a gateway is asked once in `KEPT_S`, which is less than it keeps an answer itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from zscrape.wire import Ask, Tell

KEPT_S: Final = 30.0
KEPT_LIMIT_BYTES: Final = 8 * 1024 * 1024
SENT_LIMIT_BYTES: Final = 16 * 1024  # with one attempt
_SITES_COUNT: Final = 4  # of one script, that go along
_SCRIPTS_COUNT: Final = 256
_ENTRY_BYTES: Final = 512
_ROBOTS: Final = "robots"


class _Question(Struct):
    origin: str


class _Kept(Struct, frozen=True):
    told: bytes
    until: float


_decode = msgspec.json.Decoder(_Question).decode
_encode = msgspec.json.Encoder().encode


class RobotsFiles:
    """The files that one worker knows of."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # by origin, the oldest first
        self._size_bytes = 0
        self._asked: OrderedDict[str, deque[str]] = OrderedDict()  # origins by script

    def keep(self, origin: str, told: bytes, *, digest: str) -> None:
        """Keep an answer that a script has had."""
        self._drop(origin)
        self._kept[origin] = _Kept(told, self._clock() + KEPT_S)
        self._size_bytes += len(told) + _ENTRY_BYTES
        while self._size_bytes > KEPT_LIMIT_BYTES:
            self._drop(next(iter(self._kept)))
        self._note(origin, digest)

    def find(self, origin: str, *, digest: str) -> bytes | None:
        """Return the answer to a script's question, if it is known."""
        found = self._current(origin)
        if found is not None:
            self._note(origin, digest)
        return found

    def known_to(self, digest: str) -> dict[str, msgspec.Raw]:
        """Return what goes along with a script: answers by origin."""
        found: dict[str, msgspec.Raw] = {}
        size_bytes = 0
        for origin in self._asked.get(digest, ()):
            told = self._current(origin)
            if told is not None and size_bytes + len(told) <= SENT_LIMIT_BYTES:
                size_bytes += len(told)
                found[origin] = msgspec.Raw(told)
        return found

    def _current(self, origin: str) -> bytes | None:
        kept = self._kept.get(origin)
        if kept is None:
            return None
        if kept.until > self._clock():
            return kept.told
        self._drop(origin)
        return None

    def _drop(self, origin: str) -> None:
        kept = self._kept.pop(origin, None)
        if kept is not None:
            self._size_bytes -= len(kept.told) + _ENTRY_BYTES

    def _note(self, origin: str, digest: str) -> None:
        origins = self._asked.get(digest)
        if origins is None:
            origins = self._asked[digest] = deque(maxlen=_SITES_COUNT)
            if len(self._asked) > _SCRIPTS_COUNT:
                self._asked.popitem(last=False)
        if origin not in origins:
            origins.append(origin)


class RobotsOf:
    """One attempt's questions about robots.txt."""

    __slots__ = ("_digest", "_files", "_open")

    def __init__(self, files: RobotsFiles, digest: str) -> None:
        self._files = files
        self._digest = digest
        self._open: dict[int, str] = {}  # asked of the gateway: the origin, by request

    def known(self) -> dict[str, msgspec.Raw]:
        """Return what goes along with the attempt."""
        return self._files.known_to(self._digest)

    def answer(self, ask: Ask) -> Tell | None:
        """Return the answer to a question if it is known here."""
        if ask.kind != _ROBOTS:
            return None
        try:
            origin = _decode(ask.body).origin.lower()
        except msgspec.DecodeError:  # the gateway says what is wrong with it
            return None
        told = self._files.find(origin, digest=self._digest)
        if told is None:
            self._open[ask.request] = origin
            return None
        return Tell(ask.task_id, ask.attempt, ask.request, told)

    def hear(self, tell: Tell) -> None:
        """Keep what a gateway has answered."""
        origin = self._open.pop(tell.request, "")
        if origin and not tell.code:
            self._files.keep(origin, tell.body, digest=self._digest)
