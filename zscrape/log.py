"""Structured logs: one line per fact, JSON for machines or coloured text on a terminal.

    logger = get_logger(component="gateway")
    logger.info("worker_lost", worker_id=worker_id, reason="silent")

The event is constant, the data is in fields. Lines go to standard error: standard output
belongs to what a verb answers. Words for an event come from the function given to
`configure` (the catalogue's `text`), under `event.` and the event's name.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec

Words: TypeAlias = Callable[..., str]  # text(key, lang, **fields); the key itself when unknown
_Fields: TypeAlias = dict[str, Any]

_MASK: Final = "********"
# A bare `key` is a lock's or an item's: what opens doors here has a longer name.
_SECRET_NAME = re.compile(
    r"(^|_)(api_key|private_key|token|secret|password|authorization|cookie)s?$", re.IGNORECASE
)
_URL_USER = re.compile(r"(?<=://)[^/\s@\"]+(?=@)")
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_hidden: set[str] = set()


def configure(
    *, json: bool, lang: str = "en", verbose: bool = False, words: Words | None = None
) -> None:
    """Set up logging for this process; calling it again replaces what was set up.

    Args:
        json: JSON lines; otherwise text, coloured where standard error is a terminal.
        lang: Language of `message`.
        verbose: Debug lines too, and the libraries' own.
        words: Turns an event into words; None leaves `message` out.
    """
    _manner.level = logging.DEBUG if verbose else logging.INFO
    _manner.render = _as_json if json else _AsText(has_colours=sys.stderr.isatty())
    _manner.lang, _manner.words = lang, words
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, handlers=[_OfLibraries()], force=True
    )


class Logger:
    """Write lines about events, each with the fields that are bound to it."""

    def __init__(self, bound: _Fields) -> None:
        self._bound = bound

    def bind(self, **fields: Any) -> Logger:
        """Return one that has these fields too."""
        return Logger(self._bound | fields)

    def is_enabled_for(self, level: int) -> bool:
        """True iff lines of this level are written."""
        return level >= _manner.level

    def debug(self, event: str, **fields: Any) -> None:
        """Tell what helps whoever looks for a fault."""
        self._tell(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Tell what goes as it should."""
        self._tell(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Tell what somebody should look at."""
        self._tell(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Tell what failed; `exc_info` is an exception, or True for the one that is handled."""
        self._tell(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Tell what failed, with the exception that is handled."""
        self._tell(logging.ERROR, event, {"exc_info": True} | fields)

    def _tell(self, level: int, event: str, fields: _Fields) -> None:
        if not self.is_enabled_for(level):
            return
        error = fields.pop("exc_info", None)
        told = {**self._bound, **fields, "event": event}
        _manner.write(level, told, sys.exception() if error is True else error)


def get_logger(**bound: Any) -> Logger:
    """Return a logger with `bound` fields on every line of it.

    A process that has not said how it logs writes text: also that to standard error, since a
    verb that serves nothing answers on standard output all the same.
    """
    return Logger(bound)


def hide(secret: str) -> None:
    """Never let `secret` appear in a line of this process."""
    if len(secret) >= 4:  # shorter ones would blank out ordinary words
        _hidden.add(secret)


def _write(line: str) -> None:
    # A pipe that nobody reads any more, or a full disk, must not end what is logged about.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")


class _OfLibraries(logging.Handler):
    """Give lines of libraries, which use the standard library's logging, the same form.

    Their text is the message, the event says that it is one.
    """

    def emit(self, record: logging.LogRecord) -> None:
        told = {"event": "library", "library": record.name, "message": record.getMessage()}
        _manner.write(record.levelno, told, record.exc_info[1] if record.exc_info else None)


class _AsText:
    """`12:30:01 info  Worker w-1 joined.  worker_id=w-1`."""

    def __init__(self, *, has_colours: bool) -> None:
        self._has_colours = has_colours

    def __call__(self, fields: _Fields) -> str:
        at = str(fields.pop("at"))[11:19]
        level = str(fields.pop("level"))
        event = str(fields.pop("event"))
        message = str(fields.pop("message", event))
        exception = fields.pop("exception", "")
        # What the words have said already is not said again.
        told = " ".join(
            f"{key}={value}" for key, value in fields.items() if str(value) not in message
        )
        parts = [
            self._paint(at, "2"),
            self._paint(f"{level:<8}", _COLOURS.get(level, "0")),
            f"{message}  {self._paint(told, '2')}".rstrip(),
        ]
        return " ".join(parts) + (f"\n{exception}" if exception else "")

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._has_colours and text else text


def _as_json(fields: _Fields) -> str:
    first = {"at": fields.pop("at"), "level": fields.pop("level"), "event": fields.pop("event")}
    return msgspec.json.encode(first | fields, enc_hook=str).decode()


class _Manner:
    """How this process logs: from which level on, in which form, with which words."""

    def __init__(self) -> None:
        self.level = logging.INFO
        self.render: Callable[[_Fields], str] = _AsText(has_colours=False)
        self.lang = "en"
        self.words: Words | None = None

    def write(self, level: int, fields: _Fields, error: BaseException | None) -> None:
        """Write the line of an event; `fields` are used up."""
        fields["level"] = logging.getLevelName(level).lower()
        fields["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        if error is not None:
            fields["exception"] = "".join(traceback.format_exception(error)).rstrip("\n")
        for key in fields:
            if _SECRET_NAME.search(key):
                fields[key] = _MASK
        self._add_message(fields)
        _write(_masked(self.render(fields)))

    def _add_message(self, fields: _Fields) -> None:
        """Add `message`: the event in words, where the catalogue has some."""
        key = f"event.{fields['event']}"
        message = self.words(key, self.lang, **fields) if self.words else key
        if message != key:
            fields["message"] = message


def _masked(line: str) -> str:
    for secret in _hidden:
        if secret in line:
            line = line.replace(secret, _MASK)
    return _URL_USER.sub(_MASK, line) if "@" in line else line


_manner: Final = _Manner()
