"""The whole answer, and what is counted: the promise `ENVELOPE`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Raw

from bench.floors.ladder.lives import Task
from zscrape.gateway.counters import LONG_S, SHORT_S, Histogram
from zscrape.gateway.envelope import Envelope, ErrorView, encode, links_of

_GATHERED_COUNT = 64
_INLINE_BYTES = 1024 * 1024
_CHECK = msgspec.json.Decoder(Raw).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)


def envelope(task: Task) -> bytes:
    """Return the answer of a task, with every field of the contract."""
    pin = task.script.pin
    began_at, data = task.assigned_at, task.data
    is_inline = data is None or len(data) <= _INLINE_BYTES
    return encode(
        Envelope(
            request_id=task.id,
            status=task.status,
            data=Raw(data) if is_inline and data is not None else None,
            links=UNSET if is_inline else links_of(task.id),
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
        self._gathered: list[Task] = []  # ended, and not counted yet

    def note(self, task: Task) -> None:
        """Count a task that has ended, together with others: that takes half the time."""
        self._gathered.append(task)
        if len(self._gathered) >= _GATHERED_COUNT:
            self._settle()

    def _settle(self) -> None:
        gathered, self._gathered = self._gathered, []
        named = [(task.script.pin.name, task.status, task.key.client) for task in gathered]
        for series, count in Counter(named).items():
            self._requests[series] = self._requests.get(series, 0) + count
        for name in {each[0] for each in named}:
            durations = self._durations.setdefault(name, Histogram(LONG_S))
            tasks = [task for task in gathered if task.script.pin.name == name]
            durations.add_all([(task.finished_at or 0.0) - task.created_at for task in tasks])
        for code, count in Counter([task.code for task in gathered]).items():
            self._attempts[code] = self._attempts.get(code, 0) + count
        ran = [task for task in gathered if task.assigned_at is not None]
        self._dispatch.add_all([(task.assigned_at or 0.0) - task.created_at for task in ran])
        self._child.add_all([task.run_s for task in ran])
        self._cpu_s += sum([task.cpu_s for task in ran])

    def text(self) -> str:
        """Return all of it as Prometheus reads it."""
        self._settle()
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
