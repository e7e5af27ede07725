"""`/v1/sessions`: sessions with sites. Their cookies go in here and never come out here."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import body_of, check_query, gateway_of, told
from zscrape.gateway.envelope import moment
from zscrape.gateway.sessionbody import decode_session
from zscrape.store.sitesessions import LeaseRow, SessionRow


@needs("admin")
async def sessions(request: Request) -> Response:
    """`GET /v1/sessions`: how each session is, and who has it; never a cookie's value."""
    check_query(request, ("site",))
    site = request.query_params.get("site")
    found = await gateway_of(request).remembering.sessions.all()
    views = [_view(row, leases) for row, leases in found if site in (None, row.site)]
    return told({"sessions": views})


@needs("admin")
async def session(request: Request) -> Response:
    """`GET /v1/sessions/{site}/{account}`: one of them."""
    check_query(request, ())
    found = await gateway_of(request).remembering.sessions.get(*_place(request))
    return told(_view(*found))


@needs("admin", act="sessions.put")
async def keep(request: Request) -> Response:
    """`PUT /v1/sessions/{site}/{account}`: keep cookies, or change who may have them."""
    check_query(request, ())
    asked = decode_session(await body_of(request))
    remembering = gateway_of(request).remembering
    return told(_view(await remembering.sessions.put(*_place(request), asked), []))


@needs("admin", act="sessions.remove")
async def remove(request: Request) -> Response:
    """`DELETE /v1/sessions/{site}/{account}`: forget a session, also one that is leased."""
    check_query(request, ())
    await gateway_of(request).remembering.sessions.remove(*_place(request))
    return Response(status_code=204)


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["site"], request.path_params["account"]


def _view(row: SessionRow, leases: list[LeaseRow]) -> dict[str, Any]:
    is_expired = row.expires_at is not None and row.expires_at <= time.time()
    return {
        "site": row.site,
        "account": row.account,
        "status": "expired" if is_expired and row.status == "good" else row.status,
        "reason": row.reason or None,
        "scripts": row.scripts,
        "cookie_count": row.cookie_count,
        "use_count": row.use_count,
        "bad_count": row.bad_count,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "used_at": moment(row.used_at),
        "expires_at": moment(row.expires_at),
        "leases": [
            {
                "request_id": each.task_id,
                "attempt": each.attempt,
                "shared": not each.is_exclusive,
                "since": moment(each.granted_at),
            }
            for each in leases
        ],
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/sessions", sessions, methods=["GET"]),
        Route("/v1/sessions/{site}/{account}", session, methods=["GET"]),
        Route("/v1/sessions/{site}/{account}", keep, methods=["PUT"]),
        Route("/v1/sessions/{site}/{account}", remove, methods=["DELETE"]),
    ]
