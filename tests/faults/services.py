"""Real gateways and workers, each a process of its own, to which anything may be done."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.link_keys import home_token
from zscrape.config import TOKEN_PREFIX

SCRIPTS = Path(__file__).parent / "scripts"
_POLL_S = 0.02
_START_S = 40.0
_END_S = 40.0
# Finished tasks that are kept: the accounting looks at every one of them.
_KEPT_COUNT = 1_000_000


def pause(seconds: float) -> None:
    """Let a fault last. The one place of these tests that sleeps: real faults take real time."""
    time.sleep(seconds)


def until(condition: Callable[[], Any], within_s: float = 40.0) -> Any:
    """Return what `condition` says once that is true; fails when it is not in time."""
    ends_at = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < ends_at, f"not within {within_s:g} s: {condition}"
        pause(_POLL_S)
    return found


class Service:
    """One `zscrape` process in a session of its own; what it logs goes to a file."""

    def __init__(
        self,
        *arguments: str,
        log: Path,
        environ: dict[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        self.log = log
        self.was_killed = False
        self._log_start_bytes = log.stat().st_size if log.exists() else 0
        with log.open("ab") as errors:
            # The launcher executes the rest in its own place: its pid becomes the service's.
            self._popen = subprocess.Popen(
                [*launcher, sys.executable, "-m", "zscrape", *arguments, "--json"],
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **(environ or {})},
                text=True,
                start_new_session=True,
            )
        self.pid = self._popen.pid
        assert self._popen.stdout is not None
        if not select.select([self._popen.stdout], [], [], _START_S)[0]:
            self.kill()
            raise AssertionError(f"not ready in {_START_S:g} s: {log.read_text('utf-8')}")
        self._line = self._popen.stdout.readline()
        self.ready: dict[str, Any] = json.loads(self._line) if self._line else {}

    @property
    def is_ready(self) -> bool:
        """True iff it came up."""
        return self.ready.get("event") == "ready"

    @property
    def is_running(self) -> bool:
        """True until it has ended."""
        return self._popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to what it has started."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """`kill -9`, stopped or not."""
        self.was_killed = True
        self._popen.kill()
        self.wait()

    def wait(self, timeout_s: float = _END_S) -> int:
        """Wait for the end; returns the exit code."""
        code = self._popen.wait(timeout=timeout_s)
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        return code

    def end(self) -> int:
        """End it in good order; by force, and as a failure, when it does not obey."""
        if self.is_running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def refusal(self) -> tuple[int, str]:
        """Return the exit code of a service that should not have come up, and all its words.

        Raises:
            AssertionError: It came up.
        """
        if self.is_ready:
            self.end()
            raise AssertionError("it came up")
        code = self.wait()
        return code, self._line + self.words()

    def words(self) -> str:
        """Return what this process has logged; its forerunners wrote to the same file."""
        return self.log.read_bytes()[self._log_start_bytes :].decode("utf-8", "replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        told = [json.loads(line) for line in self.words().splitlines() if line.startswith("{")]
        return [each for each in told if each.get("event") == name]

    def children(self) -> list[psutil.Process]:
        """Return the processes that it has started and that have not ended, all levels."""
        return psutil.Process(self.pid).children(recursive=True)

    def memory_bytes(self) -> int:
        """Return how much memory it holds."""
        return int(psutil.Process(self.pid).memory_info().rss)


class Cluster:
    """A gateway and any number of workers below one folder; `close` proves that all is gone."""

    def __init__(
        self,
        root: Path,
        *,
        scripts: Path | None = SCRIPTS,
        settings: dict[str, str] | None = None,
        link: str = "tcp://127.0.0.1:0",
        launcher: Sequence[str] = (),
        view: str = "",
    ) -> None:
        """Start the gateway.

        Args:
            root: Everything is kept below it.
            scripts: Where scripts come from.
            settings: Environment variables of all processes.
            link: Where the gateway listens for workers.
            launcher: What starts the gateway in its place.
            view: Where this process sees the gateway's root folder, if not as its own.
        """
        self.root = root
        self._home = root / "gateway"
        self.home = Path(f"{view}{self._home}")
        self.notes = root / "notes"
        self.notes.mkdir(mode=0o777)
        self.workers: dict[str, Service] = {}
        self._environ = {
            "SCRIPT_REPOSITORY_TYPE": "dir",
            "SCRIPT_REPOSITORY_URL": str(scripts or ""),
            "ZSCRAPE_TASK_KEPT_COUNT": str(_KEPT_COUNT),
            # Its scripts bear witness in a folder that all of them share.
            "ZSCRAPE_ISOLATION_SKIP": "user,view,landlock",
            **(settings or {}),
        }
        self._launcher = launcher
        self.gateway = self.start_gateway("127.0.0.1:0", link)
        assert self.gateway.is_ready, self.gateway.log.read_text()
        with (self.home / "client.toml").open("rb") as file:
            key = tomllib.load(file)["key"]
        self.http = httpx.Client(
            base_url=self.gateway.ready["http"],
            headers={"Authorization": f"Bearer {key}"},
            timeout=60.0,
            limits=httpx.Limits(max_connections=64),
        )

    # ---- processes -------------------------------------------------------------------

    def start_gateway(
        self, http: str, link: str, *, settings: dict[str, str] | None = None
    ) -> Service:
        """Start a gateway on the cluster's home; it may not come up."""
        return Service(
            *("gateway", "--home", str(self._home), "--http", http, "--link", link),
            log=self.root / "gateway.log",
            environ={**self._environ, **(settings or {})},
            launcher=self._launcher,
        )

    def start_gateway_again(self) -> Service:
        """Start the gateway, which has ended, at its old addresses; it may not come up."""
        http = self.gateway.ready["http"].removeprefix("http://")
        link = self.gateway.ready["link"]
        started = self.start_gateway(http, link)
        if started.is_ready:
            self.gateway = started
        return started

    def restart_gateway(self) -> None:
        """Kill the gateway and start it at the same addresses."""
        self.gateway.kill()
        assert self.start_gateway_again().is_ready

    def start_worker(
        self,
        name: str,
        *,
        slots: int = 2,
        join: str | None = None,
        launcher: Sequence[str] = (),
        settings: dict[str, str] | None = None,
    ) -> Service:
        """Start a worker with a home of its own, for the first time or again.

        `join` is an address of this gateway, or what `token` gives, of several joined by commas.
        """
        given = join or self.gateway.ready["link"]
        worker = Service(
            *("worker", "--home", str(self.root / name), "--slots", str(slots)),
            *("--join", given if given.startswith(TOKEN_PREFIX) else self.token(given)),
            log=self.root / f"{name}.log",
            environ={**self._environ, **(settings or {})},
            launcher=launcher,
        )
        self.workers[name] = worker
        assert worker.is_ready, worker.log.read_text("utf-8")
        return worker

    def token(self, *addresses: str) -> str:
        """Return the right to join the gateway, dialled where it listens or at these addresses."""
        return home_token(self.home, *addresses)

    @property
    def is_durable(self) -> bool:
        """True iff this gateway keeps its tasks on disk."""
        return (self.home / "zscrape.db").exists()

    # ---- calls -----------------------------------------------------------------------

    def task(self, number: int, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
        """Return the body of a task of the script that takes notes."""
        parameters: dict[str, Any] = {"notes": str(self.notes), "number": number}
        parameters["seconds"] = seconds
        for name in ("alone", "child", "hold"):
            if name in more:
                parameters[name] = more.pop(name)
        return {"script_name": "noted", "parameters": parameters, **more}

    def let_go(self, hold: str) -> None:
        """Let the tasks end that were handed in with this `hold`."""
        (self.notes / hold).touch()

    def accept(self, body: dict[str, Any], headers: dict[str, str] | None = None) -> str:
        """Hand a task in by `POST /v1/tasks`; returns its id."""
        answer = self.http.post("/v1/tasks", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["request_id"])

    def scrape(self, body: dict[str, Any]) -> dict[str, Any]:
        """Run a task by `POST /scrape`; returns the envelope."""
        envelope: dict[str, Any] = self.http.post("/scrape", json=body).json()
        return envelope

    def look(self, task_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        """Return a task; waits for its end for up to `wait_s`."""
        answer = self.http.get(f"/v1/tasks/{task_id}", params={"wait": wait_s})
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def wait_for(self, task_id: str, status: str) -> dict[str, Any]:
        """Wait until a task has this status."""

        def has_it() -> dict[str, Any] | None:
            found = self.look(task_id)
            return found if found["status"] == status else None

        task: dict[str, Any] = until(has_it)
        return task

    def wait_for_worker(self, worker: Service, status: str = "live") -> None:
        """Wait until the gateway sees a worker so; `gone` means not at all."""
        worker_id = worker.ready["worker_id"]

        def is_so() -> bool:
            workers = self.http.get("/v1/workers").raise_for_status().json()["workers"]
            seen = [each["status"] for each in workers if each["id"] == worker_id]
            return seen == ([] if status == "gone" else [status])

        until(is_so)

    def tasks(self) -> Iterator[dict[str, Any]]:
        """Every task that the gateway knows, newest first."""
        cursor = None
        while True:
            query: dict[str, Any] = {"limit": 1000}
            if cursor is not None:
                query["cursor"] = cursor
            page = self.http.get("/v1/tasks", params=query).raise_for_status().json()
            yield from page["tasks"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    # ---- the end ---------------------------------------------------------------------

    def close(self) -> None:
        """End every process, workers first, and prove that nothing of them is left.

        Raises:
            AssertionError: Something had to be ended by force, or has left something behind.
        """
        self.http.close()
        faults = []
        for service in (*self.workers.values(), self.gateway):
            try:
                service.end()
            except subprocess.TimeoutExpired:
                faults.append(f"{service.log.stem} did not end")
        left = left_behind(self.root)
        ends_at = time.monotonic() + 5.0
        while left and time.monotonic() < ends_at:
            pause(_POLL_S)
            left = left_behind(self.root)
        for process in left:
            faults.append(f"left running: {process.pid} {' '.join(process.cmdline())}")
            process.kill()
        for name, worker in self.workers.items():
            if not worker.was_killed:  # what a killed one leaves, its next start removes
                folders = (self.root / name).glob("scratch/*/*")
                faults += [f"left on disk: {path}" for path in folders]
        assert not faults, "\n".join(faults)


def left_behind(root: Path) -> list[psutil.Process]:
    """Return the processes that work below a folder or were started with it in their command."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            is_ours = any(str(root) in each for each in process.cmdline())
            if is_ours or f"{process.cwd()}/".startswith(f"{root}/"):
                found.append(process)
        except psutil.Error:  # it has just ended, or is none of ours
            continue
    return found
