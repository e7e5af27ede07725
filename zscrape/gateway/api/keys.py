"""`/v1/keys`: make API keys, look at them, revoke them."""

from __future__ import annotations

import re
import time
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.doors import acted_on, needs
from zscrape.gateway.api.exchange import body_of, check_query, client_of, gateway_of, told
from zscrape.gateway.clients import ADMIN_ID, SCOPES
from zscrape.gateway.envelope import moment
from zscrape.gateway.faults import field_fault
from zscrape.gateway.keyrequests import KeyRequest
from zscrape.gateway.keyring import NewKey
from zscrape.gateway.requests import decode_body
from zscrape.store.keys import KeyRow

_SCRIPT: Final = re.compile(r"[a-z0-9_*-]{1,64}")
_RATE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)/([smh])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600}

_KEY: Final = msgspec.json.Decoder(KeyRequest)


def decode_key(body: bytes, now: float) -> NewKey:
    """Read what a key is to be.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    asked = decode_body(_KEY.decode, body, known=KeyRequest.__struct_fields__)
    if not asked.scopes:
        raise field_fault("/scopes", "no_scopes", known=", ".join(SCOPES))
    if "admin" in asked.scopes and asked.scripts:
        raise field_fault("/scripts", "admin_with_scripts")
    if "admin" in asked.scopes and asked.groups:
        raise field_fault("/groups", "admin_with_groups")
    for place, glob in enumerate(asked.scripts):
        if not _SCRIPT.fullmatch(glob):
            raise field_fault(f"/scripts/{place}", "script_pattern", given=glob[:80])
    return NewKey(
        name=asked.name,
        scopes=tuple(dict.fromkeys(asked.scopes)),
        scripts=tuple(dict.fromkeys(asked.scripts)),
        groups=tuple(dict.fromkeys(asked.groups)),
        task_limit_count=asked.task_limit,
        rate_per_s=None if asked.rate is None else rate_of(asked.rate),
        expires_at=None if asked.expires_in is None else now + asked.expires_in,
    )


def rate_of(given: str) -> float:
    """Return calls a second of `10/s`, `600/m` or `5000/h`.

    Raises:
        FieldFault: It is no rate, or one of nothing.
    """
    found = _RATE.fullmatch(given)
    rate_per_s = 0.0 if found is None else float(found[1]) / _UNIT_S[found[2]]
    if not rate_per_s:
        raise field_fault("/rate", "rate", given=given[:80])
    return rate_per_s


@needs("admin")
async def keys(request: Request) -> Response:
    """`GET /v1/keys`: every key, the first one too, and nothing that could be used."""
    check_query(request, ())
    now = time.time()
    first = {"id": ADMIN_ID, "name": ADMIN_ID, "scopes": ["admin"], "status": "active"}
    views = [_view(row, now) for row in gateway_of(request).keys.rows()]
    return told({"keys": [first, *views]})


@needs("admin", act="keys.create")
async def create(request: Request) -> Response:
    """`POST /v1/keys`: a new key, shown this once."""
    check_query(request, ())
    now = time.time()
    asked = decode_key(await body_of(request), now)
    key, row = await gateway_of(request).keys.create(asked, by=client_of(request).id)
    acted_on(request, row.id)
    return told({**_view(row, now), "key": key}, 201, {"Cache-Control": "no-store"})


@needs("admin", act="keys.revoke")
async def revoke(request: Request) -> Response:
    """`DELETE /v1/keys/{id}`: nobody comes in with it any more, from the next call on."""
    check_query(request, ())
    key_id = request.path_params["key_id"]
    if key_id == ADMIN_ID:
        raise field_fault("id", "first_key")
    row = await gateway_of(request).keys.revoke(key_id)
    return told(_view(row, time.time()))


def _view(row: KeyRow, now: float) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "scopes": row.scopes,
        "scripts": row.scripts,
        "groups": row.groups,
        "rate_per_s": row.rate_per_s,
        "task_limit": row.task_limit_count,
        "status": _status(row, now),
        "created_at": moment(row.created_at),
        "created_by": row.created_by,
        "expires_at": moment(row.expires_at),
        "revoked_at": moment(row.revoked_at),
        "last_used_at": moment(row.last_used_at),
    }


def _status(row: KeyRow, now: float) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "active"


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/keys", keys, methods=["GET"]),
        Route("/v1/keys", create, methods=["POST"]),
        Route("/v1/keys/{key_id}", revoke, methods=["DELETE"]),
    ]
