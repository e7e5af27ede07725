"""`/v1/overview`: how it goes, at a glance and as it changes."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import check_query, disconnect, gateway_of
from zscrape.gateway.api.status import figures
from zscrape.gateway.api.streams import EVENT_STREAM
from zscrape.gateway.events import reschedule
from zscrape.gateway.state import GatewayState


@needs("read", "run")
async def overview(request: Request) -> Response:
    """`GET /v1/overview`: the figures of now, and of each minute of the last hour."""
    check_query(request, ())
    return Response(await _document(gateway_of(request)), media_type="application/json")


@needs("read", "run")
async def events(request: Request) -> Response:
    """`GET /v1/overview/events`: the same as server-sent events, as it changes.

    It ends after as long as any wait may take (`max_wait_s`); a browser dials again by itself.
    """
    check_query(request, ())
    return _Stream(gateway_of(request))


async def _document(state: GatewayState, **freshness: float) -> bytes:
    return await state.pulse.document(lambda: figures(state), **freshness)


class _Stream(Response):
    """Events until the reader has gone or the gateway closes."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write them; a reader that takes nothing for too long is cut."""
        hub = self._state.hub
        gone = asyncio.create_task(disconnect(receive), name="watch overview")
        try:
            async with asyncio.timeout(None) as guard:
                hub.opened(guard)
                try:
                    await self._tell(send, guard, gone)
                finally:
                    hub.ended(guard)
        except TimeoutError:
            return
        finally:
            gone.cancel()

    async def _tell(self, send: Send, guard: asyncio.Timeout, gone: asyncio.Task[None]) -> None:
        state, loop = self._state, asyncio.get_running_loop()
        headers = [
            (b"content-type", EVENT_STREAM),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # a proxy that gathers answers would hold it back
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        ends_at = loop.time() + state.policy.max_wait_s
        with state.feed.joined(lambda: _document(state, fresh_s=0.0)):
            frame = b"event: overview\ndata: %s\n\n" % await _document(state)
            while not (gone.done() or state.hub.is_closed or loop.time() >= ends_at):
                following = state.feed.next()  # before the sending: what comes then is not missed
                reschedule(guard, loop.time() + state.policy.stall_limit_s)
                await send({"type": "http.response.body", "body": frame, "more_body": True})
                reschedule(guard, None)
                left_s = max(0.0, ends_at - loop.time())
                done, _ = await asyncio.wait(
                    (following, gone), timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                frame = following.result() if following in done else b""
        if not gone.done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/overview", overview, methods=["GET"]),
        Route("/v1/overview/events", events, methods=["GET"]),
    ]
