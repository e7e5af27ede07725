"""The HTTP API as one ASGI application.

Before any routing stands the edge: it gives every call an id, asks for its key, sends
`POST /scrape` straight to its endpoint, and turns whatever is raised into a problem document
(RFC 9457) in the reader's language. No thread, no `BaseHTTPMiddleware`.
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

from zscrape.errors import MethodNotAllowed, NotFound, ZscrapeError
from zscrape.gateway.api import (
    bulk,
    catalogue,
    deadletters,
    export,
    output,
    scripts,
    status,
    tasks,
    waiting,
    workers,
)
from zscrape.gateway.api.exchange import (
    CLIENT,
    PROBLEM_TYPE,
    REQUEST_ID,
    ClientGone,
    RawHeaders,
    check_room,
    language_of,
    problem_document,
    refusal_headers,
    request_id_of,
    send_whole,
    to_client,
)
from zscrape.gateway.api.scrape import ScrapeEndpoint
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.state import GatewayState, HttpPolicy
from zscrape.gateway.webhook import comes_signed

__all__ = ["GatewayState", "HttpPolicy", "build_app"]

_SAFE_HEADERS: Final[RawHeaders] = [(b"x-content-type-options", b"nosniff")]


def build_app(state: GatewayState) -> Starlette:
    """Return the HTTP API of the gateway made of these parts."""
    scrape = ScrapeEndpoint(state)
    app = Starlette(
        routes=[
            Route("/scrape", scrape, methods=["POST"]),
            *bulk.routes(),
            *export.routes(),
            *waiting.routes(),
            *tasks.routes(),
            *deadletters.routes(),
            *output.routes(),
            *catalogue.routes(),
            *scripts.routes(),
            *workers.routes(),
            *status.routes(),
        ],
        middleware=[Middleware(Edge, state=state, scrape=scrape)],
        exception_handlers={HTTPException: _http_error},
    )
    # A path with a slash too many is told as unknown: a redirect would drop a POST's body.
    app.router.redirect_slashes = False
    app.state.gateway = state
    return app


class Edge:
    """Every call passes here first; nothing that is raised passes here unanswered."""

    def __init__(self, app: ASGIApp, state: GatewayState, scrape: ASGIApp) -> None:
        self._app = app
        self._state = state
        self._scrape = scrape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; one whose client has gone is answered by nobody."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        way: ASGIApp = self._route
        if scope["path"] == "/scrape" and scope["method"] == "POST":
            way = self._scrape
        with contextlib.suppress(ClientGone):
            await way(scope, receive, to_client(send))

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = self._state
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scope[REQUEST_ID] = new_task_id()
        answer = _Answer(scope, send)
        try:
            is_webhook = scope["path"] == catalogue.WEBHOOK_PATH and comes_signed(headers)
            if scope["path"] not in status.PUBLIC_PATHS:
                check_room(scope, state.policy)
                if not is_webhook:
                    scope[CLIENT] = state.access.authenticate(headers)
            await self._app(scope, receive, answer.send)
        except ClientGone:
            raise
        except ZscrapeError as error:
            await self._refuse(error, scope, headers, answer)
        except Exception as error:  # noqa: BLE001 - the edge: told to the log and the client
            state.report("request_failed", request_id_of(scope), error)
            await self._refuse(ZscrapeError(), scope, headers, answer)

    async def _refuse(
        self, error: ZscrapeError, scope: Scope, headers: dict[bytes, bytes], answer: _Answer
    ) -> None:
        if answer.is_started:
            raise error  # half an answer has left: only the connection's end can tell
        lang = language_of(headers, self._state.policy.lang)
        body = problem_document(error, request_id_of(scope), lang)
        told = refusal_headers(error)
        await send_whole(answer.send, error.http_status, body, PROBLEM_TYPE, told)


class _Answer:
    """Puts the call's id and the headers of every answer in front."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.is_started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_started = True
            request_id = request_id_of(self._scope).encode()
            headers = [*message.get("headers", ()), *_SAFE_HEADERS, (b"x-request-id", request_id)]
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
    body = problem_document(told, request_id_of(request.scope), lang)
    return Response(body, told.http_status, headers=error.headers, media_type=PROBLEM_TYPE.decode())
