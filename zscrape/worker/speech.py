"""The frames of a child's channel, taken apart and checked."""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from zscrape.core.nesting import READABLE_DEPTH, depth_of
from zscrape.machine import keep_freed_memory
from zscrape.model import MIB, Limits, OutcomeCode
from zscrape.runtime import channel as frames
from zscrape.worker.capture import CUT_MARK, Budget, Line
from zscrape.worker.masking import Mask
from zscrape.worker.numbers import holds_unreadable_number

_HEAD_LIMIT_BYTES = MIB
_TEXT_LIMIT_CHARACTERS = 1000
_ARTIFACT_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LOG_LEVELS = frozenset(("debug", "info", "warning", "error"))
# Whatever a child counts goes on into messages whose integers have 64 bits.
_COUNT_LIMIT = 2**62
# A document of up to this size is decoded whole, and so is a larger one of few values: to look
# for bad numbers takes longer than that. Others are only walked through: texts, since there is no
# number in them; many values, since the objects made of them would take many times their room; and
# what is very large, since numbers of thousands of digits, which are few, are read slowly.
_WHOLE_LIMIT_BYTES = 65536
_FEW_LIMIT_COUNT = 32768
_FEW_LIMIT_BYTES = MIB
_COPIED_LIMIT_BYTES = 16_384  # up to this size a copy of an answer is cheaper than a view

_ANSWER_HEAD = struct.Struct(">IcI")  # its size behind that, its kind, the size of its head
_ANSWER_HEAD_BYTES, _unpack_answer_head = _ANSWER_HEAD.size, _ANSWER_HEAD.unpack_from

# What msgspec raises beside its own: see `decode` in zscrape.wire.
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, ValueError)


class Violation(Exception):
    """Raised when a child says what it may not; the attempt ends with `code`."""

    def __init__(self, code: OutcomeCode, **fields: str | int | float) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields


_Count = Annotated[int, Meta(ge=0, le=_COUNT_LIMIT)]
# The child cuts its texts far below these (see `runtime.trace`); one beyond them is forged.
_Name = Annotated[str, Meta(max_length=1000)]
_Message = Annotated[str, Meta(max_length=20_000)]
_Traceback = Annotated[str, Meta(max_length=200_000)]
_Field = _Message | Annotated[int, Meta(ge=-_COUNT_LIMIT, le=_COUNT_LIMIT)] | float


class Answer(Struct):
    """The head of a child's answer, and the data behind it."""

    code: _Name
    cpu_us: _Count = 0
    memory_bytes: _Count = 0
    known_count: _Count = 0  # items left out because an earlier run had their keys
    is_kept: bool = False  # its process may run another attempt
    fields: Annotated[dict[_Name, _Field], Meta(max_length=16)] = {}
    error_type: _Name = ""
    error_message: _Message = ""
    traceback: _Traceback = ""
    data: bytes = b""


class _Progress(Struct):
    fraction: Annotated[float, Meta(ge=0.0, le=1.0)]
    text: str


class _Artifact(Struct, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, Meta(ge=0, le=frames.ARTIFACT_LIMIT_BYTES)]
    content_type: Annotated[str, Meta(pattern=r"^[ -~]{1,255}\Z")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    data: str


class _LogRecord(Struct):
    level: str
    message: str


_decode_head = msgspec.json.Decoder(Answer).decode
_decode_progress = msgspec.json.Decoder(_Progress).decode
_decode_artifact = msgspec.json.Decoder(_Artifact).decode
_decode_log = msgspec.json.Decoder(_LogRecord).decode
_decode_any = msgspec.json.Decoder().decode
_walk = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.Encoder().encode
_TOO_DEEP = Line("warning", "log", "[a record is nested too deeply to be kept]", is_cut=True)


def sole_answer(data: bytes) -> Answer | None:
    """Return a short answer that came whole, as most do, its data checked; nothing is masked.

    None: it is for `Speech` to say what this is.

    Raises:
        Violation: As of `Speech.answer`.
    """
    if not _ANSWER_HEAD_BYTES <= len(data) <= _COPIED_LIMIT_BYTES:
        return None
    size_bytes, kind, head_size_bytes = _unpack_answer_head(data)
    if size_bytes != len(data) - 4 or kind != frames.ANSWER:
        return None
    end = _ANSWER_HEAD_BYTES + head_size_bytes
    try:
        answer = _decode_head(data[_ANSWER_HEAD_BYTES:end])
        document = answer.data = data[end:]
        if answer.code == OutcomeCode.OK:
            _check_data(document)
    except DECODE_ERRORS:
        raise _torn() from None
    return answer


class Speech(Struct, eq=False):
    """What one child says, split into frames, each checked and counted."""

    _limits: Limits
    _budget: Budget
    _mask: Mask | None = None
    held: list[bytes] = []  # parts of a frame that is not whole yet
    _needed_bytes: int = 0
    _rest: list[bytes] = []  # of an answer, behind its first part
    masked_count: int = 0  # items, artifacts and results in which a secret stood
    item_count: int = 0
    size_bytes: int = 0  # items and artifacts

    def split(self, data: bytes) -> Iterator[tuple[bytes, bytes | memoryview]]:
        """Yield the kind and the payload of every frame that `data` completes.

        A long answer comes as a view, of which only its data is copied; nothing comes after it.
        Of a large one it is the first part: `answer` has the rest.

        Raises:
            Violation: This cannot be a frame of ours, or it is larger than any may be.
        """
        if self.held:
            self.held.append(data)
            self._needed_bytes -= len(data)
            if self._needed_bytes > 0:
                return
            held, self.held = self.held, []
            if held[0][4:5] == frames.ANSWER:
                held[-1] = data[: len(data) + self._needed_bytes]
                self._rest = held[1:]
                yield frames.ANSWER, memoryview(held[0])[5:]
                return
            data = b"".join(held)
        at, size = 0, len(data)
        limit_bytes = self._limits.result_size_bytes + 2 * _HEAD_LIMIT_BYTES
        while size - at >= 5:
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if not at + 4 < end <= at + limit_bytes:
                raise _torn()
            if end > size:
                self._needed_bytes = end - size
                break
            kind = data[at + 4 : at + 5]
            is_viewed = kind == frames.ANSWER and end - at > _COPIED_LIMIT_BYTES
            yield kind, (memoryview(data) if is_viewed else data)[at + 5 : end]
            at = end
        if at < size:
            self.held = [data[at:]]
            if size - at < 5:
                self._needed_bytes = 5 - (size - at)

    def record(self, kind: bytes, payload: bytes) -> tuple[str, bytes] | None:
        """Return a frame as a record's kind and body; None if its limit is spent.

        Raises:
            Violation: It is not what it should be, or the items are too large in sum.
        """
        try:
            if kind == frames.ITEM:
                self._grow(len(payload) + 1)
                _check_data(payload)
                self._count_item()
                return "item", self._masked(payload)
            if kind == frames.LOG:
                body = self._budget.take(self._checked_log(payload))
                return None if body is None else ("log", body)
            if kind == frames.PROGRESS:
                return "progress", _checked_progress(payload, self._mask)
            if kind == frames.ARTIFACT:
                self._grow(len(payload))
                return "artifact", self._masked_file(_checked_artifact(payload))
        except DECODE_ERRORS:
            raise _torn() from None
        raise _torn()

    def answer(self, payload: bytes | memoryview) -> Answer:
        """Return the last frame, its data checked.

        Raises:
            Violation: It is not an answer.
        """
        rest, self._rest = self._rest, []
        if rest:
            keep_freed_memory()
        end = 4 + int.from_bytes(payload[:4], "big")
        if rest and end > len(payload):
            payload, rest = b"".join((payload, *rest)), []
            end = 4 + int.from_bytes(payload[:4], "big")
        if end > 4 + _HEAD_LIMIT_BYTES:
            raise _torn()
        try:
            answer = _decode_head(payload[4:end])
            answer.data = b"".join((payload[end:], *rest))
            if answer.code == OutcomeCode.OK:
                _check_data(answer.data)
                answer.data = self._masked(answer.data)
        except DECODE_ERRORS:
            raise _torn() from None
        if self._mask is not None:
            _mask_head(answer, self._mask)
        return answer

    def _masked(self, document: bytes) -> bytes:
        """Return an item or a result without secrets.

        Raises:
            Violation: It is nested too deeply to be looked through.
        """
        if self._mask is None:
            return document
        try:
            told = self._mask.document(document)
        except RecursionError:
            raise Violation(OutcomeCode.RESULT_INVALID, reason="it is nested too deeply") from None
        self.masked_count += told is not document
        return told

    def _masked_file(self, record: bytes) -> bytes:
        if self._mask is None:
            return record
        told = self._mask.file(record)
        self.masked_count += told is not record
        return told

    def _count_item(self) -> None:
        limit_count = self._limits.item_count
        if self.item_count >= limit_count:
            raise Violation(OutcomeCode.OUTPUT_LIMIT, what="items", limit_count=limit_count)
        self.item_count += 1

    def _grow(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        limit_bytes = self._limits.result_size_bytes
        if self.size_bytes > limit_bytes:
            raise Violation(OutcomeCode.OUTPUT_LIMIT, limit_bytes=limit_bytes)

    def _checked_log(self, payload: bytes) -> bytes:
        """Return a record as we write it: each key once, and of the stream that it came by."""
        limit_bytes, mask = self._limits.line_length_bytes, self._mask
        try:
            _check_depth(payload)
            record = _decode_log(payload)
        except RecursionError:  # in a field that is skipped; a script may do that in earnest
            return _encode(_TOO_DEEP)
        if record.level not in _LOG_LEVELS:
            raise _torn()
        if len(payload) <= limit_bytes:
            try:
                fields = _decode_any(payload)
                said = fields if mask is None else mask.value(fields)
                return _encode({**said, "level": record.level, "stream": "log"})
            except msgspec.ValidationError:  # a field with a number that nobody could read
                pass
            except RecursionError:
                return _encode(_TOO_DEEP)
        message = record.message if mask is None else mask.text(record.message)
        cut = message.encode()[:limit_bytes].decode("utf-8", "ignore") + CUT_MARK
        return _encode({"level": record.level, "stream": "log", "message": cut, "is_cut": True})


def check_json(document: bytes) -> None:
    """Raise one of `DECODE_ERRORS` unless `document` is JSON in UTF-8 that any Python reads."""
    if len(document) > READABLE_DEPTH:  # nothing nests deeper than it is long
        _check_depth(document)
    if len(document) <= _WHOLE_LIMIT_BYTES or _has_few_values(document):
        _decode_any(document)
        return
    if not document.isascii():
        document.decode()
    _walk(document)
    if not _is_text(document) and holds_unreadable_number(document):
        raise msgspec.ValidationError("a number is out of range")


def _is_text(document: bytes) -> bool:
    return document.startswith(b'"')


def _has_few_values(document: bytes) -> bool:
    if _is_text(document) or len(document) > _FEW_LIMIT_BYTES:
        return False
    return document.count(b",") < _FEW_LIMIT_COUNT


def _check_depth(document: bytes) -> None:
    if depth_of(document, READABLE_DEPTH) > READABLE_DEPTH:
        raise RecursionError


def _checked_progress(payload: bytes, mask: Mask | None) -> bytes:
    progress = _decode_progress(payload)
    if mask is not None:
        progress.text = mask.text(progress.text)
    if len(progress.text) > _TEXT_LIMIT_CHARACTERS:
        progress.text = progress.text[:_TEXT_LIMIT_CHARACTERS] + CUT_MARK
    return _encode(progress)


def _mask_head(answer: Answer, mask: Mask) -> None:
    """Blank secrets out of how an attempt says that it failed."""
    answer.fields = mask.value(answer.fields)
    answer.error_type = mask.text(answer.error_type)
    answer.error_message = mask.text(answer.error_message)
    answer.traceback = mask.text(answer.traceback)


def _checked_artifact(payload: bytes) -> bytes:
    """Return the record of a file that has the size it claims; its digest is the script's word."""
    artifact = _decode_artifact(payload)
    if not _ARTIFACT_NAME.fullmatch(artifact.name) or artifact.name in (".", ".."):
        raise _torn()
    if len(binascii.a2b_base64(artifact.data, strict_mode=True)) != artifact.size:
        raise _torn()
    return payload


def _check_data(document: bytes) -> None:
    """Check an item or a result.

    Raises:
        Violation: It is JSON, but nobody could read it; a script may do that in earnest.
    """
    try:
        if len(document) <= READABLE_DEPTH:  # as below, and most are so short
            _decode_any(document)
        else:
            check_json(document)
    except RecursionError:
        raise Violation(OutcomeCode.RESULT_INVALID, reason="it is nested too deeply") from None
    except msgspec.ValidationError:
        reason = "it holds a number that is too large"
        raise Violation(OutcomeCode.RESULT_INVALID, reason=reason) from None


def _torn() -> Violation:
    return Violation(OutcomeCode.CRASHED, reason="its channel carried what is not an answer")
