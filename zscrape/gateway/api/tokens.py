"""`/v1/tokens`: the right to join, the gateway's key, and taking workers' keys back."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.config import is_loopback, parse_link
from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import body_of, check_query, gateway_of, told
from zscrape.gateway.envelope import moment
from zscrape.gateway.faults import field_fault
from zscrape.gateway.joining import Joining
from zscrape.gateway.keyrequests import RotateRequest, TokenRequest
from zscrape.gateway.requests import decode_body
from zscrape.store.linkkeys import TokenRow

_LIFE_S: Final = 86_400.0  # of a token of which nothing else is said

_TOKEN: Final = msgspec.json.Decoder(TokenRequest)
_ROTATE: Final = msgspec.json.Decoder(RotateRequest)


@needs("admin")
async def tokens(request: Request) -> Response:
    """`GET /v1/tokens`: every token that was made, without what lets anybody in."""
    check_query(request, ())
    joining, now = _joining(request), time.time()
    return told(
        {
            "tokens": [_view(row, now) for row in joining.tokens],
            "key_changes_at": moment(joining.switch_at),
        }
    )


@needs("admin", act="tokens.create")
async def create(request: Request) -> Response:
    """`POST /v1/tokens`: make a token; this answer alone has it."""
    check_query(request, ())
    now, body = time.time(), await body_of(request)
    asked = decode_body(_TOKEN.decode, body or b"{}", known=TokenRequest.__struct_fields__)
    for place, address in enumerate(asked.addresses):
        _check_address(f"/addresses/{place}", address)
    life_s = _LIFE_S if asked.expires_in is UNSET else asked.expires_in
    joining = _joining(request)
    addresses = asked.addresses or joining.addresses
    row, text = await joining.create(
        asked.name,
        uses_limit_count=asked.uses,
        expires_at=None if life_s is None else now + life_s,
        addresses=addresses,
    )
    return told(
        _view(row, now)
        | {
            "token": text,
            "command": f"zscrape worker --join {text}",
            "addresses": addresses,
            "is_local": all(is_loopback(parse_link(address)[0]) for address in addresses),
        },
        201,
    )


def _check_address(at: str, address: str) -> None:
    try:
        port = parse_link(address)[1]
    except ValueError:
        port = 0
    if not port:
        raise field_fault(at, "link_address", given=address[:80])


@needs("admin", act="tokens.revoke")
async def revoke(request: Request) -> Response:
    """`DELETE /v1/tokens/{id}`: nobody joins by it any more; who has joined stays."""
    check_query(request, ())
    row = await _joining(request).revoke(request.path_params["token_id"])
    return told(_view(row, time.time()))


@needs("admin", act="tokens.rotate_key")
async def rotate_key(request: Request) -> Response:
    """`POST /v1/tokens/rotate-key`: take another key for the link, after an overlap."""
    check_query(request, ())
    body = await body_of(request)
    asked = decode_body(_ROTATE.decode, body or b"{}", known=RotateRequest.__struct_fields__)
    return told({"key_changes_at": moment(_joining(request).rotate(asked.overlap))}, 202)


@needs("admin", act="workers.remove")
async def remove_worker(request: Request) -> Response:
    """`DELETE /v1/workers/{id}`: forget its key and cut it off; a token may let it join again."""
    check_query(request, ())
    worker = await _joining(request).remove_worker(request.path_params["worker_id"])
    return told({"id": worker.worker_id, "status": "removed"})


@needs("admin", act="workers.revoke")
async def revoke_worker(request: Request) -> Response:
    """`POST /v1/workers/{id}/revoke`: refuse its key for ever and cut it off."""
    check_query(request, ())
    worker = await _joining(request).revoke_worker(request.path_params["worker_id"])
    return told({"id": worker.worker_id, "status": "revoked"})


def _joining(request: Request) -> Joining:
    joining = gateway_of(request).joining
    if joining is None:
        raise NotFound(kind="path", name=request.url.path[:200])
    return joining


def _view(row: TokenRow, now: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "status": row.fault(now) or "active",
        "uses": row.uses_limit_count,
        "used_count": row.used_count,
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/tokens", tokens, methods=["GET"]),
        Route("/v1/tokens", create, methods=["POST"]),
        Route("/v1/tokens/rotate-key", rotate_key, methods=["POST"]),
        Route("/v1/tokens/{token_id}", revoke, methods=["DELETE"]),
        Route("/v1/workers/{worker_id}", remove_worker, methods=["DELETE"]),
        Route("/v1/workers/{worker_id}/revoke", revoke_worker, methods=["POST"]),
    ]
