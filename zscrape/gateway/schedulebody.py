"""What is asked of a schedule: the body of `POST /v1/schedules`, read and found good.

A schedule is kept as it was asked for, in its plain form: the words of other schedulers are
translated as they come in, so that all that is kept and told is in our own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct

from zscrape.core.cron import CronFault, parse_cron
from zscrape.core.hours import Window, parse_window, window_text
from zscrape.core.misfire import Misfire
from zscrape.core.timetable import Timetable, zone_of
from zscrape.gateway.faults import FieldFault, field_fault
from zscrape.gateway.requests import (
    RetryRequest,
    TaskRequest,
    WebhookRequest,
    check_depth,
    decode_body,
)
from zscrape.model import Overlap
from zscrape.onuse import on_use
from zscrape.spelling import nearest

if TYPE_CHECKING:
    import zoneinfo
else:
    zoneinfo = on_use("zoneinfo")

_DAY_S: Final = 86_400
_INTERVAL_LIMIT_S: Final = 366 * _DAY_S
_SHOWN_COUNT: Final = 10
_SPAN: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")
_UNITS_S: Final = (_DAY_S, 3_600, 60, 1)

# How others say it: Kubernetes CronJob, Temporal, Prefect, Hatchet, Kestra, Dkron, Airflow,
# APScheduler. Compared in lower case, without `_`, `-` and spaces.
_OVERLAPS: Final[Mapping[str, Overlap]] = {
    **{each.value.replace("_", ""): each for each in Overlap},
    **dict.fromkeys(("forbid", "cancelnewest", "cancelnew", "fail", "exclusive"), Overlap.SKIP),
    **dict.fromkeys(("bufferone", "queueone"), Overlap.QUEUE_ONE),
    **dict.fromkeys(("bufferall", "enqueue", "queue"), Overlap.QUEUE_ALL),
    **dict.fromkeys(
        ("cancelother", "terminateother", "cancelinprogress", "cancel"), Overlap.REPLACE
    ),
    "allowall": Overlap.ALLOW,
}
_MISFIRES: Final[Mapping[str, Misfire]] = {
    **{each.value.replace("_", ""): each for each in Misfire},
    **dict.fromkeys(("last", "latest", "coalesce"), Misfire.RUN_LAST),
    **dict.fromkeys(("none", "ignore"), Misfire.SKIP),
    **dict.fromkeys(("runall", "catchup"), Misfire.ALL),
}

_Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
_Word = Annotated[str, Meta(max_length=200)]
_Tag = Annotated[str, Meta(min_length=1, max_length=200)]


class ScheduleRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The body of `POST /v1/schedules`: when, what, and what to do when that does not fit."""

    name: _Name
    script_name: _Name
    # ---- when
    cron: _Word | None = None
    interval: float | _Word | None = None  # seconds, or `90s 5m 1h30m 2d`
    timezone: _Word = "UTC"
    jitter: Annotated[float, Meta(ge=0, le=_DAY_S)] = 0.0
    hours: Annotated[tuple[_Word, ...], Meta(max_length=24)] = ()
    start: _Word | None = None
    end: _Word | None = None
    # ---- what if
    overlap: _Word | None = None  # None: what the script's own lock says, else `skip`
    misfire: _Word = Misfire.RUN_LAST.value
    misfire_window: Annotated[float, Meta(ge=0, le=31 * _DAY_S)] = 3_600.0
    pause_on_failure: Annotated[int, Meta(ge=0, le=1_000)] = 0  # failures in a row; 0: never
    paused: bool = False
    # ---- how others say it; never kept
    coalesce: bool | None = None  # APScheduler
    max_instances: int | None = None  # APScheduler
    concurrency_policy: _Word | None = None  # Kubernetes, Dkron
    # ---- the task
    parameters: Raw = Raw(b"{}")
    version: _Name | None = None
    timeout: Annotated[float, Meta(gt=0, le=_DAY_S)] | None = None
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    tags: Annotated[tuple[_Tag, ...], Meta(max_length=32)] = ()
    lock_key: _Name | None = None
    retry: RetryRequest | None = None
    webhook: WebhookRequest | None = None
    webhook_url: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    metadata: dict[str, Any] | None = None


_FIELDS: Final = (
    *ScheduleRequest.__struct_fields__,
    *RetryRequest.__struct_fields__,
    *WebhookRequest.__struct_fields__,
)
_ALIASES: Final = {
    "coalesce": "misfire",
    "max_instances": "overlap",
    "concurrency_policy": "overlap",
    "cron": "interval",
    "interval": "cron",
    "webhook": "webhook_url",
    "webhook_url": "webhook",
}
_REQUEST: Final = msgspec.json.Decoder(ScheduleRequest)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_ENCODE: Final = msgspec.json.Encoder().encode


def decode_schedule(body: bytes, *, depth_limit: int) -> ScheduleRequest:
    """Read a schedule, in its plain form.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    check_depth(body, depth_limit + 1)
    return plain(decode_body(_REQUEST.decode, body, known=_FIELDS))


def decode_change(body: bytes, before: ScheduleRequest, *, depth_limit: int) -> ScheduleRequest:
    """Read a change to a schedule: fields that replace what is there, null for the default.

    Source: RFC 7396, at the first level alone: `parameters` are replaced as a whole.

    Raises:
        MalformedJson, InvalidRequest: What comes of it is no schedule.
    """
    check_depth(body, depth_limit + 1)
    change = decode_body(_OBJECT.decode, body)
    merged = _OBJECT.decode(_ENCODE(before))
    for name, value in change.items():
        merged.pop(name, None)
        merged.pop(_ALIASES.get(name, ""), None)
        if bytes(value) != b"null":
            merged[name] = value
    return plain(decode_body(_REQUEST.decode, _ENCODE(merged), known=_FIELDS))


def plain(asked: ScheduleRequest) -> ScheduleRequest:
    """Return what was asked in our own words, every part of it found good.

    Raises:
        FieldFault: A part cannot be used.
    """
    overlap = _overlap(asked)
    asked = msgspec.structs.replace(
        asked,
        cron=None if asked.cron is None else _cron(asked.cron),
        interval=None if asked.interval is None else _interval_s(asked.interval),
        hours=tuple(window_text(window) for window in _windows(asked)),
        overlap=None if overlap is None else overlap.value,
        misfire=_misfire(asked).value,
        coalesce=None,
        max_instances=None,
        concurrency_policy=None,
    )
    if (asked.cron is None) == (asked.interval is None):
        raise field_fault("/cron", "cron_or_interval")
    return asked


def _cron(given: str) -> str:
    try:
        return parse_cron(given)
    except CronFault as error:
        if error.fault in ("count", "macro", "length", "never"):
            raise field_fault("/cron", f"cron_{error.fault}") from None
        raise field_fault("/cron", "cron_field", field=error.fault) from None


def _interval_s(given: float | str) -> float:
    if isinstance(given, str):
        found = _SPAN.fullmatch(given.strip().lower())
        if found is None or not any(found.groups()):
            raise field_fault("/interval", "interval_form", given=given[:80])
        given = sum(
            float(part) * unit_s
            for part, unit_s in zip(found.groups(), _UNITS_S, strict=True)
            if part
        )
    if not 1 <= given <= _INTERVAL_LIMIT_S:
        raise field_fault("/interval", "out_of_range", bound=f"1..{_INTERVAL_LIMIT_S}")
    return float(given)


def _windows(asked: ScheduleRequest) -> tuple[Window, ...]:
    found: list[Window] = []
    for place, given in enumerate(asked.hours):
        try:
            found.append(parse_window(given))
        except ValueError:
            raise field_fault(f"/hours/{place}", "hours_window", given=given[:80]) from None
    return tuple(found)


def _overlap(asked: ScheduleRequest) -> Overlap | None:
    given = asked.overlap if asked.overlap is not None else asked.concurrency_policy
    if asked.overlap is not None and asked.concurrency_policy is not None:
        raise field_fault("/concurrency_policy", "given_twice", name="overlap")
    if asked.max_instances is not None:
        if asked.max_instances != 1 or given is not None:
            raise field_fault("/max_instances", "max_instances")
        return Overlap.SKIP
    if given is None:
        return None
    pointer = "/overlap" if asked.overlap is not None else "/concurrency_policy"
    found = _OVERLAPS.get(_bare(given))
    if found is None:
        raise _not_one_of(pointer, given, [each.value for each in Overlap])
    return found


def _misfire(asked: ScheduleRequest) -> Misfire:
    if asked.coalesce is not None:
        if asked.misfire != Misfire.RUN_LAST.value:
            raise field_fault("/coalesce", "given_twice", name="misfire")
        return Misfire.RUN_LAST if asked.coalesce else Misfire.ALL
    found = _MISFIRES.get(_bare(asked.misfire))
    if found is None:
        raise _not_one_of("/misfire", asked.misfire, [each.value for each in Misfire])
    return found


def _bare(given: str) -> str:
    return re.sub(r"[\s_-]", "", given).lower()


def _not_one_of(pointer: str, given: str, known: list[str]) -> FieldFault:
    return field_fault(pointer, "not_one_of.known", given=given[:80], known=", ".join(known))


# ---- when ----------------------------------------------------------------------------


def timetable_of(asked: ScheduleRequest, *, anchor_at: float) -> Timetable:
    """Return when a schedule is due; `anchor_at` is where an interval without a start begins.

    Raises:
        FieldFault: Its zone, its start or its end cannot be used.
    """
    zone = _zone(asked.timezone)
    start_at = _moment(asked.start, "/start", zone)
    end_at = _moment(asked.end, "/end", zone)
    if start_at is not None and end_at is not None and end_at < start_at:
        raise field_fault("/end", "end_before_start")
    return Timetable(
        cron=asked.cron or "",
        interval_s=float(asked.interval or 0.0),
        zone=asked.timezone,
        anchor_at=anchor_at if start_at is None else start_at,
        start_at=start_at,
        end_at=end_at,
        jitter_s=asked.jitter,
        hours=_windows(asked),
    )


def check_due(table: Timetable, now: float) -> None:
    """Refuse a timetable that is never due again, and a jitter that mixes its moments up.

    Raises:
        FieldFault: It is such a one.
    """
    moments = table.upcoming(now, _SHOWN_COUNT)
    if not moments:
        raise field_fault("/cron" if table.cron else "/interval", "never_due")
    gap_s = min((later - earlier for earlier, later in pairwise(moments)), default=None)
    if gap_s is not None and table.jitter_s >= gap_s:
        raise field_fault("/jitter", "jitter_too_long", gap_s=gap_s)


def _zone(name: str) -> Any:
    try:
        return zone_of(name)
    except ValueError:
        near = nearest(name, zoneinfo.available_timezones())
        key = "zone_unknown.nearest" if near else "zone_unknown"
        told = {"nearest": near} if near else {}
        raise field_fault("/timezone", key, given=name[:80], **told) from None


def _moment(given: str | None, pointer: str, zone: Any) -> float | None:
    """Return the Unix time of an ISO 8601 moment; without a zone it is the schedule's."""
    if given is None:
        return None
    try:
        told = datetime.fromisoformat(given.strip())
        return (told if told.tzinfo is not None else told.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        raise field_fault(pointer, "not_moment", given=given[:80]) from None


# ---- what ----------------------------------------------------------------------------


def task_request(asked: ScheduleRequest) -> TaskRequest:
    """Return the request of each task of a schedule."""
    return TaskRequest(
        script_name=asked.script_name,
        parameters=asked.parameters,
        version=asked.version,
        timeout=asked.timeout,
        priority=asked.priority,
        tags=asked.tags,
        lock_key=asked.lock_key,
        overlap=None if asked.overlap is None else Overlap(asked.overlap),
        retry=asked.retry,
        webhook=asked.webhook,
        webhook_url=asked.webhook_url,
        metadata=asked.metadata,
    )
