"""`/v1/scripts`: the catalogue, dry validation, and the short way to run one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors import RefusedError
from zscrape.errors.refusals import Draining
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    JSON_TYPE,
    PROBLEM_TYPE,
    REQUEST_ID,
    body_of,
    check_query,
    client_of,
    gateway_of,
    language,
    preferred_wait,
    seconds_in,
    told,
)
from zscrape.gateway.api.leaving import ON_DISCONNECT, ending_with_client, is_cancelling
from zscrape.gateway.api.scrape import idempotency_of, wait_for_end
from zscrape.gateway.api.statuses import failure_status
from zscrape.gateway.envelope import (
    ErrorView,
    envelope,
    links_of,
    problem,
    task_error_view,
)
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import (
    TIMEOUT_LIMIT_S,
    TaskRequest,
    check_depth,
    decode_parameters,
)
from zscrape.gateway.state import GatewayState
from zscrape.gateway.tracing import trace_of
from zscrape.scripts.catalogue import Script
from zscrape.scripts.problems import Problem, problem as problem_at, told as told_problems
from zscrape.scripts.version import is_digest
from zscrape.store.tasks import TaskRow

_COMES_AGAIN: Final = frozenset({429, 503})


@needs("read", "run")
async def catalogue(request: Request) -> Response:
    """`GET /v1/scripts`: every script with its newest version, and which repositories fail."""
    check_query(request, ())
    lang = language(request)
    state, client = gateway_of(request), client_of(request)
    known = await state.catalogue.scripts()
    views = [
        {**msgspec.structs.asdict(each), "problems": told_problems(each.problems, lang)}
        for each in known
        if client.may_use(each.name)
    ]
    faults = state.catalogue.faults()
    repositories = [
        {"name": each, **({"error": faults[each]} if each in faults else {})}
        for each in state.catalogue.repository_names
    ]
    return told({"scripts": views, "repositories": repositories})


@needs("read", "run")
async def show(request: Request) -> Response:
    """`GET /v1/scripts/{name}`: one version's manifest, and which versions there are."""
    state = gateway_of(request)
    script = await _script_of(request)
    manifest = script.manifest
    known = await state.catalogue.known_digests(script.pin.name)
    if script.pin.version in known and not is_digest(request.query_params.get("version") or ""):
        known[script.pin.version] = script.pin.digest
    return told(
        {
            "name": script.pin.name,
            "version": script.pin.version,
            "digest": script.pin.digest,
            "repository": script.pin.repository,
            "description": manifest.description,
            "author": manifest.author,
            "tags": manifest.tags,
            "created_at": manifest.created_at,
            "updated_at": manifest.updated_at,
            "entry_point": manifest.entry_point,
            "timeout": manifest.timeout_s,
            "memory_limit_bytes": manifest.limits.memory_bytes,
            "kit": manifest.kit,
            "requirements": script.run.requirements,
            "python_version": manifest.python_version,
            "requires": manifest.requires,
            "prefers": manifest.prefers,
            "system_requirements": manifest.system_requirements,
            "parameters": script.schema,
            "versions": list(known),
            "details": _details(state, known),
            "channels": await state.catalogue.channels(script.pin.name),
            "cached_on": state.router.warm_on(script.pin.digest),
            "signature": script.verification,
            "warnings": told_problems(
                (*script.warnings, *script.notices, *_stale(state, script.pin.repository)),
                language(request),
            ),
        }
    )


def _stale(state: GatewayState, repository: str) -> tuple[Problem, ...]:
    """Return the warning that a repository cannot be read now; none while it can."""
    if repository not in state.catalogue.faults():
        return ()
    return (problem_at("/repository", "repository_stale", repository=repository),)


@needs("read", "run")
async def versions(request: Request) -> Response:
    """`GET /v1/scripts/{name}/versions`: newest first."""
    check_query(request, ())
    name = request.path_params["name"]
    client_of(request).check_script(name)
    state = gateway_of(request)
    known = await state.catalogue.known_digests(name)
    view = {
        "name": name,
        "versions": list(known),
        "details": _details(state, known),
        "channels": await state.catalogue.channels(name),
    }
    return told(view)


def _details(state: GatewayState, known: Mapping[str, str | None]) -> dict[str, Any]:
    """Return each version with its digest, null until it was fetched, and who has it ready."""
    return {
        version: {"digest": digest, "cached_on": state.router.warm_on(digest) if digest else ()}
        for version, digest in known.items()
    }


@needs("read", "run")
async def schema(request: Request) -> Response:
    """`GET /v1/scripts/{name}/schema`: the JSON Schema of its parameters."""
    return told((await _script_of(request)).schema)


@needs("read", "run")
async def validate(request: Request) -> Response:
    """`POST /v1/scripts/{name}/validate`: would these parameters do? Nothing is run."""
    body = await body_of(request) or b"{}"
    check_depth(body, gateway_of(request).policy.depth_limit)
    params = decode_parameters(body, at="")
    script = await _script_of(request)
    found = await asyncio.to_thread(script.validator.problems, params)
    problems = told_problems(found, language(request))
    return told(
        {
            "valid": not problems,
            "problems": problems,
            "version": script.pin.version,
            "digest": script.pin.digest,
        }
    )


async def _script_of(request: Request) -> Script:
    check_query(request, ("version",))
    name = request.path_params["name"]
    client_of(request).check_script(name)
    return await gateway_of(request).catalogue.resolve(name, request.query_params.get("version"))


# ---- run -----------------------------------------------------------------------------


@needs("run")
async def run(request: Request) -> Response:
    """`POST /v1/scripts/{name}/run`: the body is the parameters, the answer is the data."""
    check_query(request, ("version", "timeout", ON_DISCONNECT))
    is_asked = is_cancelling(request.query_params.get(ON_DISCONNECT))
    state = gateway_of(request)
    client = client_of(request)
    client.check_script(request.path_params["name"])
    body = await body_of(request) or b"{}"
    check_depth(body, state.policy.depth_limit)
    decode_parameters(body, at="")
    headers = dict(request.scope["headers"])
    call = f"{request.url.path}?{request.url.query}".encode()
    idempotency = idempotency_of(headers, call + b"\n" + body)
    row = None
    if idempotency is not None:
        row = await state.service.reattach(client.id, idempotency)
    if row is None:
        asked = TaskRequest(
            script_name=request.path_params["name"],
            parameters=msgspec.Raw(body),
            version=request.query_params.get("version"),
            timeout=_timeout_of(request),
        )
        prepared = await state.service.prepare(
            client.grouped(asked),
            origin="run",
            client=client.id,
            is_awaited=True,
            trace_id=trace_of(headers),
        )
        row = await state.service.accept(prepared, idempotency)
    request.scope[REQUEST_ID] = row.id
    if not row.status.is_final:
        wait_s = preferred_wait(headers, state.policy.max_wait_s)
        with ending_with_client(state, row, is_asked=is_asked):
            await wait_for_end(state, row, request.receive, wait_s)
    await state.service.settled(row)
    return _run_answer(request, row)


def _timeout_of(request: Request) -> float | None:
    given = request.query_params.get("timeout")
    if given is None:
        return None
    value = seconds_in(given, "timeout")
    if not 0 < value <= TIMEOUT_LIMIT_S:
        raise field_fault("timeout", "out_of_range", bound=f"> 0, <= {TIMEOUT_LIMIT_S}")
    return value


def _run_answer(request: Request, row: TaskRow) -> Response:
    state = gateway_of(request)
    lang = language(request)
    limit_bytes = state.policy.inline_limit_bytes
    if not row.status.is_final:
        if state.hub.is_closed:
            raise Draining
        view = envelope(row, lang, inline_limit_bytes=limit_bytes)
        headers = {"Location": f"/v1/tasks/{row.id}", "Preference-Applied": "wait"}
        return told(view, 202, headers)
    error = task_error_view(row, lang)
    if error is not None:
        return _failure(row, error)
    data = b"null" if row.outcome is None else row.outcome.data or b"null"
    if len(data) > limit_bytes or row.far_data is not None:
        return Response(status_code=303, headers={"Location": links_of(row.id)["result"]})
    headers = {
        "X-Script-Version": row.version,
        "X-Script-Digest": row.digest,
        "X-Item-Count": str(row.item_count),
    }
    return Response(data, media_type=JSON_TYPE.decode(), headers=headers)


def _failure(row: TaskRow, error: ErrorView) -> Response:
    status = failure_status(row)
    headers = {}
    if status in _COMES_AGAIN:
        headers["Retry-After"] = str(RefusedError.retry_after_s)
    body = problem(error, status, row.id, is_refusal=status in _COMES_AGAIN)
    return Response(body, status, headers, media_type=PROBLEM_TYPE.decode())


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/scripts", catalogue, methods=["GET"]),
        Route("/v1/scripts/{name}", show, methods=["GET"]),
        Route("/v1/scripts/{name}/versions", versions, methods=["GET"]),
        Route("/v1/scripts/{name}/schema", schema, methods=["GET"]),
        Route("/v1/scripts/{name}/validate", validate, methods=["POST"]),
        Route("/v1/scripts/{name}/run", run, methods=["POST"]),
    ]
