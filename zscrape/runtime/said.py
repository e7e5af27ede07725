"""What one attempt has said so far, and how it ends from inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from zscrape.runtime import channel as frames
from zscrape.runtime.encode import NotJson, to_json

if TYPE_CHECKING:
    from zscrape.runtime.asking import Asking
    from zscrape.runtime.emitting import Emitter
    from zscrape.runtime.recording import Recording


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
        "asking",
        "begun_at",
        "bodies",
        "channel",
        "emitter",
        "ended",
        "is_cancelled",
        "is_over",
        "is_polling",
        "known_count",
        "limit_bytes",
        "recording",
        "size_bytes",
    )

    def __init__(self, channel: frames.Channel, limit_bytes: int) -> None:
        self.channel = channel
        self.limit_bytes = limit_bytes
        self.begun_at = 0.0  # monotonic seconds, once the request has come
        self.asking: Asking | None = None  # made with the first question
        self.size_bytes = 0
        self.bodies: list[bytes] = []  # the items; they are the data if nothing is returned
        self.emitter: Emitter | None = None  # made with the first key
        self.known_count = 0  # items left out because an earlier run had their keys
        self.ended: Ended | None = None  # the first one counts, even if the script swallows it
        self.is_cancelled = False
        self.is_over = False  # of a process that runs further attempts
        self.recording: Recording | None = None  # iff there may be something to tell
        self.is_polling = False  # the script looks at `ctx.cancelled`: it ends by itself

    def end(self, ended: Ended) -> NoReturn:
        """Raise `ended`, and remember it."""
        if self.ended is None:
            self.ended = ended
        raise ended

    def item(self, value: Any, digest: str = "") -> None:
        """Send one item; with the digest of a key, only if that is new."""
        try:
            body = to_json(value)
        except NotJson as error:
            self.end(Ended("result_invalid", reason=f"item {len(self.bodies)}, {error}"))
        if self.emitter is None:
            self.send_item(body)
        else:
            self.emitter.add(digest, body)

    def send_item(self, body: bytes) -> None:
        """Send one item that is JSON already."""
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
