"""`/v1/workers`: who works here, and putting one to rest."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.core.snapshots import WorkerSnapshot
from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import check_query, client_of, gateway_of, told


@needs("read")
async def workers(request: Request) -> Response:
    """`GET /v1/workers`: load, tags, facts and running attempts of every worker."""
    check_query(request, ())
    found = gateway_of(request).router.snapshot().workers
    # Ids alone do not say whose tasks they are: who may not see all of them sees none here.
    sees_all = not client_of(request).is_narrowed
    return told({"workers": [_view(worker, has_running=sees_all) for worker in found]})


@needs("admin", act="workers.drain")
async def drain(request: Request) -> Response:
    """`POST /v1/workers/{id}/drain`: it ends what it runs and takes nothing new."""
    return _set_draining(request, is_draining=True)


@needs("admin", act="workers.resume")
async def resume(request: Request) -> Response:
    """`POST /v1/workers/{id}/resume`: it takes work again."""
    return _set_draining(request, is_draining=False)


def _set_draining(request: Request, *, is_draining: bool) -> Response:
    check_query(request, ())
    router = gateway_of(request).router
    worker_id = request.path_params["worker_id"]
    router.drain_worker(worker_id, is_draining=is_draining)
    for worker in router.snapshot().workers:
        if worker.id == worker_id:
            return told(_view(worker))
    raise NotFound(kind="worker", name=worker_id[:80])


def _view(worker: WorkerSnapshot, *, has_running: bool = True) -> dict[str, Any]:
    facts = worker.facts
    return {
        "id": worker.id,
        "status": worker.status.value,
        "slots": worker.slots,
        "in_flight_count": worker.in_flight_count,
        "tags": worker.tags,
        "cpu_percent": worker.load.cpu_percent,
        "memory_percent": worker.load.memory_percent,
        "running": [
            {"request_id": task_id, "attempt": attempt}
            for task_id, attempt in (worker.running if has_running else ())
        ],
        "warm_count": worker.warm_count,
        "last_heard_s": round(worker.last_heard_s, 3),
        "facts": {name: getattr(facts, name) for name in facts.__struct_fields__},
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/workers", workers, methods=["GET"]),
        Route("/v1/workers/{worker_id}/drain", drain, methods=["POST"]),
        Route("/v1/workers/{worker_id}/resume", resume, methods=["POST"]),
    ]
