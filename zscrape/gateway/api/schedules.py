"""`/v1/schedules`: timetables, and what became of each due moment."""

from __future__ import annotations

import base64
import binascii
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.core.timetable import Timetable, zone_of
from zscrape.errors.requests import InvalidRequest, NotFound
from zscrape.errors.storage import ScheduleDamaged
from zscrape.gateway.api.doors import acted_on, needs
from zscrape.gateway.api.exchange import (
    REQUEST_ID,
    body_of,
    check_query,
    choice,
    client_of,
    gateway_of,
    language,
    told,
    whole,
)
from zscrape.gateway.clients import Client
from zscrape.gateway.envelope import links_of, moment
from zscrape.gateway.faults import field_fault
from zscrape.gateway.plans import KeptSchedule, decode_kept
from zscrape.gateway.schedulebody import decode_schedule
from zscrape.gateway.schedules import Schedules
from zscrape.messages import text
from zscrape.store.schedules import Occurrence, OccurrenceStatus, ScheduleRecord
from zscrape.store.tasks import TaskQuery

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_SHOWN_COUNT: Final = 10
_PAGE_LIMIT_COUNT: Final = 1_000
_STATUSES: Final = ("", *(each.value for each in OccurrenceStatus))
_TASK_FIELDS: Final = (
    *("version", "timeout", "priority", "tags", "lock_key", "retry", "webhook", "webhook_url"),
    "metadata",
)


def _schedules(request: Request) -> Schedules:
    return gateway_of(request).schedules


async def _record(request: Request) -> ScheduleRecord:
    """Return the schedule that the path names.

    Raises:
        NotFound: There is none, or not for this client.
    """
    name = request.path_params["schedule"]
    record = await _schedules(request).get(name)
    if not _is_seen(client_of(request), record):
        raise NotFound(kind="schedule", name=name[:80])
    return record


def _is_seen(client: Client, record: ScheduleRecord) -> bool:
    if not client.may_use(record.script_name):
        return False
    if not client.groups:
        return True
    try:
        return client.may_see_group(decode_kept(record).asked.metadata)
    except (ScheduleDamaged, InvalidRequest):
        return False


# ---- making and changing -------------------------------------------------------------


@needs("admin", act="schedules.create")
async def create(request: Request) -> Response:
    """`POST /v1/schedules`: keep a schedule, found good first."""
    check_query(request, ())
    state = gateway_of(request)
    asked = decode_schedule(await body_of(request), depth_limit=state.policy.depth_limit)
    client = client_of(request)
    client.check_script(asked.script_name)
    record = await _schedules(request).create(asked, client=client.id)
    acted_on(request, record.name)
    return told(_view(record, count=_SHOWN_COUNT), 201, {"Location": f"/v1/schedules/{record.id}"})


@needs("read", "run")
async def preview(request: Request) -> Response:
    """`POST /v1/schedules/preview`: the next moments of a schedule that is not kept."""
    check_query(request, ())
    state = gateway_of(request)
    asked = decode_schedule(await body_of(request), depth_limit=state.policy.depth_limit)
    client = client_of(request)
    client.check_script(asked.script_name)
    table = await _schedules(request).preview(asked, client=client.id)
    view = {
        "name": asked.name,
        "cron": asked.cron,
        "interval": asked.interval,
        "timezone": asked.timezone,
        "jitter": asked.jitter,
        "overlap": asked.overlap,
        "misfire": asked.misfire,
        "next": _moments(table, time.time(), _SHOWN_COUNT),
    }
    return told(view)


@needs("admin", act="schedules.change")
async def change(request: Request) -> Response:
    """`PATCH /v1/schedules/{id}`: fields that replace what is there, null for the default."""
    check_query(request, ())
    record = await _schedules(request).change(
        (await _record(request)).id,
        await body_of(request),
        client=client_of(request).id,
        depth_limit=gateway_of(request).policy.depth_limit,
    )
    return told(_view(record, count=_SHOWN_COUNT))


@needs("admin", act="schedules.remove")
async def remove(request: Request) -> Response:
    """`DELETE /v1/schedules/{id}`: tasks that it has made go on."""
    check_query(request, ())
    record = await _schedules(request).remove((await _record(request)).id)
    return told({"id": record.id, "name": record.name, "removed": True})


@needs("admin", act="schedules.pause")
async def pause(request: Request) -> Response:
    """`POST /v1/schedules/{id}/pause`: due moments pass."""
    return await _set_paused(request, is_paused=True)


@needs("admin", act="schedules.resume")
async def resume(request: Request) -> Response:
    """`POST /v1/schedules/{id}/resume`: go on with the next moment."""
    return await _set_paused(request, is_paused=False)


async def _set_paused(request: Request, *, is_paused: bool) -> Response:
    check_query(request, ())
    found = await _record(request)
    record = await _schedules(request).set_paused(found.id, is_paused=is_paused)
    return told(_view(record, count=_SHOWN_COUNT))


@needs("run", act="schedules.trigger")
async def trigger(request: Request) -> Response:
    """`POST /v1/schedules/{id}/trigger`: run now; 409 when its lock is held."""
    check_query(request, ())
    row = await _schedules(request).trigger((await _record(request)).id)
    request.scope[REQUEST_ID] = row.id
    view = {"request_id": row.id, "status": row.status.value, "links": links_of(row.id)}
    return told({**view, "schedule_id": row.schedule_id}, 202, {"Location": f"/v1/tasks/{row.id}"})


# ---- looking -------------------------------------------------------------------------


@needs("read")
async def listing(request: Request) -> Response:
    """`GET /v1/schedules`: by name, page by page."""
    check_query(request, ("script", "limit", "cursor"))
    limit = whole(request, "limit", 100, low=1, high=_PAGE_LIMIT_COUNT) or 100
    found = await _schedules(request).page(
        script_name=request.query_params.get("script", ""),
        after=_name_of(request.query_params.get("cursor")),
        limit=limit + 1,
    )
    cursor = _cursor_of(found[limit - 1].name) if len(found) > limit else None
    client = client_of(request)
    views = [_view(each, count=1) for each in found[:limit] if _is_seen(client, each)]
    return told({"schedules": views, "next_cursor": cursor})


@needs("read")
async def show(request: Request) -> Response:
    """`GET /v1/schedules/{id}`: in full, with its next ten moments."""
    check_query(request, ())
    return told(_view(await _record(request), count=_SHOWN_COUNT))


@needs("read")
async def occurrences(request: Request) -> Response:
    """`GET /v1/schedules/{id}/occurrences`: newest first, with what became of each."""
    check_query(request, ("status", "limit", "cursor"))
    schedules = _schedules(request)
    record = await _record(request)
    limit = whole(request, "limit", 50, low=1, high=_PAGE_LIMIT_COUNT) or 50
    found = await schedules.occurrences(
        record.id,
        status=choice(request, "status", "", _STATUSES),
        before_ms=whole(request, "cursor", None, low=0, high=10**15),
        limit=limit + 1,
    )
    cursor = str(round(found[limit - 1].due_at * 1000)) if len(found) > limit else None
    lang = language(request)
    statuses = await _task_statuses(request, found[:limit])
    views = [_occurrence_view(each, statuses, lang) for each in found[:limit]]
    return told({"schedule_id": record.id, "occurrences": views, "next_cursor": cursor})


# ---- views ---------------------------------------------------------------------------


def _view(record: ScheduleRecord, *, count: int) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "script_name": record.script_name,
        "paused": record.is_paused,
        "pause_reason": record.pause_reason or None,
        "failure_count": record.failure_count,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "damaged": False,
    }
    try:
        kept = decode_kept(record)
        moments = [] if record.is_paused else _moments(kept.table, time.time(), count)
    except (ScheduleDamaged, InvalidRequest):
        return view | {"damaged": True}
    view["next_at"] = moments[0] if moments else None
    if count > 1:
        view["next"] = moments
    return {**view, **_asked_view(kept)}


def _asked_view(kept: KeptSchedule) -> dict[str, Any]:
    asked = kept.asked
    view: dict[str, Any] = {
        "cron": asked.cron,
        "interval": asked.interval,
        "timezone": asked.timezone,
        "jitter": asked.jitter,
        "hours": asked.hours,
        "start": asked.start,
        "end": asked.end,
        "overlap": asked.overlap,
        "misfire": asked.misfire,
        "misfire_window": asked.misfire_window,
        "pause_on_failure": asked.pause_on_failure,
        "parameters": asked.parameters,
        "client": kept.client,
    }
    return view | {name: getattr(asked, name) for name in _TASK_FIELDS}


def _moments(table: Timetable, now: float, count: int) -> list[str]:
    zone: ZoneInfo = zone_of(table.zone)
    found = [moment(due_at) for due_at in table.upcoming(now, count)]
    return [each.astimezone(zone).isoformat() for each in found if each is not None]


async def _task_statuses(request: Request, found: list[Occurrence]) -> dict[str, str]:
    """Return how the tasks of occurrences stand; those kept no more are left out."""
    ids = frozenset(each.task_id for each in found if each.task_id)
    if not ids:
        return {}
    page = await gateway_of(request).store.page(TaskQuery(ids=ids, limit=len(ids)))
    return {row.id: row.status.value for row in page.rows}


def _occurrence_view(each: Occurrence, statuses: dict[str, str], lang: str) -> dict[str, Any]:
    detail: dict[str, Any] = msgspec.json.decode(each.detail)
    code = detail.pop("code", None) or each.reason or None
    words = None
    if each.reason:
        words = text(f"schedule.{each.reason}", lang, **detail)
        if words == f"schedule.{each.reason}":  # an error's own words
            words = text(each.reason, lang, **detail)
    return {
        "due_at": moment(each.due_at),
        "status": each.status.value,
        "request_id": each.task_id or None,
        "task_status": statuses.get(each.task_id),
        "manual": each.is_manual,
        "at": moment(each.at),
        "code": code,
        "message": words,
        "details": detail,
    }


def _cursor_of(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _name_of(cursor: str | None) -> str:
    """Return the name after which a page begins.

    Raises:
        FieldFault: The cursor is none of ours.
    """
    if cursor is None:
        return ""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        raise field_fault("cursor", "not_cursor", given=cursor[:80]) from None


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    one = "/v1/schedules/{schedule}"
    return [
        Route("/v1/schedules", listing, methods=["GET"]),
        Route("/v1/schedules", create, methods=["POST"]),
        Route("/v1/schedules/preview", preview, methods=["POST"]),
        Route(one, show, methods=["GET"]),
        Route(one, change, methods=["PATCH"]),
        Route(one, remove, methods=["DELETE"]),
        Route(f"{one}/pause", pause, methods=["POST"]),
        Route(f"{one}/resume", resume, methods=["POST"]),
        Route(f"{one}/trigger", trigger, methods=["POST"]),
        Route(f"{one}/occurrences", occurrences, methods=["GET"]),
    ]
