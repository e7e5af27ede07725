"""`/v1/locks`: who holds what, and taking it from one who should not."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.core.snapshots import LockSnapshot
from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    check_query,
    client_of,
    gateway_of,
    is_true,
    told,
    whole,
)
from zscrape.gateway.clients import Client
from zscrape.gateway.envelope import moment
from zscrape.gateway.state import GatewayState
from zscrape.log import get_logger

_WAITING_LIMIT_COUNT: Final = 20  # told one by one
_LIMIT_COUNT: Final = 10_000


@needs("read")
async def locks(request: Request) -> Response:
    """`GET /v1/locks`: the longest held first; `prefix` chooses by the beginning of the key."""
    check_query(request, ("prefix", "limit"))
    state = gateway_of(request)
    limit = whole(request, "limit", 1_000, low=1, high=_LIMIT_COUNT) or 1_000
    prefix = request.query_params.get("prefix", "")
    found = [lock for lock in await _all(state) if lock.key.startswith(prefix)]
    client = client_of(request)
    if client.is_narrowed:
        found = [lock for lock in found if await _is_seen(state, client, lock)]
    views = [await _view(state, lock) for lock in found[:limit]]
    if client.is_narrowed:  # whose tasks wait is not told by their ids
        views = [view | {"waiting": ()} for view in views]
    return told({"locks": views, "total_count": len(found)})


async def _is_seen(state: GatewayState, client: Client, lock: LockSnapshot) -> bool:
    try:
        return client.sees(await state.service.get(lock.holder))
    except NotFound:
        return False


@needs("admin", act="locks.break")
async def break_lock(request: Request) -> Response:
    """`DELETE /v1/locks/{key}`: end the holder; the key is free once its attempt is over.

    With `force=1` the key is free at once, although the attempt may run for a moment longer;
    that of another gateway's task is free when its attempt is over, by force or not.
    """
    check_query(request, ("force",))
    is_forced = is_true(request, "force")
    state = gateway_of(request)
    key = request.path_params["key"]
    before = await _find(state, key)
    view = await _view(state, before)
    after: LockSnapshot | None = before
    if before.is_far:
        with contextlib.suppress(NotFound):  # it has ended, and is forgotten: its key comes free
            await state.service.cancel(before.holder)
    else:
        state.router.break_lock(key, is_forced=is_forced)
        after = next((lock for lock in state.router.locks() if lock.key == key), None)
    is_free = after is None or after.fence != before.fence
    get_logger().warning(
        "lock_broken",
        key=key,
        holder=before.holder,
        client=client_of(request).id,
        is_forced=is_forced,
        is_free=is_free,
    )
    next_holder = after.holder if after is not None and is_free else None
    return told({**view, "freed": is_free, "next_holder": next_holder})


async def _all(state: GatewayState) -> list[LockSnapshot]:
    """Return every lock, the longest held first."""
    far = await state.service.elsewhere.locks()
    found = {lock.key: lock for lock in state.router.locks()}
    for each in far:
        here = found.get(each.key)  # who waits for it here
        waiting = () if here is None else here.waiting
        told = (each.key, each.holder, each.age_s, each.fence)
        found[each.key] = LockSnapshot(*told, is_closing=False, waiting=waiting, is_far=True)
    return sorted(found.values(), key=lambda lock: -lock.age_s)


async def _find(state: GatewayState, key: str) -> LockSnapshot:
    """Return a lock.

    Raises:
        NotFound: Nobody holds this key.
    """
    for lock in await _all(state):
        if lock.key == key:
            return lock
    raise NotFound(kind="lock", name=key[:80])


async def _view(state: GatewayState, lock: LockSnapshot) -> dict[str, Any]:
    view: dict[str, Any] = {
        "key": lock.key,
        "holder": lock.holder,
        "since": moment(time.time() - lock.age_s),
        "age_s": round(lock.age_s, 3),
        "fence": lock.fence,
        "closing": lock.is_closing,
        "waiting_count": len(lock.waiting),
        "waiting": lock.waiting[:_WAITING_LIMIT_COUNT],
    }
    try:
        row = await state.service.get(lock.holder)
    except NotFound:
        return view
    return view | {
        "script_name": row.script_name,
        "status": row.status.value,
        "origin": row.origin,
        "worker_id": row.worker_id,
        "client": row.client,
        "schedule_id": row.schedule_id or None,
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/locks", locks, methods=["GET"]),
        Route("/v1/locks/{key:path}", break_lock, methods=["DELETE"]),
    ]
