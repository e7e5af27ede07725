"""What the scripts themselves say of their attempts: a witness that trusts nobody's records."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct


class Note(Struct, frozen=True):
    """One line of the journal. `at` is CLOCK_MONOTONIC, which all processes share."""

    task: str
    attempt: int
    what: str  # `start`, `overlap`, `child`, `stopped` or `end`
    number: int
    at: float
    pid: int = 0
    alone: str = ""  # the key of the lock that it runs under


_LINE = msgspec.json.Decoder(Note)


def read_notes(folder: Path, what: str = "") -> list[Note]:
    """Return the notes in the order in which they were made; `what` chooses one sort."""
    path = folder / "notes.jsonl"
    if not path.exists():
        return []
    # A script that is killed while it writes leaves half a line at the most: the last one.
    lines = path.read_bytes().split(b"\n")[:-1]
    notes = [_LINE.decode(line) for line in lines]
    return [note for note in notes if what in ("", note.what)]
