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
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec

# What structlog's own console does with `rich` nothing here uses: 4 MB of every process.
if _is_alone := "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog

if _is_alone:
    del sys.modules["rich"]

Words: TypeAlias = Callable[..., str]  # text(key, lang, **fields); the key itself when unknown
_Fields: TypeAlias = MutableMapping[str, Any]

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
    shared = _shared(lang, words)
    mask: Any = _mask_values
    render: Any = _as_json if json else _AsText(has_colours=sys.stderr.isatty())
    _set_up([*shared, render, mask], logging.DEBUG if verbose else logging.INFO)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            render,
            mask,
        ],
        foreign_pre_chain=[*shared[:-1], _foreign],
    )
    handler = _StandardErrorHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, handlers=[handler], force=True
    )


def _shared(lang: str, words: Words | None) -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _stamp,
        structlog.processors.format_exc_info,
        _mask_names,
        _Speaker(lang, words),
    ]


def _set_up(processors: list[Any], level: int) -> None:
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,  # a second `configure` must reach loggers in use
    )


def get_logger(**bound: Any) -> Any:
    """Return a logger with `bound` fields on every line of it.

    A process that has not said how it logs writes text: also that to standard error, since a
    verb that serves nothing answers on standard output all the same.
    """
    if not structlog.is_configured():
        _set_up([*_shared("en", None), _AsText(has_colours=False), _mask_values], logging.INFO)
    return structlog.get_logger(**bound)


def hide(secret: str) -> None:
    """Never let `secret` appear in a line of this process."""
    if len(secret) >= 4:  # shorter ones would blank out ordinary words
        _hidden.add(secret)


def _write(line: str) -> None:
    # A pipe that nobody reads any more, or a full disk, must not end what is logged about.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")


class _StandardError:
    """Write one line at a time to whatever standard error is now."""

    def __init__(self, *args: Any) -> None:
        pass

    def msg(self, line: str) -> None:
        _write(line)

    debug = info = warning = error = critical = exception = msg


class _StandardErrorHandler(logging.Handler):
    """The same for lines of libraries, which use the standard library's logging."""

    def emit(self, record: logging.LogRecord) -> None:
        _write(self.format(record))


class _Speaker:
    """Add `message`: the event in words, where the catalogue has some."""

    def __init__(self, lang: str, words: Words | None) -> None:
        self._lang = lang
        self._words = words

    def __call__(self, logger: Any, name: str, fields: _Fields) -> _Fields:
        key = f"event.{fields['event']}"
        message = self._words(key, self._lang, **fields) if self._words else key
        if message != key:
            fields["message"] = message
        return fields


class _AsText:
    """`12:30:01 info  Worker w-1 joined.  worker_id=w-1`."""

    def __init__(self, *, has_colours: bool) -> None:
        self._has_colours = has_colours

    def __call__(self, logger: Any, name: str, fields: _Fields) -> str:
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


def _stamp(logger: Any, name: str, fields: _Fields) -> _Fields:
    fields["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return fields


def _foreign(logger: Any, name: str, fields: _Fields) -> _Fields:
    """A library's line: its text is the message, the event says that it is one."""
    fields["message"] = fields["event"]
    fields["event"] = "library"
    record = fields.get("_record")
    fields["library"] = record.name if record else ""
    return fields


def _mask_names(logger: Any, name: str, fields: _Fields) -> _Fields:
    for key in fields:
        if _SECRET_NAME.search(key):
            fields[key] = _MASK
    return fields


def _mask_values(logger: Any, name: str, line: str) -> str:
    for secret in _hidden:
        if secret in line:
            line = line.replace(secret, _MASK)
    return _URL_USER.sub(_MASK, line) if "@" in line else line


def _as_json(logger: Any, name: str, fields: _Fields) -> str:
    first = {"at": fields.pop("at"), "level": fields.pop("level"), "event": fields.pop("event")}
    return msgspec.json.encode(first | dict(fields), enc_hook=str).decode()
