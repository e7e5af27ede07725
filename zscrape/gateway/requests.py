"""Bodies of calls: read within limits, decoded by typed decoders built once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from zscrape.core.nesting import depth_of
from zscrape.gateway.faults import FieldFault, field_fault, read_fault
from zscrape.model import OutcomeCode, Overlap

_Body = TypeVar("_Body")

# What msgspec lets out beside its own error (measured on 0.22); ValueError is a number of
# more digits than Python turns into an int, UnicodeError is one too.
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)

TIMEOUT_LIMIT_S: Final = 86_400  # one day
BATCH_LIMIT_COUNT: Final = 1_000  # tasks in one call
_AGE_LIMIT_S: Final = 30 * 86_400  # nothing is kept longer (contract section 9)

# Printable and not a control character: what may stand in a name, a tag or a key.
_Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
_Address = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"\A[\x21-\x7e]+\Z")]
# Final states, and codes of ends that say more.
WebhookEvent = (
    Literal["completed", "failed", "timed_out", "cancelled", "waiting"]
    | Literal["blocked", "captcha_required", "robots_disallowed", "login_expired", "empty_result"]
    | Literal["rate_limited", "network_denied", "script_error", "timeout", "expired", "crashed"]
    | Literal["worker_lost", "no_matching_worker", "environment_error", "integrity_error"]
    | Literal["memory_limit", "cpu_limit", "process_limit", "output_limit", "result_invalid"]
    | Literal["internal"]
)
_Seconds = Annotated[float, Meta(gt=0, le=TIMEOUT_LIMIT_S)]
_Delay = Annotated[float, Meta(ge=0, le=TIMEOUT_LIMIT_S)]


_Tags = Annotated[tuple[_Name, ...], Meta(max_length=32)]


class RetryRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Which failures are to be tried again, and when; as `retry` of a manifest."""

    max: Annotated[int, Meta(ge=0, le=100)] | None = None  # None: the manifest's, or 3
    backoff: Annotated[tuple[_Delay, ...], Meta(min_length=1, max_length=100)] = (15, 30, 60)
    cap: _Delay = 300.0
    on: frozenset[OutcomeCode] | None = None  # None: what the manifest says, or any that may pass
    route: dict[OutcomeCode, _Tags] | None = (
        None  # tags that tries need after a code; None: as `on`
    )


class WebhookRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be told when the task ends, and of which ends."""

    url: _Address
    events: tuple[WebhookEvent, ...] = ()  # empty: as the gateway is set


class TaskRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of `POST /scrape` and of one task of `POST /v1/tasks`."""

    script_name: _Name
    parameters: Raw = Raw(b"{}")  # a JSON object, handed on byte by byte
    version: _Name | None = None
    timeout: _Seconds | None = None  # waiting, preparing and running together
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    tags: Annotated[tuple[_Name, ...], Meta(max_length=32)] = ()  # workers must have them
    lock_key: _Name | None = None
    overlap: Overlap | None = None
    retry: RetryRequest | None = None
    webhook: WebhookRequest | None = None
    webhook_url: _Address | None = None  # short for `webhook` with its `url` alone
    max_age: Annotated[float, Meta(ge=0, le=_AGE_LIMIT_S)] | None = None
    metadata: dict[str, Any] | None = None  # kept and given back; its `group` is for keys of groups


class BatchTask(TaskRequest, frozen=True, forbid_unknown_fields=True):
    """One task of many: its `Idempotency-Key` stands beside it, a header would be for all."""

    idempotency_key: Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,255}\Z")] | None = None


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tasks/batch` when it is not a bare array."""

    tasks: list[BatchTask]


class WaitRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tasks/wait`."""

    ids: Annotated[tuple[_Name, ...], Meta(min_length=1, max_length=1_000)]
    wait: Annotated[float, Meta(ge=0, le=3_600)] = 30.0  # seconds
    count: Annotated[int, Meta(ge=1, le=1_000)] = 1  # so many ends are worth an answer
    data: bool = False  # the tasks in full, not as in a list


class PrefetchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/scripts/prefetch`."""

    script_name: _Name
    version: _Name | None = None


class ChannelRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT .../channels/{channel}`: a version request, or the version before."""

    version: _Name | None = None
    rollback: bool = False


_decode_task = msgspec.json.Decoder(TaskRequest).decode
_TASK_LIST = msgspec.json.Decoder(list[BatchTask])
_BATCH = msgspec.json.Decoder(BatchRequest)
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode

_PREFETCH = msgspec.json.Decoder(PrefetchRequest)
_CHANNEL = msgspec.json.Decoder(ChannelRequest)
_WAIT = msgspec.json.Decoder(WaitRequest)

TASK_FIELDS: Final = TaskRequest.__struct_fields__
_KNOWN: Final = (
    *TASK_FIELDS,
    *RetryRequest.__struct_fields__,
    *WebhookRequest.__struct_fields__,
)
_KNOWN_OF_MANY: Final = (*_KNOWN, "idempotency_key")


def check_depth(document: bytes, limit: int) -> None:
    """Refuse a document that nests more than `limit` levels.

    Raises:
        FieldFault: It does.
    """
    if depth_of(document, limit) > limit:
        raise _too_deep(limit)


def _too_deep(limit: int) -> FieldFault:
    return field_fault("", "too_deep", limit=limit)


def decode_task(body: bytes, *, depth_limit: int) -> TaskRequest:
    """Read one task; the levels of its parameters count from their own object.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    limit = depth_limit + 1
    if depth_of(body, limit) > limit:
        raise _too_deep(limit)
    try:
        return _decode_task(body)
    except _UNREADABLE as error:
        raise read_fault(error, _KNOWN) from error


def decode_tasks(body: bytes, *, depth_limit: int) -> list[BatchTask]:
    """Read many tasks: an array of them, or an object with `tasks`.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    check_depth(body, depth_limit + 3)
    if is_array(body):
        tasks = decode_body(_TASK_LIST.decode, body, known=_KNOWN_OF_MANY)
    else:
        tasks = decode_body(_BATCH.decode, body, known=("tasks", *_KNOWN_OF_MANY)).tasks
    if not 1 <= len(tasks) <= BATCH_LIMIT_COUNT:
        raise field_fault("", "batch_count", limit=BATCH_LIMIT_COUNT, count=len(tasks))
    return tasks


def decode_prefetch(body: bytes) -> PrefetchRequest:
    """Read which script is to be made ready.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    return decode_body(_PREFETCH.decode, body, known=PrefetchRequest.__struct_fields__)


def decode_wait(body: bytes) -> WaitRequest:
    """Read whose end is waited for.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    return decode_body(_WAIT.decode, body, known=WaitRequest.__struct_fields__)


def decode_channel(body: bytes) -> ChannelRequest:
    """Read what a channel is to stand for.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request, or asks for both or neither.
    """
    asked = decode_body(_CHANNEL.decode, body, known=ChannelRequest.__struct_fields__)
    if asked.rollback == (asked.version is not None):
        raise field_fault("/version", "version_or_rollback")
    return asked


def decode_parameters(document: bytes, *, at: str) -> dict[str, Any]:
    """Read parameters, which are a JSON object; `at` is where they stand in the body.

    Raises:
        MalformedJson, InvalidRequest: They are not.
    """
    try:
        return _decode_object(document)
    except _UNREADABLE as error:
        raise read_fault(error, _KNOWN, at=at) from error


def is_array(body: bytes) -> bool:
    """True iff the document is a JSON array, by its first character."""
    return body.lstrip(b" \t\r\n").startswith(b"[")


def decode_body(
    decode: Callable[[bytes], _Body],
    body: bytes,
    known: tuple[str, ...] = _KNOWN,
    at: str = "",
) -> _Body:
    """Read a body by a decoder built once; `known` are the names that it may have.

    Raises:
        MalformedJson, InvalidRequest: It cannot be read.
    """
    try:
        return decode(body)
    except _UNREADABLE as error:
        raise read_fault(error, known, at=at) from error
