"""`ctx.log`: records of the task, shown live and kept."""

from __future__ import annotations

import json
from typing import Any

from zscrape.runtime import channel as frames
from zscrape.runtime.encode import NotJson, to_json
from zscrape.runtime.trace import clean, cut, tell

_RESERVED_FIELDS = ("level", "stream", "message")
# The worker cuts a log record at the line length of the script's limits and refuses a frame
# that no limit could allow; one that is larger than this is cut here.
_RECORD_LIMIT_BYTES = 1024 * 1024
_MESSAGE_LIMIT_CHARACTERS = 150_000  # escaped, six bytes each
_SIMPLE = (str, bool, type(None))  # they cannot fail: most fields are one of these


class Log:
    """`ctx.log`: records of the task, shown live and kept. Further arguments become fields."""

    __slots__ = ("_channel", "_trace_id")

    def __init__(self, channel: frames.Channel, trace_id: str = "") -> None:
        self._channel = channel
        self._trace_id = trace_id

    def debug(self, message: object, **fields: Any) -> None:
        """Say something for whoever looks for a fault."""
        self._say("debug", message, fields)

    def info(self, message: object, **fields: Any) -> None:
        """Say what happens."""
        self._say("info", message, fields)

    def warning(self, message: object, **fields: Any) -> None:
        """Say that something is not as it should be; the script goes on."""
        self._say("warning", message, fields)

    def error(self, message: object, **fields: Any) -> None:
        """Say that something failed; the script goes on."""
        self._say("error", message, fields)

    def _say(self, level: str, message: object, fields: dict[str, Any]) -> None:
        text = tell(message, _RECORD_LIMIT_BYTES)
        record: dict[str, Any] = {"level": level, "stream": "log", "message": text}
        if self._trace_id:
            record["trace_id"] = self._trace_id
        for name, value in fields.items():
            if name not in _RESERVED_FIELDS:
                record[clean(name)] = _loggable(value)
        body = to_json(record)
        if len(body) > _RECORD_LIMIT_BYTES:
            text = cut(text, _MESSAGE_LIMIT_CHARACTERS)
            body = to_json({"level": level, "stream": "log", "message": text, "is_cut": True})
        self._channel.send(frames.LOG, body)


def _loggable(value: Any) -> Any:
    """Return a field's value, or a text for one without a JSON form."""
    if type(value) in _SIMPLE:
        return clean(value) if type(value) is str else value
    try:
        return json.loads(to_json(value))  # told once, so that it cannot tell otherwise later
    except (NotJson, ValueError):
        return tell(value, _RECORD_LIMIT_BYTES, form=repr)
