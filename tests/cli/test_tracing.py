"""By one id a call is found in the logs of the gateway, the worker and the script."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import httpx

from tests.cli.conftest import clean_environ
from zscrape.ops.role import Role

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(role: Role) -> list[dict[str, object]]:
    """Return the last lines of a role's log."""
    return [json.loads(line) for line in role._tail if line.startswith("{")]


def test_a_trace_is_in_every_log(tmp_path: Path, scripts_folder: Path) -> None:
    """A call with `traceparent`: the task, its log and both processes' lines carry its trace."""
    listen = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]
    home = ["--home", str(tmp_path)]
    gateway = Role(
        "gateway", [*home, *listen, "--scripts", str(scripts_folder)], environ=clean_environ()
    )
    worker = None
    try:
        ready = gateway.wait_ready()
        worker = Role("worker", [*home, "--join", ready["link"]], environ=clean_environ())
        worker.wait_ready()
        key = tomllib.loads((tmp_path / "client.toml").read_text())["key"]
        headers = {
            "Authorization": f"Bearer {key}",
            "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
            "X-Request-Id": "mine-1",
        }
        with httpx.Client(base_url=ready["http"], headers=headers, trust_env=False) as http:
            done = http.post("/scrape", json={"script_name": "steps"}, timeout=60).json()
            task_id = done["request_id"]
            view = http.get(f"/v1/tasks/{task_id}").json()
            log = http.get(f"/v1/tasks/{task_id}/logs").text.splitlines()
    finally:
        if worker is not None:
            worker.stop()
        gateway.stop()
    said = [json.loads(line) for line in log]

    assert done["status"] == "completed"
    assert view["trace_id"] == TRACE
    assert [line["trace_id"] for line in said if line["message"] == "step done"] == [TRACE] * 3
    for role, event in ((gateway, "task_finished"), (worker, "attempt_begun")):
        told = [line for line in lines(role) if line["event"] == event]
        assert [(line["task_id"], line["trace_id"]) for line in told] == [(task_id, TRACE)]
