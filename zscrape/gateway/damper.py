"""How often a line of the log may be repeated when anybody can cause it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

INTERVAL_S: Final = 10.0
_KEY_LIMIT_COUNT: Final = 32
_OTHERS: Final = ("", "")

Key = tuple[str, str]


class _Line(Struct):
    next_at: float
    suppressed_count: int = 0


class Damper:
    """Lets the first line of a key through, then one every `INTERVAL_S`.

    Keys carry what strangers have sent, so their number is bounded: those beyond it share one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lines: dict[Key, _Line] = {}

    def admit(self, key: Key) -> int | None:
        """Return how many lines were held back since the last one, None to hold this one too."""
        now = self._clock()
        line = self._lines.get(key)
        if line is None and len(self._lines) >= _KEY_LIMIT_COUNT:
            self._forget(now)
            if len(self._lines) >= _KEY_LIMIT_COUNT:
                key = _OTHERS
                line = self._lines.get(key)
        if line is None:
            self._lines[key] = _Line(now + INTERVAL_S)
            return 0
        if now < line.next_at:
            line.suppressed_count += 1
            return None
        told, line.suppressed_count = line.suppressed_count, 0
        line.next_at = now + INTERVAL_S
        return told

    def _forget(self, now: float) -> None:
        """Make room: lines whose time has passed go; what they held back is told by the shared."""
        past = [key for key, line in self._lines.items() if key != _OTHERS and line.next_at <= now]
        held_count = sum(self._lines.pop(key).suppressed_count for key in past)
        if held_count:
            shared = self._lines.setdefault(_OTHERS, _Line(now))
            shared.suppressed_count += held_count
