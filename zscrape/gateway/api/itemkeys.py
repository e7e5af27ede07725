"""`/v1/scripts/{name}/keys`: which items are left out because an earlier run brought them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import check_query, client_of, gateway_of, told
from zscrape.gateway.envelope import moment


@needs("read")
async def known(request: Request) -> Response:
    """`GET /v1/scripts/{name}/keys`: how many keys of `ctx.emit` are known."""
    check_query(request, ())
    keys = gateway_of(request).remembering.keys
    return told({"known_count": await keys.count(_script_of(request))})


@needs("read")
async def find(request: Request) -> Response:
    """`GET /v1/scripts/{name}/keys/{key}`: which task brought an item, and until when it counts."""
    check_query(request, ())
    key = request.path_params["key"]
    found = await gateway_of(request).remembering.keys.find(_script_of(request), key)
    if found is None:
        raise NotFound(kind="key", name=key[:80])
    expires_at = moment(found.expires_at)
    return told({"key": key, "request_id": found.task_id, "expires_at": expires_at})


@needs("admin", act="item_keys.forget")
async def forget_all(request: Request) -> Response:
    """`DELETE /v1/scripts/{name}/keys`: forget them all; the next run brings every item."""
    check_query(request, ())
    count = await gateway_of(request).remembering.keys.forget(_script_of(request))
    return told({"removed_count": count})


@needs("admin", act="item_keys.forget")
async def forget(request: Request) -> Response:
    """`DELETE /v1/scripts/{name}/keys/{key}`: forget one; the next run brings its item."""
    check_query(request, ())
    key = request.path_params["key"]
    count = await gateway_of(request).remembering.keys.forget(_script_of(request), key)
    if not count:
        raise NotFound(kind="key", name=key[:80])
    return told({"removed_count": count})


def _script_of(request: Request) -> str:
    name: str = request.path_params["name"]
    client_of(request).check_shared(name)
    return name


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/scripts/{name}/keys", known, methods=["GET"]),
        Route("/v1/scripts/{name}/keys", forget_all, methods=["DELETE"]),
        Route("/v1/scripts/{name}/keys/{key:path}", find, methods=["GET"]),
        Route("/v1/scripts/{name}/keys/{key:path}", forget, methods=["DELETE"]),
    ]
