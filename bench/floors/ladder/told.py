"""The whole answer, and what is counted: the promise `ENVELOPE`."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Raw

from bench.floors.ladder.lives import Task
from zscrape.gateway.counters import LONG_S, SHORT_S, Histogram
from zscrape.gateway.envelope import Envelope, ErrorView, encode

_CHECK = msgspec.json.Decoder(Raw).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)


def envelope(task: Task) -> bytes:
    """Return the answer of a task, with every field of the contract."""
    pin = task.script.pin
    began_at = task.assigned_at
    return encode(
        Envelope(
            request_id=task.id,
            status=task.status,
            data=None if task.data is None else Raw(task.data),
            error=None if task.code == "ok" else _error(task),
            execution_time=task.run_s,
            script_name=pin.name,
            version=pin.version,
            digest=pin.digest,
            worker_id=task.worker_id,
            attempts=task.attempts,
            created_at=datetime.fromtimestamp(task.created_at, UTC),
            finished_at=datetime.fromtimestamp(task.finished_at or 0.0, UTC),
            queue_time=None if began_at is None else began_at - task.created_at,
        )
    )


def checked(code: str, data: bytes | None) -> tuple[str, bytes | None]:
    """Return an outcome of a worker; one whose data is no JSON is a failure."""
    if data is None:
        return code, None
    try:
        _CHECK(data)
    except _UNREADABLE:
        return "result_invalid", None
    return code, data


def _error(task: Task) -> ErrorView:
    told = task.error
    words = told.get("message", "") or task.code
    return ErrorView(
        task.code, words, type=told.get("type", ""), traceback=told.get("traceback", "")
    )


class Metrics:
    """What has happened, as plain numbers."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str], int] = {}  # by script, state, client
        self._durations: dict[str, Histogram] = {}
        self._attempts: dict[str, int] = {}  # by outcome
        self._dispatch, self._child = Histogram(SHORT_S), Histogram(LONG_S)
        self._cpu_s = 0.0

    def note(self, task: Task) -> None:
        """Count a task that has ended."""
        name = task.script.pin.name
        series = name, task.status, task.client
        self._requests[series] = self._requests.get(series, 0) + 1
        duration = self._durations.get(name)
        if duration is None:
            duration = self._durations[name] = Histogram(LONG_S)
        duration.add((task.finished_at or 0.0) - task.created_at)
        self._attempts[task.code] = self._attempts.get(task.code, 0) + 1
        if task.assigned_at is not None:
            self._dispatch.add(task.assigned_at - task.created_at)
            self._child.add(task.run_s)
            self._cpu_s += task.cpu_s

    def text(self) -> str:
        """Return all of it as Prometheus reads it."""
        told = [
            f'scraping_requests_total{{script_name="{name}",status="{status}",client_id="{client}"}}'
            f" {count}"
            for (name, status, client), count in self._requests.items()
        ]
        told += [
            f'zscrape_attempts_total{{code="{code}"}} {n}' for code, n in self._attempts.items()
        ]
        told.append(f"zscrape_script_cpu_seconds_total {self._cpu_s}")
        named = {f'{{script_name="{name}"}}': each for name, each in self._durations.items()}
        for labels, each in named.items():
            told.append(f"scraping_request_duration_seconds_sum{labels} {each.sum}")
            told.append(f"scraping_request_duration_seconds_count{labels} {sum(each.counts)}")
        for name, each in (("dispatch_latency", self._dispatch), ("child", self._child)):
            told.append(f"zscrape_{name}_seconds_sum {each.sum}")
            told.append(f"zscrape_{name}_seconds_count {sum(each.counts)}")
        return "\n".join(told) + "\n"
