"""`/v1/scripts/{name}/state`: what a script remembers between its runs, for people."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import acted_on, needs
from zscrape.gateway.api.exchange import (
    body_of,
    check_query,
    client_of,
    gateway_of,
    request_id_of,
    told,
    whole,
)
from zscrape.gateway.envelope import moment
from zscrape.gateway.scriptstate import check_key, decode_state
from zscrape.store.scriptstate import StateRow

_LIMIT_COUNT: Final = 1_000


@needs("read")
async def keys(request: Request) -> Response:
    """`GET /v1/scripts/{name}/state`: what the script remembers, by key, without the values."""
    check_query(request, ("prefix", "limit", "cursor"))
    limit = whole(request, "limit", 100, low=1, high=_LIMIT_COUNT) or 100
    query = request.query_params
    found = await gateway_of(request).remembering.states.page(
        _script_of(request),
        prefix=query.get("prefix", ""),
        after=query.get("cursor", ""),
        limit=limit + 1,
    )
    more = found[limit - 1].key if len(found) > limit else None
    return told({"state": [_view(each) for each in found[:limit]], "next_cursor": more})


@needs("read")
async def value(request: Request) -> Response:
    """`GET /v1/scripts/{name}/state/{key}`: one thing that the script remembers."""
    check_query(request, ())
    states = gateway_of(request).remembering.states
    row = await states.get(_script_of(request), request.path_params["key"])
    return told({**_view(row), "value": Raw(row.value)})


@needs("admin", act="state.set")
async def keep(request: Request) -> Response:
    """`PUT /v1/scripts/{name}/state/{key}`: let the script remember a value."""
    check_query(request, ())
    script_name, key = _script_of(request), request.path_params["key"]
    acted_on(request, f"{script_name}/{key}"[:255])
    check_key(key)
    asked = decode_state(await body_of(request))
    states = gateway_of(request).remembering.states
    revision = await states.put(
        script_name,
        key,
        bytes(asked.value),
        revision=asked.revision,
        writer=f"{client_of(request).id}/{request_id_of(request.scope)}"[:128],
    )
    return told({"key": key, "revision": revision})


@needs("admin", act="state.remove")
async def remove(request: Request) -> Response:
    """`DELETE /v1/scripts/{name}/state/{key}`: let the script forget one thing."""
    check_query(request, ())
    script_name, key = _script_of(request), request.path_params["key"]
    if not await gateway_of(request).remembering.states.remove(script_name, key):
        raise NotFound(kind="state", name=key[:80])
    return Response(status_code=204)


@needs("admin", act="state.clear")
async def clear(request: Request) -> Response:
    """`DELETE /v1/scripts/{name}/state`: let the script forget everything."""
    check_query(request, ())
    count = await gateway_of(request).remembering.states.clear(_script_of(request))
    return told({"removed_count": count})


def _script_of(request: Request) -> str:
    """Return the script that the path names; it may be gone from its repository by now.

    Raises:
        ScriptForbidden, GroupForbidden: The key is not for it.
    """
    name: str = request.path_params["name"]
    client_of(request).check_shared(name)
    return name[:255]


def _view(row: StateRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "revision": row.revision,
        "size_bytes": len(row.value),
        "updated_at": moment(row.updated_at),
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/scripts/{name}/state", keys, methods=["GET"]),
        Route("/v1/scripts/{name}/state", clear, methods=["DELETE"]),
        Route("/v1/scripts/{name}/state/{key:path}", value, methods=["GET"]),
        Route("/v1/scripts/{name}/state/{key:path}", keep, methods=["PUT"]),
        Route("/v1/scripts/{name}/state/{key:path}", remove, methods=["DELETE"]),
    ]
