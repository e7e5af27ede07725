"""`/v1/secrets`: values for scripts. They go in here and never come out here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.doors import acted_on, needs
from zscrape.gateway.api.exchange import body_of, check_query, gateway_of, told
from zscrape.gateway.secretrequests import decode_secret
from zscrape.gateway.vault import SecretView


@needs("admin")
async def secrets(request: Request) -> Response:
    """`GET /v1/secrets`: names, and who may read them."""
    check_query(request, ())
    return told({"secrets": [_view(each) for each in gateway_of(request).vault.views()]})


@needs("admin", act="secrets.set")
async def keep(request: Request) -> Response:
    """`POST /v1/secrets`: keep one, over the one of its name."""
    check_query(request, ())
    asked = decode_secret(await body_of(request))
    acted_on(request, asked.name)
    vault = gateway_of(request).vault
    return told(_view(await vault.put(asked.name, value=asked.value, scripts=asked.scripts)))


@needs("admin", act="secrets.remove")
async def remove(request: Request) -> Response:
    """`DELETE /v1/secrets/{name}`: forget one."""
    check_query(request, ())
    await gateway_of(request).vault.remove(request.path_params["name"])
    return Response(status_code=204)


def _view(secret: SecretView) -> dict[str, Any]:
    return {
        "name": secret.name,
        "scripts": secret.scripts,
        "created_at": datetime.fromtimestamp(secret.created_at, UTC),
        "updated_at": datetime.fromtimestamp(secret.updated_at, UTC),
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/secrets", secrets, methods=["GET"]),
        Route("/v1/secrets", keep, methods=["POST"]),
        Route("/v1/secrets/{name}", remove, methods=["DELETE"]),
    ]
