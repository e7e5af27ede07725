"""The HTTP API as one ASGI application.

Before any routing stands the edge: it gives every call an id, asks for its key, sends
`POST /scrape` straight to its endpoint, and turns whatever is raised into a problem document
(RFC 9457) in the reader's language. No thread, no `BaseHTTPMiddleware`. Plain calls of
`POST /scrape` that come whole are taken before that, by `api.quickscrape`.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zscrape.errors import ZscrapeError, let_go
from zscrape.errors.requests import MethodNotAllowed, NotFound
from zscrape.gateway.api import (
    audit,
    bulk,
    capsules,
    catalogue,
    dashboard,
    deadletters,
    dialects,
    docs,
    export,
    handoffs,
    itemkeys,
    keys,
    locks,
    metrics,
    output,
    overview,
    schedules,
    scrapyd,
    scrapyrt,
    scripts,
    scriptstate,
    secrets,
    session,
    sites,
    sitesessions,
    status,
    tasks,
    tokens,
    waiting,
    workers,
)
from zscrape.gateway.api.doors import guarded, open_paths
from zscrape.gateway.api.exchange import (
    CLIENT,
    JSON_TYPE,
    PROBLEM_TYPE,
    REQUEST_ID,
    ClientGone,
    check_rate,
    check_room,
    language_of,
    peer_of,
    problem_document,
    refusal_headers,
    request_id_of,
    send_whole,
    to_client,
    while_current,
)
from zscrape.gateway.api.quickscrape import QuickScrape
from zscrape.gateway.api.scrape import ScrapeEndpoint
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.shield import check_host, preflight, shielded
from zscrape.gateway.state import GatewayState, HttpPolicy
from zscrape.gateway.webhook import comes_signed

__all__ = ["GatewayState", "HttpPolicy", "build_app"]

_PAGES: Final = (dashboard.ROOT, docs.ROOT)  # files of pages: the same for everybody


def build_app(state: GatewayState) -> Starlette:
    """Return the HTTP API of the gateway made of these parts."""
    scrape = ScrapeEndpoint(state)
    routes = guarded(
        [
            Route("/scrape", scrape, methods=["POST"]),
            *bulk.routes(),
            *export.routes(),
            *waiting.routes(),
            *tasks.routes(),
            *deadletters.routes(),
            *output.routes(),
            *capsules.routes(),
            *handoffs.routes(),
            *catalogue.routes(),
            *scripts.routes(),
            *workers.routes(),
            *keys.routes(),
            *audit.routes(),
            *session.routes(),
            *dashboard.routes(),
            *overview.routes(),
            *tokens.routes(),
            *schedules.routes(),
            *locks.routes(),
            *secrets.routes(),
            *sites.routes(),
            *sitesessions.routes(),
            *scriptstate.routes(),
            *itemkeys.routes(),
            *metrics.routes(is_open=state.policy.is_metrics_open),
            *status.routes(),
            *docs.routes(),
            *scrapyd.routes(),
            *scrapyrt.routes(),
        ]
    )
    edge = Middleware(Edge, state=state, scrape=scrape, open_paths=open_paths(routes))
    app = Starlette(
        routes=routes,
        middleware=[edge],
        exception_handlers={HTTPException: _http_error},
    )
    # A path with a slash too many is told as unknown: a redirect would drop a POST's body.
    app.router.redirect_slashes = False
    app.state.gateway = state
    app.state.quick = QuickScrape(state)
    return app


class Edge:
    """Every call passes here first; nothing that is raised passes here unanswered."""

    def __init__(
        self, app: ASGIApp, state: GatewayState, scrape: ASGIApp, open_paths: frozenset[str]
    ) -> None:
        self._app = app
        self._open_paths = open_paths
        self._state = state
        self._scrape = scrape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; one whose client has gone is answered by nobody."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        policy = self._state.policy.shield
        way: ASGIApp = self._route
        if scope["path"] == "/scrape" and scope["method"] == "POST":
            way = self._scrape
        asked = preflight(scope, headers, policy)
        with contextlib.suppress(ClientGone):
            told = shielded(to_client(send), scope, headers, policy)
            if asked is not None:
                await told({"type": "http.response.start", "status": 204, "headers": asked})
                await told({"type": "http.response.body"})
            else:
                await way(scope, receive, told)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = self._state
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scope[REQUEST_ID] = new_task_id()
        answer = _Answer(scope, send)
        try:
            check_host(headers, state.policy.shield)
            is_webhook = scope["path"] == catalogue.WEBHOOK_PATH and comes_signed(headers)
            is_open = scope["path"] in self._open_paths or scope["path"].startswith(_PAGES)
            if not is_open:
                check_room(scope, state.policy)
            send_on: Send = answer.send
            if not (is_open or is_webhook):
                shown = dialects.key_headers(scope["path"], headers)
                client = scope[CLIENT] = state.access.authenticate(
                    shown, peer_of(scope), method=scope["method"]
                )
                check_rate(scope, state, client)
                send_on = while_current(send_on, lambda: state.access.is_current(client))
            await self._app(scope, receive, send_on)
        except ClientGone:
            raise
        except ZscrapeError as error:
            await self._refuse(error, scope, headers, answer)
            let_go(error)
        except Exception as error:  # noqa: BLE001 - the edge: told to the log and the client
            state.report("request_failed", request_id_of(scope), error)
            await self._refuse(ZscrapeError(), scope, headers, answer)
            let_go(error)

    async def _refuse(
        self, error: ZscrapeError, scope: Scope, headers: dict[bytes, bytes], answer: _Answer
    ) -> None:
        if answer.is_started:
            raise error  # half an answer has left: only the connection's end can tell
        lang = language_of(headers, self._state.policy.lang)
        request_id, told = request_id_of(scope), refusal_headers(error)
        foreign = dialects.refusal(scope["path"], error, request_id, lang)
        if foreign is not None:
            await send_whole(answer.send, *foreign, JSON_TYPE, told)
            return
        body = problem_document(error, request_id, lang)
        await send_whole(answer.send, error.http_status, body, PROBLEM_TYPE, told)


class _Answer:
    """Adds the call's id, and knows whether an answer has begun."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.is_started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_started = True
            request_id = request_id_of(self._scope).encode()
            headers = [*message.get("headers", ()), (b"x-request-id", request_id)]
            message = {**message, "headers": headers}
        await self._send(message)


async def _http_error(request: Request, error: Exception) -> Response:
    """Tell of what the router itself refuses as our own errors do."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        told: ZscrapeError = MethodNotAllowed(method=request.method, path=request.url.path[:200])
    elif error.status_code == HTTPStatus.NOT_FOUND:
        told = NotFound(kind="path", name=request.url.path[:200])
    else:
        raise error
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    lang = language_of(headers, request.app.state.gateway.policy.lang)
    request_id = request_id_of(request.scope)
    foreign = dialects.refusal(request.scope["path"], told, request_id, lang)
    if foreign is not None:
        return Response(foreign[1], foreign[0], error.headers, JSON_TYPE.decode())
    body = problem_document(told, request_id, lang)
    return Response(body, told.http_status, headers=error.headers, media_type=PROBLEM_TYPE.decode())
