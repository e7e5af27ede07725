"""`/v1/sites`: how hard each site may be hit, and how hard it is hit now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.doors import acted_on, needs
from zscrape.gateway.api.exchange import body_of, check_query, client_of, gateway_of, told
from zscrape.gateway.sitebody import decode_site
from zscrape.gateway.siteview import SiteView


@needs("read")
async def sites(request: Request) -> Response:
    """`GET /v1/sites`: sites that have a budget or were asked of late, by name."""
    check_query(request, ())
    return told({"sites": [_view(each) for each in await gateway_of(request).sites.views()]})


@needs("read")
async def site(request: Request) -> Response:
    """`GET /v1/sites/{site}`: one of them."""
    check_query(request, ())
    return told(_view(await gateway_of(request).sites.view(request.path_params["site"])))


@needs("admin", act="sites.set")
async def put(request: Request) -> Response:
    """`PUT /v1/sites/{site}`: set a budget, in place of all that manifests ask for."""
    check_query(request, ())
    name = request.path_params["site"]
    acted_on(request, name)
    budget = decode_site(await body_of(request))
    found = await gateway_of(request).sites.put(name, budget, by=client_of(request).id)
    return told(_view(found))


@needs("admin", act="sites.remove")
async def remove(request: Request) -> Response:
    """`DELETE /v1/sites/{site}`: forget a budget; manifests have their say again."""
    check_query(request, ())
    await gateway_of(request).sites.remove(request.path_params["site"])
    return Response(status_code=204)


def _view(found: SiteView) -> dict[str, Any]:
    at = found.updated_at
    view = msgspec.structs.asdict(found)
    return view | {"updated_at": None if at is None else datetime.fromtimestamp(at, UTC)}


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/sites", sites, methods=["GET"]),
        Route("/v1/sites/{site}", site, methods=["GET"]),
        Route("/v1/sites/{site}", put, methods=["PUT"]),
        Route("/v1/sites/{site}", remove, methods=["DELETE"]),
    ]
