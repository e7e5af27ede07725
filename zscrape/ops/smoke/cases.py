"""The cases: each a function that returns when all is well, in the order in which they run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from zscrape.client import ClientError
from zscrape.ops.smoke.bench import Bench, CaseFailed, CaseSkipped

_ROUND_COUNT: Final = 5  # of tasks, until every worker has had one
_SPREAD_S: Final = 0.3  # long enough that no worker can take the tasks of another
_WRONG_KEY: Final = "zsk_this_key_does_not_exist"


def health(bench: Bench) -> None:
    """The process, its link, its store and its catalogue work, and it takes tasks."""
    answer = bench.call("GET", "/health", key="")
    document = answer.expect("HTTP 200", answer.status == 200).document()
    answer.expect("status=ok", document.get("status") == "ok")
    ready = bench.call("GET", "/ready", key="")
    ready.expect("HTTP 200", ready.status == 200)


def authentication(bench: Bench) -> None:
    """Without a key and with a wrong one there is nothing to see; with the right one there is."""
    for key in ("", _WRONG_KEY):
        answer = bench.call("GET", "/v1/tasks?limit=1", key=key)
        answer.expect("HTTP 401", answer.status == 401)
    answer = bench.call("GET", "/v1/tasks?limit=1")
    answer.expect("HTTP 200", answer.status == 200)


def scopes(bench: Bench) -> None:
    """A key that may only read cannot run anything, and is dead once it is revoked."""
    listed = bench.call("GET", "/v1/keys")
    if listed.status == 404:
        raise CaseSkipped("/v1/keys")
    listed.expect("HTTP 200", listed.status == 200)
    body = {"name": "zscrape smoke", "scopes": ["read"], "expires_in": 300}
    made = bench.call("POST", "/v1/keys", body=body).document()

    def revoke() -> None:
        answer = bench.call("DELETE", f"/v1/keys/{made['id']}")
        answer.expect("HTTP 2xx or 404", answer.status < 300 or answer.status == 404)

    bench.made(f"key {made['id']}", revoke)
    reading = bench.call("GET", "/v1/tasks?limit=1", key=made["key"])
    reading.expect("HTTP 200", reading.status == 200)
    running = bench.call("POST", "/v1/tasks", key=made["key"], body={"script_name": "any"})
    running.expect("HTTP 403", running.status == 403)
    revoke()
    again = bench.call("GET", "/v1/tasks?limit=1", key=made["key"])
    again.expect("HTTP 401, or 429 to a guesser", again.status in (401, 429))


def workers(bench: Bench) -> None:
    """At least one worker is there."""
    answer = bench.call("GET", "/v1/workers")
    answer.document()
    answer.expect("workers[].status=live", bool(_live(bench)))


def _live(bench: Bench) -> list[dict[str, Any]]:
    found = bench.call("GET", "/v1/workers").document()["workers"]
    return [worker for worker in found if worker["status"] == "live"]


def run(bench: Bench) -> None:
    """The probe runs to its end and its items come back."""
    request, envelope = bench.run({"act": "echo"}, timeout=60)
    if envelope["status"] != "completed" or envelope.get("data") != [{"act": "echo"}]:
        raise CaseFailed(request, _told(envelope), "status=completed and its items")


def routing(bench: Bench) -> None:
    """Every live worker gets a task and ends it well."""
    probe = bench.probe
    wanted = {worker["id"] for worker in _live(bench)}
    count = sum(max(1, worker["slots"]) for worker in _live(bench))
    task = {"script_name": probe, "parameters": {"seconds": _SPREAD_S}, "timeout": 60}
    seen: set[str] = set()
    request = f"POST /v1/tasks/batch ({count} times {probe})"
    for _ in range(_ROUND_COUNT):
        try:
            views = bench.client.submit_many([task] * min(count, 500))
            ids = [view["request_id"] for view in views if "request_id" in view]
            ended = bench.client.wait_many(ids, wait_s=60, count=len(ids)) if ids else []
        except ClientError as error:
            raise CaseFailed(request, f"{error.code}: {error}", "an answer") from error
        seen |= {view["worker_id"] for view in ended if view.get("status") == "completed"}
        if wanted and wanted <= seen:
            return
    raise CaseFailed(request, f"workers {sorted(seen)}", f"workers {sorted(wanted)}")


def repositories(bench: Bench) -> None:
    """Every repository can be read, and a script of each is there whole; what is for this runs."""
    answer = bench.call("GET", "/v1/scripts")
    catalogue = answer.document()
    for repository in catalogue.get("repositories", ()):
        answer.expect(f"repository {repository['name']} can be read", not repository.get("error"))
    firsts: dict[str, dict[str, Any]] = {}
    for script in catalogue.get("scripts", ()):
        if not script.get("problems"):
            firsts.setdefault(str(script.get("repository")), script)
    for script in firsts.values():
        found = bench.call("GET", f"/v1/scripts/{script['name']}")
        document = found.document()
        found.expect("digest=sha256:...", str(document.get("digest", "")).startswith("sha256:"))


def limit_memory(bench: Bench) -> None:
    """A script that takes more memory than it may is ended for that."""
    _limited(bench, {"act": "memory"}, "memory_limit")


def limit_time(bench: Bench) -> None:
    """A script that takes longer than it may is ended for that."""
    _limited(bench, {"seconds": 30.0}, "timeout", timeout=2)


def _limited(bench: Bench, parameters: dict[str, Any], code: str, **options: Any) -> None:
    request, envelope = bench.run(parameters, **options)
    error = envelope.get("error") or {}
    if error.get("code") != code:
        raise CaseFailed(request, _told(envelope), f"error.code={code}")


def events(bench: Bench) -> None:
    """The stream of a task tells of its log, its progress, its item and its result."""
    probe = bench.probe
    kinds: list[str] = []
    request = f"GET /v1/tasks/.../events of {probe}"
    try:
        task_id = bench.client.submit(probe, {"act": "echo"}, timeout=60)["request_id"]
        kinds = [event.kind for event in bench.client.events(task_id)]
    except ClientError as error:
        raise CaseFailed(request, f"{error.code}: {error}", "a stream") from error
    missing = {"state", "log", "progress", "item", "result"} - set(kinds)
    if missing:
        raise CaseFailed(request, " ".join(kinds), f"events {' '.join(sorted(missing))} too")


def metrics(bench: Bench) -> None:
    """Figures can be read by Prometheus."""
    answer = bench.call("GET", "/metrics")
    answer.expect("HTTP 200", answer.status == 200)
    answer.expect("scraping_active_workers", "\nscraping_active_workers " in answer.text)


def schedule(bench: Bench) -> None:
    """A schedule that is due every second fires."""
    if bench.call("GET", "/v1/schedules").status == 404:
        raise CaseSkipped("/v1/schedules")
    body = {"name": bench.probe, "script_name": bench.probe, "interval": 1, "timeout": 60}
    made = bench.call("POST", "/v1/schedules", body=body).document()

    def remove() -> None:
        answer = bench.call("DELETE", f"/v1/schedules/{made['id']}")
        answer.expect("HTTP 2xx or 404", answer.status < 300 or answer.status == 404)

    bench.made(f"schedule {made['id']}", remove)
    bench.until(
        lambda: bench.call("GET", f"/v1/schedules/{made['id']}/occurrences"),
        lambda document: any(each.get("status") == "fired" for each in document["occurrences"]),
        "an occurrence with status=fired",
    )
    remove()


def _told(envelope: dict[str, Any]) -> str:
    error = envelope.get("error") or {}
    told = f"status={envelope.get('status')}"
    if error:
        told += f" error.code={error.get('code')}: {error.get('message')}"
    seconds = float(envelope.get("execution_time") or math.nan)
    return f"{told} ({seconds:.1f} s)"


CASES: Final[dict[str, Callable[[Bench], None]]] = {
    "health": health,
    "authentication": authentication,
    "scopes": scopes,
    "workers": workers,
    "repositories": repositories,
    "run": run,
    "routing": routing,
    "events": events,
    "limit_time": limit_time,
    "limit_memory": limit_memory,
    "schedule": schedule,
    "metrics": metrics,
}
