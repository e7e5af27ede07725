"""What a script prints, as log records: cut in length, bounded in sum, never in the way."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from zscrape.worker.masking import Mask


class Line(Struct, omit_defaults=True):
    """The body of a log record that came from standard output or error."""

    level: str
    stream: str
    message: str
    is_cut: bool = False


_encode = msgspec.json.Encoder().encode
CUT_MARK = " [cut]"


class Budget(Struct, eq=False):
    """How much one attempt may still log, over all its streams."""

    limit_bytes: int
    used_bytes: int = 0
    is_spent: bool = False

    def take(self, body: bytes) -> bytes | None:
        """Return `body` if it fits, the mark for the first that does not, then None."""
        if self.is_spent:
            return None
        if len(body) <= self.limit_bytes - self.used_bytes:
            self.used_bytes += len(body)
            return body
        self.is_spent = True
        mark = f"[the output limit of {self.limit_bytes} bytes is reached: the rest is dropped]"
        return _encode(Line("warning", "log", mark, is_cut=True))


class Stream:
    """Standard output or error of one attempt, split into lines."""

    __slots__ = (
        "_budget",
        "_held",
        "_is_skipping",
        "_level",
        "_line_limit_bytes",
        "_mask",
        "_name",
    )

    def __init__(
        self,
        name: str,
        level: str,
        budget: Budget,
        line_limit_bytes: int,
        mask: Mask | None = None,
    ) -> None:
        self._name = name
        self._level = level
        self._budget = budget
        self._line_limit_bytes = line_limit_bytes
        self._mask = mask
        self._held = b""  # the beginning of a line, at most a limit long
        self._is_skipping = False  # inside the rest of a line that has been cut

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies of the lines that `data` completes."""
        if self._budget.is_spent:
            self._held = b""
            return []
        bodies: list[bytes] = []
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._add(bodies, line, is_whole=True)
        if rest:
            self._add(bodies, rest, is_whole=False)
        return bodies

    def end(self) -> list[bytes]:
        """Return the body of a last line that has no end."""
        bodies: list[bytes] = []
        if self._held:
            self._add(bodies, b"", is_whole=True)
        return bodies

    def _add(self, bodies: list[bytes], part: bytes, *, is_whole: bool) -> None:
        if self._is_skipping:
            self._is_skipping = not is_whole
            return
        line = self._held + part if self._held else part
        is_cut = len(line) > self._line_limit_bytes
        if not is_whole and not is_cut:
            self._held = line
            return
        self._held = b""
        self._is_skipping = is_cut and not is_whole
        text = self._told(line, is_cut=is_cut)
        body = self._budget.take(
            _encode(Line(self._level, self._name, text + CUT_MARK if is_cut else text, is_cut))
        )
        if body is not None:
            bodies.append(body)

    def _told(self, line: bytes, *, is_cut: bool) -> str:
        """Return a line as it is shown: cut to its limit, its secrets blanked out."""
        if self._mask is None:
            return line[: self._line_limit_bytes].decode("utf-8", "replace").rstrip("\r")
        told = line.decode("utf-8", "replace").rstrip("\r")  # first whole: a cut would hide them
        if not is_cut:
            return self._mask.text(told)
        return self._mask.beginning(told)[: self._line_limit_bytes]
