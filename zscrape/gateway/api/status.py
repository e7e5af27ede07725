"""`/health`, `/ready`, `/status` and `/v1/pressure`: how the gateway is."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

import zscrape
from zscrape.core.snapshots import Snapshot, WorkerStatus
from zscrape.errors import RefusedError
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import check_query, gateway_of, told
from zscrape.gateway.state import GatewayState
from zscrape.machine import memory_percent
from zscrape.scripts.catalogue import Catalogue


@needs("open")
async def health(request: Request) -> Response:
    """`GET /health`: 200 while the process does its work, and what its parts say.

    `router` is the link: without it nothing runs, so that alone makes it 503.
    """
    state = gateway_of(request)
    router_fault = state.router.fault()
    components = {
        "router": router_fault or "ok",
        "store": state.store.fault() or "ok",
        "catalogue": _catalogue_word(state.catalogue),
        "workers": "ok" if _active_count(state.router.snapshot()) else "none",
    }
    if router_fault:
        return told({"status": "failing", "components": components}, 503)
    is_well = components["store"] == components["catalogue"] == "ok"
    word = "draining" if _is_ending(state) else "ok" if is_well else "degraded"
    return told({"status": word, "components": components})


def _catalogue_word(catalogue: Catalogue) -> str:
    """Say whether all repositories, some or none can be read; what is cached runs anyhow."""
    faulty_count = len(catalogue.faults())
    if not faulty_count:
        return "ok"
    return "unreadable" if faulty_count == catalogue.repository_count else "degraded"


@needs("open")
async def ready(request: Request) -> Response:
    """`GET /ready`: 200 while it takes tasks. It does so without workers, who dial in here."""
    state = gateway_of(request)
    workers = _active_count(state.router.snapshot())
    if _is_ending(state):
        return told({"status": "draining", "active_workers": workers}, 503)
    fault = state.store.fault()
    if fault:
        return told({"status": fault, "active_workers": workers}, 503)
    return told({"status": "ready", "active_workers": workers})


@needs("open")
async def status(request: Request) -> Response:
    """`GET /status`: the figures at a glance."""
    return told(figures(gateway_of(request)))


def figures(state: GatewayState) -> dict[str, Any]:
    """Return how busy this gateway is now."""
    snapshot = state.router.snapshot()
    return {
        "status": "draining" if _is_ending(state) else "ok",
        "gateway_id": state.gateway_id,
        "version": zscrape.__version__,
        "uptime_s": round(max(0.0, time.time() - state.started_at), 3),
        "queue_length": snapshot.queued_count,
        "oldest_queued_s": round(snapshot.oldest_queued_s, 3),
        "assigned_count": snapshot.assigned_count,
        "running_count": snapshot.running_count,
        "active_workers": _active_count(snapshot),
        "garbage_count": state.router.garbage_count,
        "slot_count": snapshot.slot_count,
        "free_slot_count": snapshot.free_slot_count,
        # Since the last call: a figure over a moment of its own would have to wait for it.
        "cpu_usage": state.processors.percent(),
        "memory_usage": memory_percent(),
    }


@needs("read", "run")
async def pressure(request: Request) -> Response:
    """`GET /v1/pressure`: is there room? As JSON, or 200/503 in plain text for balancers."""
    check_query(request, ())
    state = gateway_of(request)
    snapshot = state.router.snapshot()
    reason = _reason(state, snapshot)
    has_room = reason == "ok"
    headers = {} if has_room else {"Retry-After": str(RefusedError.retry_after_s)}
    if "text/plain" in request.headers.get("accept", ""):
        return PlainTextResponse(f"{reason}\n", 200 if has_room else 503, headers)
    view: dict[str, Any] = {
        "has_room": has_room,
        "reason": reason,
        "slot_count": snapshot.slot_count,
        "free_slot_count": snapshot.free_slot_count,
        "queue_length": snapshot.queued_count,
        "oldest_queued_s": round(snapshot.oldest_queued_s, 3),
        "active_workers": _active_count(snapshot),
    }
    return told(view)


def _reason(state: GatewayState, snapshot: Snapshot) -> str:
    if _is_ending(state):
        return "draining"
    if state.store.fault():
        return state.store.fault()
    if not snapshot.slot_count:
        return "no_worker"
    return "ok" if snapshot.free_slot_count or not snapshot.queued_count else "busy"


def _is_ending(state: GatewayState) -> bool:
    return state.is_draining or state.hub.is_closed


def _active_count(snapshot: Snapshot) -> int:
    """Return how many workers are there and take work."""
    return sum(worker.status is WorkerStatus.LIVE for worker in snapshot.workers)


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/health", health, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
        Route("/status", status, methods=["GET"]),
        Route("/v1/pressure", pressure, methods=["GET"]),
    ]
