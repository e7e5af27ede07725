"""`/login`, `/logout` and `/v1/me`: who is signed in, by a link or by a key."""

from __future__ import annotations

import html
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import LockedOut, LoginInvalid
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    check_query,
    client_of,
    gateway_of,
    language,
    peer_of,
    refusal_headers,
    request_id_of,
    told,
)
from zscrape.gateway.envelope import moment
from zscrape.gateway.sessions import LINK_S, SESSION_S
from zscrape.messages import text

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address of a link has its code in it
}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}"
)


@needs("open")
async def login(request: Request) -> Response:
    """`GET /login?code=`: turn a link into a session, once."""
    check_query(request, ("code",))
    if request.method != "GET":  # a program that looks at links must not use them up
        return Response(status_code=204, headers=_HEADERS)
    state = gateway_of(request)
    try:
        token, client = state.access.sign_in(
            request.query_params.get("code", ""), peer_of(request.scope)
        )
    except (LoginInvalid, LockedOut) as error:
        words = text(error.text_key, language(request), **error.fields)
        headers = {name.decode(): value.decode() for name, value in refusal_headers(error)}
        return _page(request, words, error.http_status, headers)
    await state.audit.note(
        "login",
        actor=client.id,
        address=peer_of(request.scope),
        request_id=request_id_of(request.scope),
    )
    answer = RedirectResponse("/", 303, headers=_HEADERS)
    _set_cookie(request, answer, token, int(SESSION_S))
    return answer


@needs("read", "run", act="logout")
async def logout(request: Request) -> Response:
    """`POST /logout`: end the session."""
    gateway_of(request).access.sign_out(dict(request.scope["headers"]))
    answer = RedirectResponse("/", 303, headers=_HEADERS)
    _set_cookie(request, answer, "", 0)
    return answer


def _set_cookie(request: Request, answer: Response, value: str, age_s: int) -> None:
    answer.set_cookie(
        gateway_of(request).access.cookie_name,
        value,
        max_age=age_s,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


@needs("read", "run", act="login.link")
async def link(request: Request) -> Response:
    """`POST /v1/logins`: a link that signs a browser in as whoever asks, once."""
    check_query(request, ())
    code = gateway_of(request).access.new_link(client_of(request))
    view = {"path": f"/login?code={code}", "expires_in": int(LINK_S)}
    return told(view, 201, {"Cache-Control": "no-store"})


@needs("read", "run")
async def me(request: Request) -> Response:
    """`GET /v1/me`: who calls, and what they may do."""
    check_query(request, ())
    client = client_of(request)
    return told(
        {
            "id": client.id,
            "name": client.name,
            "scopes": sorted(client.scopes),
            "scripts": client.scripts,
            "groups": client.groups,
            "expires_at": moment(client.until),
        }
    )


def _page(
    request: Request,
    words: str,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    lang = language(request)
    document = (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>zscrape</title>'
        f"<style>{_STYLE}</style><h1>zscrape</h1><p>{html.escape(words)}</p>"
        f'<p><a href="/">{html.escape(text("page.to_dashboard", lang))}</a></p></html>\n'
    )
    return HTMLResponse(document, status, headers={**(headers or {}), **_HEADERS})


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/login", login, methods=["GET"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/v1/logins", link, methods=["POST"]),
        Route("/v1/me", me, methods=["GET"]),
    ]
