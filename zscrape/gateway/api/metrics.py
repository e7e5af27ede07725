"""`/metrics`: the figures that Prometheus reads."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import Forbidden
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import client_of, gateway_of


@needs("read")
async def metrics(request: Request) -> Response:
    """`GET /metrics`: counters and gauges in Prometheus's formats.

    Scripts and clients are named in them, so that a key for some of those alone is refused. With
    the setting `gateway.metrics_open` nobody is asked for a key.
    """
    if client_of(request).is_narrowed:
        raise Forbidden(scope="admin")
    return await _figures(request)


@needs("open")
async def open_metrics(request: Request) -> Response:
    """`GET /metrics`: the same to whoever asks, where that is set."""
    return await _figures(request)


async def _figures(request: Request) -> Response:
    # A fleet without Prometheus has no use for its library.
    from zscrape.gateway.metrics import collect

    found = collect(gateway_of(request))
    # Thousands of lines are text for milliseconds: beside the loop, which has tasks to see to.
    accept = request.headers.get("accept", "")
    body, content_type = await asyncio.to_thread(found.written, accept)
    return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def routes(*, is_open: bool) -> list[BaseRoute]:
    """Return the routes of this resource; `is_open`: nobody is asked for a key."""
    return [Route("/metrics", open_metrics if is_open else metrics, methods=["GET"])]
