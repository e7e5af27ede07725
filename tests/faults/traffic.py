"""A seeded stream of tasks through every door, and a record of all that clients were told."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import httpx
from msgspec import Struct, field

from tests.faults.services import Cluster, pause

_KEYS = ("red", "green", "blue")
_AGAIN_S = 0.2
# How many of those handed in may be unfinished: beyond it the stream waits, as clients do.
_AHEAD_COUNT = 400


class Told(Struct):
    """What clients know. Ids are those of answers that said: accepted."""

    accepted: dict[str, int] = field(default_factory=dict)  # id to the task's number
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)  # id to its envelope
    by_key: dict[str, set[str]] = field(default_factory=dict)  # idempotency key to ids
    refused: dict[str, int] = field(default_factory=dict)  # reason to count
    cut_count: int = 0  # calls whose connection broke
    faults: list[str] = field(default_factory=list)


class Traffic:
    """Threads that hand tasks in until they are stopped; the same seed hands in the same."""

    def __init__(self, cluster: Cluster, seed: int, *, caller_count: int = 3) -> None:
        self.told = Told()
        self._cluster = cluster
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._number = 0
        jobs: list[tuple[Callable[[random.Random], None], int]] = [
            (self._hand_in_many, seed),
            (self._hand_in_twice, seed + 1),
            *((self._call, seed + 2 + index) for index in range(caller_count)),
        ]
        self._threads = [
            threading.Thread(target=self._keep_on, args=(work, random.Random(each)))
            for work, each in jobs
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hand nothing more in; returns when the last call has its answer."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    # ---- the doors -------------------------------------------------------------------

    def _keep_on(self, work: Callable[[random.Random], None], rng: random.Random) -> None:
        while not self._is_over.is_set():
            try:
                work(rng)
            except Exception as error:  # noqa: BLE001 - told by the accounting
                self._note_fault(f"{work.__name__}: {error!r}")

    def _hand_in_many(self, rng: random.Random) -> None:
        """A batch by `POST /v1/tasks`, then a moment's rest."""
        bodies = [self._body(rng) for _ in range(rng.randint(1, 30))]
        answer = self._post("/v1/tasks", bodies)
        if answer is not None and answer.status_code == 202:
            for body, each in zip(bodies, answer.json()["tasks"], strict=True):
                if "request_id" in each:
                    self._note_accepted(each["request_id"], body)
        while self._unfinished_count() > _AHEAD_COUNT and not self._is_over.is_set():
            pause(_AGAIN_S)
        pause(rng.uniform(0.05, 0.3))

    def _hand_in_twice(self, rng: random.Random) -> None:
        """The same task with the same key twice: it is one task."""
        body = self._body(rng)
        key = f"twice-{body['parameters']['number']}"
        for _ in range(2):
            answer = self._post("/v1/tasks", body, key)
            if answer is not None and answer.status_code == 202:
                self._note_accepted(answer.json()["request_id"], body, key)
        pause(rng.uniform(0.05, 0.3))

    def _call(self, rng: random.Random) -> None:
        """An open call with a key, repeated until there is an answer, as clients do."""
        body = self._body(rng)
        key = f"call-{body['parameters']['number']}"
        for _ in range(100):
            answer = self._post("/scrape", body, key)
            if answer is not None and answer.status_code not in (429, 503):
                self._note_envelope(answer, body, key)
                return
            if self._is_over.is_set():
                return
            pause(_AGAIN_S)

    def _body(self, rng: random.Random) -> dict[str, Any]:
        with self._lock:
            self._number += 1
            number = self._number
        seconds = rng.choice((0.0, 0.0, 0.0, 0.02, 0.1, rng.uniform(0.2, 1.0)))
        if rng.random() < 0.1:
            key = rng.choice(_KEYS)
            more = {"alone": key, "lock_key": key, "overlap": "queue_all"}
            return self._cluster.task(number, min(seconds, 0.02), **more)
        return self._cluster.task(number, seconds)

    def _post(self, path: str, body: Any, key: str = "") -> httpx.Response | None:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = self._cluster.http.post(path, json=body, headers=headers)
        except httpx.TransportError:
            with self._lock:
                self.told.cut_count += 1
            pause(_AGAIN_S)
            return None
        if answer.status_code in (429, 503):
            told = answer.json()
            code = str(told.get("code") or told["error"]["code"])
            with self._lock:
                self.told.refused[code] = self.told.refused.get(code, 0) + 1
            if "retry-after" not in answer.headers:
                self._note_fault(f"{answer.status_code} {code} without Retry-After")
        elif answer.status_code >= 400:
            self._note_fault(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer

    # ---- the record ------------------------------------------------------------------

    def _note_accepted(self, task_id: str, body: dict[str, Any], key: str = "") -> None:
        with self._lock:
            self.told.accepted[task_id] = body["parameters"]["number"]
            if key:
                self.told.by_key.setdefault(key, set()).add(task_id)

    def _note_envelope(self, answer: httpx.Response, body: dict[str, Any], key: str) -> None:
        envelope = answer.json()
        self._note_accepted(envelope["request_id"], body, key)
        with self._lock:
            self.told.ended[envelope["request_id"]] = envelope

    def _note_fault(self, fault: str) -> None:
        with self._lock:
            self.told.faults.append(fault)

    def _unfinished_count(self) -> int:
        try:
            status = self._cluster.http.get("/status").json()
        except httpx.TransportError:
            return 0
        return int(status["queue_length"])
