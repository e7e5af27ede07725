"""Items with keys: those that an earlier run had are left out.

The gateway knows the keys. Who emits much asks for many at once, who emits little is answered
at once: items wait here while there are few of them and the last question is fresh.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from zscrape.runtime.asking import AskRefused

if TYPE_CHECKING:
    from zscrape.runtime.state import Ask

BATCH_COUNT = 500
_BATCH_BYTES = 1024 * 1024
_PAUSE_S = 0.2  # between questions, unless a batch is full
_DIGEST_BYTES = 16  # 128 bits: of 10^12 keys two are alike by a chance of 10^-15


class Said(Protocol):
    """What takes the items; see `context.Said`."""

    known_count: int

    def send_item(self, body: bytes) -> None:
        """Send one item that is JSON already."""
        ...


class Emitter:
    """The items of one attempt, since its first key. Threads may emit at once."""

    def __init__(self, said: Said, ask: Ask, warn: Callable[..., None]) -> None:
        self._said = said
        self._ask = ask
        self._warn = warn
        self._lock = threading.RLock()
        self._seen: set[str] = set()  # by this attempt
        self._held: list[tuple[str, bytes]] = []
        self._held_bytes = 0
        self._asked_at = float("-inf")
        self._timer: threading.Timer | None = None
        self._is_alone = False  # there is no gateway that knows keys

    def add(self, digest: str, body: bytes) -> None:
        """Send an item unless its key was seen; an empty digest stands for no key.

        Raises:
            AskRefused: The gateway cannot answer now.
        """
        with self._lock:
            if digest:
                if digest in self._seen:
                    return
                self._seen.add(digest)
            if self._is_alone or not (digest or self._held):
                self._said.send_item(body)
                return
            self._held.append((digest, body))
            self._held_bytes += len(body)
            if (
                len(self._held) >= BATCH_COUNT
                or self._held_bytes >= _BATCH_BYTES
                or time.monotonic() - self._asked_at > _PAUSE_S
            ):
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(_PAUSE_S, self._late)
                self._timer.daemon = True
                self._timer.start()

    def settle(self) -> None:
        """Send what waits: the script has ended.

        Raises:
            AskRefused: The gateway cannot answer now.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._flush()

    def _late(self) -> None:
        """Send what has waited long enough; what fails is told by the next who emits."""
        with self._lock, suppress(BaseException):  # the attempt's end is one, and it is noted
            self._timer = None
            self._flush()

    def _flush(self) -> None:
        digests = [digest for digest, _ in self._held if digest]
        seen = self._seen_before(digests) if digests else frozenset[str]()
        held, self._held, self._held_bytes = self._held, [], 0
        self._asked_at = time.monotonic()
        for digest, body in held:
            if digest and digest in seen:
                self._said.known_count += 1
            else:
                self._said.send_item(body)

    def _seen_before(self, digests: list[str]) -> frozenset[str]:
        try:
            told = self._ask("key", {"keys": digests})
        except AskRefused as error:
            if error.code != "unsupported":
                raise
            self._is_alone = True
            self._warn("keys are known to this attempt alone", reason=error.message)
            return frozenset()
        return frozenset(digests[index] for index in told["seen"])


def key_digest(key: Any) -> str:
    """Return what stands for a key: a text as it is, anything else by its JSON form.

    Raises:
        TypeError: It has none.
    """
    text = key if isinstance(key, str) else json.dumps(key, sort_keys=True, separators=(",", ":"))
    raw = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).digest()[:_DIGEST_BYTES].hex()
