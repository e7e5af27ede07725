"""The log of a run: one JSON object a line, the same fields on every line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from zscrape.ops.masks import Masks

# Told beside the file even when nobody asked for more; the rest is detail.
_INFO_STATES: Final = ("started", "failed", "warning", "interrupted")
_ENCODE: Final = msgspec.json.Encoder(enc_hook=str).encode


class RunLog:
    """Writes `run_id script target event status elapsed_ms`, and what an event has besides.

    Args:
        run_id: The run.
        script: The verb.
        masks: Nothing leaves without them.
        is_verbose: Details are told too; the file has them in any case.
        tell: Where lines go beside the file; None: nowhere.
    """

    def __init__(
        self,
        run_id: str,
        script: str,
        *,
        masks: Masks,
        is_verbose: bool,
        tell: Callable[[str], None] | None,
    ) -> None:
        self.run_id = run_id
        self._script = script
        self._masks = masks
        self._is_verbose = is_verbose
        self._tell = tell
        self._file: IO[bytes] | None = None
        self._is_together = False

    @property
    def is_open(self) -> bool:
        """True iff there is a file."""
        return self._file is not None

    def open(self, path: Path) -> None:
        """Write to a file from now on; what it has stays."""
        path.touch(mode=0o600)
        self._file = path.open("ab")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let the lines of what is done inside go to the file at its end, by one call."""
        self._is_together = True
        try:
            yield
        finally:
            self._is_together = False
            if self._file is not None:
                self._file.flush()

    def write(
        self, event: str, *, target: str = "", status: str, elapsed_s: float = 0.0, **fields: Any
    ) -> None:
        """Write one line."""
        is_info = status in _INFO_STATES or event == "run_ended"
        document = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": _level(status) if is_info else "debug",
            "run_id": self.run_id,
            "script": self._script,
            "target": target,
            "event": event,
            "status": status,
            "elapsed_ms": int(elapsed_s * 1000),
            **{
                name: self._masks.apply(value) if isinstance(value, str) else value
                for name, value in fields.items()
            },
        }
        line = _ENCODE(document)
        if self._file is not None:
            self._file.write(line + b"\n")
            if not self._is_together:
                self._file.flush()
        if self._tell is not None and (is_info or self._is_verbose):
            self._tell(line.decode())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _level(status: str) -> str:
    return {"failed": "error", "warning": "warning", "interrupted": "warning"}.get(status, "info")
