"""`/v1/scripts/refresh`, `/prefetch` and channels: what operators do to the catalogue."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import Unauthorized
from zscrape.errors.scripts import RepositoryUnavailable
from zscrape.gateway.api.doors import acted_on, needs
from zscrape.gateway.api.exchange import CLIENT, body_of, check_query, gateway_of, told
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import decode_channel, decode_prefetch
from zscrape.gateway.webhook import is_signed
from zscrape.scripts.channels import Change, is_channel_name

WEBHOOK_PATH: Final = "/v1/scripts/refresh"  # the endpoint itself asks for key or signature


@needs("admin", act="scripts.refresh", is_signable=True)
async def refresh(request: Request) -> Response:
    """`POST /v1/scripts/refresh`: look at every repository now; also a Git host's webhook.

    A call without a key must carry a signature made with `gateway.webhook_secret`.
    """
    check_query(request, ())
    state = gateway_of(request)
    body = await body_of(request)
    if CLIENT not in request.scope:
        headers = dict(request.scope["headers"])
        if not is_signed(headers, body, state.policy.webhook_secret):
            raise Unauthorized
    found = await state.catalogue.refresh()
    if all(each.fault for each in found):
        raise RepositoryUnavailable(
            repository=", ".join(each.name for each in found),
            reason="; ".join(each.fault for each in found),
        )
    return told(
        {
            "changed": any(each.is_changed for each in found),
            "repositories": [
                {
                    "name": each.name,
                    "changed": each.is_changed,
                    **({"error": each.fault} if each.fault else {}),
                }
                for each in found
            ],
        }
    )


@needs("admin", act="scripts.prefetch")
async def prefetch(request: Request) -> Response:
    """`POST /v1/scripts/prefetch`: have the workers get a script and its environment ready."""
    check_query(request, ())
    state = gateway_of(request)
    asked = decode_prefetch(await body_of(request))
    acted_on(request, asked.script_name)
    script = await state.catalogue.resolve(asked.script_name, asked.version)
    worker_ids = state.router.prefetch(script.run, script.requires)
    view = {
        "name": script.pin.name,
        "version": script.pin.version,
        "digest": script.pin.digest,
        "workers": worker_ids,
    }
    return told(view, 202)


@needs("admin", act="scripts.promote")
async def set_channel(request: Request) -> Response:
    """`PUT /v1/scripts/{name}/channels/{channel}`: promote a version, or roll back."""
    check_query(request, ())
    catalogue = gateway_of(request).catalogue
    name, channel = request.path_params["name"], request.path_params["channel"]
    if not is_channel_name(channel):
        raise field_fault("channel", "channel_name", given=channel[:80])
    asked = decode_channel(await body_of(request))
    if asked.rollback:
        change = await catalogue.roll_back(name, channel)
    else:
        change = await catalogue.promote(name, channel, asked.version)
    acted_on(request, f"{name}/{channel}/{change.version}")
    return told(_view(change))


@needs("admin", act="scripts.remove_channel")
async def remove_channel(request: Request) -> Response:
    """`DELETE /v1/scripts/{name}/channels/{channel}`: forget it."""
    check_query(request, ())
    catalogue = gateway_of(request).catalogue
    name, channel = request.path_params["name"], request.path_params["channel"]
    return told(_view(await catalogue.remove_channel(name, channel)))


def _view(change: Change) -> dict[str, Any]:
    return msgspec.structs.asdict(change)


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route(WEBHOOK_PATH, refresh, methods=["POST"]),
        Route("/v1/scripts/prefetch", prefetch, methods=["POST"]),
        Route("/v1/scripts/{name}/channels/{channel}", set_channel, methods=["PUT"]),
        Route("/v1/scripts/{name}/channels/{channel}", remove_channel, methods=["DELETE"]),
    ]
