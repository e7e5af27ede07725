"""Scrapyd's calls, for clients that were written for it.

A script is a project of its own name with one spider, so that the versions of a project are
those of its script; the project `default` holds all scripts. A job is a task. What has no
counterpart is refused, with what to do instead.

Source: the API of Scrapyd 1.6, https://scrapyd.readthedocs.io/en/stable/api.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.acceptance import Idempotency
from zscrape.gateway.api.dialects import fields_of, optional, required
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import REQUEST_ID, client_of, gateway_of, told
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import TaskRequest
from zscrape.gateway.tracing import trace_of
from zscrape.model import FINAL_STATES, TaskState
from zscrape.scripts.script import Script
from zscrape.scripts.textvalues import value_of
from zscrape.store.tasks import TaskQuery, TaskRow

_ALL: Final = "default"  # the project of all scripts
_JOB: Final = "scrapyd_job"  # in a task's metadata: the id that its caller has chosen
_JOB_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")
_FINISHED_COUNT: Final = 100  # as many as Scrapyd keeps by default
_LIVE_COUNT: Final = 1_000
_OWN: Final = frozenset({"project", "spider", "_version", "jobid", "priority", "setting"})
_PENDING: Final = frozenset({TaskState.QUEUED, TaskState.WAITING})


@needs("read", "run")
async def daemon_status(request: Request) -> Response:
    """`GET /daemonstatus.json`: how much waits, runs and has ended since the gateway began."""
    state = gateway_of(request)
    snapshot = state.router.snapshot()
    state.counters.settle()
    counts = {
        "pending": snapshot.queued_count,
        "running": snapshot.assigned_count + snapshot.running_count,
        "finished": sum(state.counters.requests.values()),
    }
    return _ok(request, **counts)


@needs("run")
async def schedule(request: Request) -> Response:
    """`POST /schedule.json`: a task; every field that Scrapyd does not know is a parameter."""
    fields = await fields_of(request)
    state, client = gateway_of(request), client_of(request)
    name = _script_name(required(fields, "project"), required(fields, "spider"))
    if "setting" in fields:
        raise field_fault("setting", "dialect_setting", given=fields["setting"][0][:80])
    client.check_script(name)
    script = await state.catalogue.resolve(name, optional(fields, "_version") or None)
    parameters = _parameters(script, fields)
    job = optional(fields, "jobid")
    if job is not None and not _JOB_ID.fullmatch(job):
        raise field_fault("jobid", "dialect_job_id")
    asked = TaskRequest(
        script_name=name,
        parameters=msgspec.Raw(msgspec.json.encode(parameters)),
        version=optional(fields, "_version") or None,
        priority=_priority(optional(fields, "priority")),
        metadata=None if job is None else {_JOB: job},
    )
    promise = None if job is None else Idempotency(_key_of(job), _mark_of(asked))
    row = None if promise is None else await state.service.reattach(client.id, promise)
    if row is None:
        prepared = await state.service.prepare(
            client.grouped(asked),
            origin="task",
            client=client.id,
            is_own_only=client.reuses_own_only,
            trace_id=trace_of(dict(request.scope["headers"])),
        )
        row = await state.service.accept(prepared, promise)
    request.scope[REQUEST_ID] = row.id
    return _ok(request, jobid=_job_of(row))


@needs("run")
async def cancel(request: Request) -> Response:
    """`POST /cancel.json`: end a task, and tell what it did before. Any `signal` does the same."""
    fields = await fields_of(request)
    required(fields, "project")
    row = await _find(request, required(fields, "job"))
    before = None if row is None or row.status.is_final else _state_of(row)
    if row is not None and before is not None:
        await gateway_of(request).service.cancel(row.id)
    return _ok(request, prevstate=before)


@needs("read", "run")
async def status(request: Request) -> Response:
    """`GET /status.json`: `pending`, `running`, `finished`, or null of a task not known."""
    row = await _find(request, required(await fields_of(request), "job"))
    return _ok(request, currstate=None if row is None else _state_of(row))


@needs("read", "run")
async def list_projects(request: Request) -> Response:
    """`GET /listprojects.json`: the project of all scripts, and each script as its own."""
    return _ok(request, projects=[_ALL, *await _names(request)])


@needs("read", "run")
async def list_versions(request: Request) -> Response:
    """`GET /listversions.json`: the versions of a script, the newest last."""
    project = await _project(request, await fields_of(request))
    if project == _ALL:  # its scripts have versions of their own
        return _ok(request, versions=[])
    found = await gateway_of(request).catalogue.versions(project)
    return _ok(request, versions=list(reversed(found)))


@needs("read", "run")
async def list_spiders(request: Request) -> Response:
    """`GET /listspiders.json`: the script of a project, or all scripts of `default`."""
    fields = await fields_of(request)
    project = await _project(request, fields)
    version = optional(fields, "_version")
    if project != _ALL and version:
        await gateway_of(request).catalogue.resolve(project, version)
    return _ok(request, spiders=await _names(request) if project == _ALL else [project])


@needs("read", "run")
async def list_jobs(request: Request) -> Response:
    """`GET /listjobs.json`: tasks that wait, run, and of late have ended."""
    fields = await fields_of(request)
    project = await _project(request, fields) if "project" in fields else _ALL
    name = "" if project == _ALL else project
    state, client = gateway_of(request), client_of(request)
    live = TaskQuery(
        statuses=frozenset(TaskState) - FINAL_STATES, script_name=name, limit=_LIVE_COUNT
    )
    done = TaskQuery(statuses=FINAL_STATES, script_name=name, limit=_FINISHED_COUNT)
    found: dict[str, list[dict[str, Any]]] = {"pending": [], "running": [], "finished": []}
    for query in (live, done):
        for row in (await state.store.page(client.within(query))).rows:
            found[_state_of(row)].append(_job_view(row))
    return _ok(request, **found)


@needs("admin", act="scrapyd.refused")
async def refuse_versions(request: Request) -> Response:
    """`POST /addversion.json`: refused, since scripts come from repositories; says what to do."""
    raise field_fault("project", "dialect_versions")


# ---- the two ways of speaking --------------------------------------------------------


def _script_name(project: str, spider: str) -> str:
    """Return the script that a spider of a project is.

    Raises:
        FieldFault: The project is neither the script's own nor that of all.
    """
    if project not in (_ALL, spider):
        raise field_fault("project", "dialect_project", given=project[:80], known=spider[:80])
    return spider


async def _project(request: Request, fields: Mapping[str, list[str]]) -> str:
    """Return the project that a call names.

    Raises:
        FieldFault: There is none of that name.
    """
    project = required(fields, "project")
    if project != _ALL and project not in await _names(request):
        raise field_fault("project", "dialect_project", given=project[:80], known="SCRIPT")
    return project


async def _names(request: Request) -> list[str]:
    client = client_of(request)
    known = await gateway_of(request).catalogue.scripts()
    return [each.name for each in known if client.may_use(each.name)]


def _parameters(script: Script, fields: Mapping[str, list[str]]) -> dict[str, Any]:
    properties = script.schema.get("properties", {})
    return {
        name: value_of(values[0], properties.get(name, {}))
        for name, values in fields.items()
        if name not in _OWN
    }


def _priority(told_priority: str | None) -> int:
    """Return a priority; Scrapyd's is a number with a point.

    Raises:
        FieldFault: It is none of ours.
    """
    if not told_priority:
        return 0
    try:
        number = float(told_priority)
    except ValueError:
        number = 0.5
    if not (-100 <= number <= 100 and number == int(number)):
        raise field_fault("priority", "dialect_priority", given=told_priority[:80])
    return int(number)


async def _find(request: Request, job: str) -> TaskRow | None:
    """Return the task with this id, its own or the one that this caller has chosen."""
    state, client = gateway_of(request), client_of(request)
    try:
        row: TaskRow | None = await state.service.get(job)
    except NotFound:
        chosen = await state.store.find_by_key(client.id, _key_of(job))
        # What is live changes under its own row; a store may give a copy.
        row = None if chosen is None else await state.service.get(chosen.id)
    return row if row is not None and client.sees(row) else None


def _key_of(job: str) -> str:
    return f"scrapyd:{job}"


def _mark_of(asked: TaskRequest) -> str:
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()


def _job_of(row: TaskRow) -> str:
    return str(row.metadata.get(_JOB) or row.id)


def _state_of(row: TaskRow) -> str:
    if row.status.is_final:
        return "finished"
    return "pending" if row.status in _PENDING else "running"


def _job_view(row: TaskRow) -> dict[str, Any]:
    view = {
        "id": _job_of(row),
        "project": row.script_name,
        "spider": row.script_name,
        "version": row.version or None,
    }
    if row.status in _PENDING:
        args = msgspec.json.decode(row.parameters)
        return {**view, "settings": {}, "args": args}
    view["start_time"] = _time(row.started_at or row.created_at)
    if not row.status.is_final:
        return {**view, "pid": None}
    base = f"/v1/tasks/{row.id}"
    return {
        **view,
        "end_time": _time(row.finished_at or row.created_at),
        "log_url": f"{base}/logs",
        "items_url": f"{base}/items?format=jsonl",
        "outcome": row.status.value,
    }


def _time(at: float) -> str:
    """Return a moment as Scrapyd writes it: UTC, without saying so."""
    return str(datetime.fromtimestamp(at, UTC).replace(tzinfo=None))


def _ok(request: Request, **view: Any) -> Response:
    return told({"status": "ok", "node_name": gateway_of(request).gateway_id, **view})


def routes() -> list[BaseRoute]:
    """Return the routes of this dialect."""
    served: list[tuple[str, Any, str]] = [
        ("daemonstatus", daemon_status, "GET"),
        ("schedule", schedule, "POST"),
        ("cancel", cancel, "POST"),
        ("status", status, "GET"),
        ("listprojects", list_projects, "GET"),
        ("listversions", list_versions, "GET"),
        ("listspiders", list_spiders, "GET"),
        ("listjobs", list_jobs, "GET"),
        ("addversion", refuse_versions, "POST"),
        ("delversion", refuse_versions, "POST"),
        ("delproject", refuse_versions, "POST"),
    ]
    return [
        Route(f"/{name}.json", endpoint, methods=[method], include_in_schema=False)
        for name, endpoint, method in served
    ]
