"""A real cluster of processes on loopback, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx

from tests.link_keys import home_token


class Process:
    """One `zscrape` process whose first line of output says that it is ready."""

    def __init__(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "zscrape", *arguments, "--json"],
            stdout=subprocess.PIPE,
            env={**os.environ, **(environ or {})},
            text=True,
        )
        self.pid = self._popen.pid
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        self.ready: dict[str, Any] = json.loads(line) if line else {}
        if self.ready.get("event") != "ready":
            code = self.wait()
            raise AssertionError(f"zscrape {arguments[0]} ended with {code}, not ready: {line}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait for the end; returns the exit code."""
        assert self._popen.stdout is not None
        code = self._popen.wait(timeout=timeout_s)
        self._popen.stdout.close()
        return code

    def end(self) -> None:
        """End it if it still runs, by force if it must be."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGCONT)
            self._popen.terminate()
            try:
                self.wait(15.0)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        self.wait()


class Cluster:
    """A gateway and any number of workers; everything is ended by `close`."""

    def __init__(
        self, home: Path, repository: Path | None, settings: dict[str, str] | None = None
    ) -> None:
        self._home = home
        self._processes: list[Process] = []
        self._environ = {
            "SCRIPT_REPOSITORY_TYPE": "dir",
            "SCRIPT_REPOSITORY_URL": str(repository or ""),
            "ZSCRAPE_NETWORK_ALLOW": "127.0.0.0/8,::1/128",  # the sites of tests are here
            **(settings or {}),
        }
        self.gateway = self._start_gateway("127.0.0.1:0", "tcp://127.0.0.1:0")
        with (home / "gateway" / "client.toml").open("rb") as file:
            self.key = tomllib.load(file)["key"]
        self.http = httpx.Client(
            base_url=self.gateway.ready["http"],
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60.0,
            limits=httpx.Limits(max_connections=64),
        )

    def _start(self, *arguments: str) -> Process:
        process = Process(*arguments, environ=self._environ)
        self._processes.append(process)
        return process

    def _start_gateway(self, http: str, link: str) -> Process:
        home = str(self._home / "gateway")
        return self._start("gateway", "--home", home, "--http", http, "--link", link)

    def restart_gateway(self) -> None:
        """Kill the gateway and start it again at the same addresses."""
        self.kill_gateway()
        self.start_gateway_again()

    def kill_gateway(self) -> None:
        """Kill the gateway."""
        self.gateway.signal(signal.SIGKILL)
        self.gateway.wait()

    def start_gateway_again(self) -> None:
        """Start a gateway at the addresses of the one that was killed."""
        http = self.gateway.ready["http"].removeprefix("http://")
        self.gateway = self._start_gateway(http, self.gateway.ready["link"])

    def wait_for_worker(self, worker_id: str, status: str = "live") -> None:
        """Ask until the gateway sees this worker so."""
        while True:
            workers = self.http.get("/v1/workers").raise_for_status().json()["workers"]
            if any(worker["id"] == worker_id and worker["status"] == status for worker in workers):
                return

    def start_worker(
        self, name: str, *, slots: int, tags: tuple[str, ...] = (), join: str | None = None
    ) -> Process:
        """Start a worker with a home of its own; it has joined (one of) them on return."""
        return self._start(
            *("worker", "--home", str(self._home / name), "--slots", str(slots)),
            *("--join", join or self.token()),
            *(option for tag in tags for option in ("--tag", tag)),
        )

    def token(self) -> str:
        """Return the right to join the gateway."""
        return home_token(self._home / "gateway")

    def close(self) -> None:
        """End every process, workers first."""
        self.http.close()
        for process in reversed(self._processes):
            process.end()
