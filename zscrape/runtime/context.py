"""`ctx`: what a script is given of its attempt, and what it can say while it runs.

    from zscrape import Context

    def run(url: str, *, ctx: Context):
        page = ctx.http.get(url)
        ctx.progress(0.5, "half way")
        yield {"title": page.css_first("h1").text}

Standard library only, so that any environment can run it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from zscrape.runtime import channel as frames
from zscrape.runtime.encode import NotJson, to_json
from zscrape.runtime.trace import clean

if TYPE_CHECKING:
    from zscrape.runtime.ctx_http import Http

# The codes of the contract that are a script's to give.
FAIL_CODES = (
    "script_error",
    "blocked",
    "captcha_required",
    "robots_disallowed",
    "login_expired",
    "empty_result",
    "network_denied",
    "rate_limited",
)
ARTIFACT_LIMIT_BYTES = 8 * 1024 * 1024
_ARTIFACT_NAME_LIMIT_CHARACTERS = 128
_ARTIFACT_NAME_CHARACTERS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
)
_RESERVED_FIELDS = ("level", "stream", "message")


class Ended(BaseException):
    """The attempt is over from inside. Not an `Exception`: a script's retry loop lets it pass."""

    def __init__(self, code: str, message: str = "", **fields: Any) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message
        self.fields = fields


class Said:
    """What one attempt has said so far; the attempt and its `ctx` share it."""

    __slots__ = (
        "bodies",
        "channel",
        "ended",
        "is_cancelled",
        "is_polling",
        "keys",
        "limit_bytes",
        "size_bytes",
    )

    def __init__(self, channel: frames.Channel, limit_bytes: int) -> None:
        self.channel = channel
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.bodies: list[bytes] = []  # the items; they are the data if nothing is returned
        self.keys: set[Any] = set()
        self.ended: Ended | None = None  # the first one counts, even if the script swallows it
        self.is_cancelled = False
        self.is_polling = False  # the script looks at `ctx.cancelled`: it ends by itself

    def end(self, ended: Ended) -> NoReturn:
        """Raise `ended`, and remember it."""
        if self.ended is None:
            self.ended = ended
        raise ended

    def item(self, value: Any) -> None:
        """Send one item."""
        try:
            body = to_json(value)
        except NotJson as error:
            self.end(Ended("result_invalid", reason=f"item {len(self.bodies)}, {error}"))
        self._grow(len(body) + 1)
        self.bodies.append(body)
        self.channel.send(frames.ITEM, body)

    def artifact(self, body: bytes) -> None:
        """Send one artifact's record."""
        self._grow(len(body))
        self.channel.send(frames.ARTIFACT, body)

    def _grow(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        if self.size_bytes > self.limit_bytes:
            self.end(Ended("output_limit", limit_bytes=self.limit_bytes))


class Log:
    """`ctx.log`: records of the task, shown live and kept. Further arguments become fields."""

    __slots__ = ("_channel",)

    def __init__(self, channel: frames.Channel) -> None:
        self._channel = channel

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
        record: dict[str, Any] = {"level": level, "stream": "log", "message": clean(str(message))}
        for name, value in fields.items():
            if name not in _RESERVED_FIELDS:
                record[name] = _loggable(value)
        self._channel.send(frames.LOG, to_json(record))


class Context:
    """The facts of this attempt and the ways to speak; made only for a script that names `ctx`."""

    def __init__(
        self,
        said: Said,
        *,
        params: dict[str, Any],
        task_id: str,
        attempt: int,
        script_name: str,
        ends_at: float,
    ) -> None:
        self.params = params
        self.task_id = task_id
        self.attempt = attempt
        self.log = Log(said.channel)
        self._said = said
        self._script_name = script_name
        self._ends_at = ends_at  # monotonic seconds
        self._http: Http | None = None
        self._last_progress: tuple[float, str] | None = None

    @property
    def deadline(self) -> float:
        """Seconds left before this attempt is ended, never below zero."""
        return max(self._ends_at - time.monotonic(), 0.0)

    @property
    def cancelled(self) -> bool:
        """True once the attempt is asked to end.

        A script that has looked at this is trusted to end by itself within the grace; any
        other is interrupted where it stands, so that its `finally` blocks run.
        """
        self._said.is_polling = True
        return self._said.is_cancelled

    @property
    def http(self) -> Http:
        """The HTTP client, made on first use. Needs `"http"` in the script's kit."""
        if self._http is None:
            from zscrape.runtime.ctx_http import Http

            self._http = Http(script_name=self._script_name, ends_at=self._ends_at)
        return self._http

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the script is, 0.0 to 1.0, and in a few words where."""
        told = (min(max(float(fraction), 0.0), 1.0), clean(str(text)))
        if told != self._last_progress:
            self._last_progress = told
            self._said.channel.send(
                frames.PROGRESS, to_json({"fraction": round(told[0], 4), "text": told[1]})
            )

    def emit(self, item: Any, key: Any = None) -> None:
        """Send an item, as `yield` does; an item whose `key` has been seen is dropped."""
        if key is not None:
            if key in self._said.keys:
                return
            self._said.keys.add(key)
        self._said.item(item)

    def fail(self, code: str, message: str = "") -> NoReturn:
        """End the attempt with one of the codes that a script may give.

        Raises:
            ValueError: `code` is not one of `FAIL_CODES`.
        """
        if code not in FAIL_CODES:
            raise ValueError(f"{code!r} is not one of: {', '.join(FAIL_CODES)}")
        self._said.end(Ended(code, clean(str(message))))

    def save(self, name: str, data: bytes | str, content_type: str | None = None) -> None:
        """Keep a file with the task: a page, a picture, a document.

        Args:
            name: 1 to 128 of `A-Z a-z 0-9 . _ -`; the same name again replaces the file.
            data: At most 8 MiB; text is kept as UTF-8.
            content_type: A media type; by default plain text for text, else octets.

        Raises:
            ValueError: The name or the size is not allowed.
        """
        import base64
        import hashlib

        if not 0 < len(name) <= _ARTIFACT_NAME_LIMIT_CHARACTERS or not _is_file_name(name):
            raise ValueError(f"{name!r} is not a name for an artifact: use A-Z a-z 0-9 . _ -")
        raw = data.encode() if isinstance(data, str) else bytes(data)
        if len(raw) > ARTIFACT_LIMIT_BYTES:
            raise ValueError(f"{name} has {len(raw)} bytes; the limit is {ARTIFACT_LIMIT_BYTES}")
        fallback = (
            "text/plain; charset=utf-8" if isinstance(data, str) else "application/octet-stream"
        )
        self._said.artifact(
            to_json(
                {
                    "name": name,
                    "size": len(raw),
                    "content_type": content_type or fallback,
                    "sha256": hashlib.sha256(raw).hexdigest(),
                    "data": base64.b64encode(raw).decode(),
                }
            )
        )


def _is_file_name(name: str) -> bool:
    return _ARTIFACT_NAME_CHARACTERS.issuperset(name) and name not in (".", "..")


def _loggable(value: Any) -> Any:
    try:
        to_json(value)
    except NotJson:
        return clean(repr(value))
    return value
