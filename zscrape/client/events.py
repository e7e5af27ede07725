"""Server-sent events of a task, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct


class Event(Struct, frozen=True):
    """One event of a task's stream: `state log progress item artifact result`."""

    kind: str
    id: str
    data: Any


class EventReader:
    """Makes events of lines (HTML standard, 9.2.6); data that is not JSON stays text."""

    def __init__(self) -> None:
        self._kind = ""
        self._last_id = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        """Take one line; return the event that it ends."""
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._last_id = value
        return None

    def _end(self) -> Event | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data = "", []
        return Event(kind, self._last_id, json_or_text("\n".join(data))) if data else None


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Read the events of a stream's lines."""
    reader = EventReader()
    for line in lines:
        event = reader.feed(line)
        if event is not None:
            yield event


def json_or_text(data: str) -> Any:
    """Return JSON as what it stands for, and all else as it is."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data
