"""Three machines, brought up as the units say: each is lost in turn, and every task is done."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployment.machines import Machine, Switch
from tests.faults.cables import needs_cables
from tests.faults.services import until
from zscrape.ops.preparing import prepare

pytestmark = [pytest.mark.system, needs_cables]

LIMIT_S = 60.0
SCRIPT = """
import time

def run(seconds: float = 0.0, *, ctx):
    time.sleep(seconds)
    return ctx.attempt
"""


class Fleet:
    """A gateway and two workers, each on a machine of its own."""

    def __init__(self, gateway: Machine, workers: list[Machine], key: str) -> None:
        self.gateway = gateway
        self.workers = workers
        self.http = httpx.Client(
            base_url=f"http://{gateway.host}:8000",
            headers={"Authorization": f"Bearer {key}"},
            timeout=LIMIT_S,
            # A connection to a gateway that was lost would be used once more.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    def live_count(self) -> int:
        """How many workers take work."""
        told = self.http.get("/v1/workers").json()["workers"]
        return sum(worker["status"] == "live" for worker in told)

    def busy_count(self) -> int:
        """How many workers run something."""
        told = self.http.get("/v1/workers").json()["workers"]
        return sum(worker["in_flight_count"] > 0 for worker in told)

    def begin(self) -> list[str]:
        """Begin more tasks than there are slots, each of a second; return when both work."""
        until(lambda: self.live_count() == 2, LIMIT_S)
        body = {"script_name": "slow", "parameters": {"seconds": 1.0}}
        told = [self.http.post("/v1/tasks", json=body) for _ in range(6)]
        assert [answer.status_code for answer in told] == [202] * 6
        until(lambda: self.busy_count() == 2, LIMIT_S)
        return [str(answer.json()["request_id"]) for answer in told]

    def ends(self, tasks: list[str]) -> list[dict[str, Any]]:
        """Return how all of them ended."""

        def ended() -> list[dict[str, Any]]:
            told = [self.http.get(f"/v1/tasks/{task}").json() for task in tasks]
            final = {"completed", "failed", "timed_out", "cancelled"}
            return told if all(task["status"] in final for task in told) else []

        return list(until(ended, LIMIT_S))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """All three are up, joined by files that were made ahead."""
    script = tmp_path / "scripts" / "slow"
    script.mkdir(parents=True)
    (script / "metadata.json").write_text('{"name": "slow", "version": "1.0.0", "kit": []}')
    (script / "main.py").write_text(SCRIPT)
    secrets = tmp_path / "secrets"
    with contextlib.ExitStack() as parts:
        short = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="zs-")))
        switch = Switch()
        parts.callback(switch.close)
        machines = []
        for name, unit in (("g", "gateway"), ("a", "worker"), ("b", "worker")):
            machine = Machine(switch, short / name, f"zscrape-{unit}.service")
            parts.callback(machine.close)
            machines.append(machine)
        gateway, *workers = machines
        link = f"tcp://{gateway.host}:5555"
        prepare(secrets, (link,))
        gateway.environ = {
            "ZSCRAPE_HTTP": f"{gateway.host}:8000",
            "ZSCRAPE_LINK": link,
            "ZSCRAPE_INSECURE": "true",
            "ZSCRAPE_LINK_SECRET_FILE": str(secrets / "link_secret"),
            "ZSCRAPE_API_KEY_FILE": str(secrets / "api_key"),
            "ZSCRAPE_HEARTBEAT_INTERVAL_S": "0.5",
            "SCRIPT_REPOSITORY_URL": str(script.parent),
        }
        gateway.start()
        for worker in workers:
            worker.environ = {
                "ZSCRAPE_JOIN_FILE": str(secrets / "join_token"),
                "ZSCRAPE_SLOTS": "1",
            }
            worker.start()
        made = Fleet(gateway, workers, (secrets / "api_key").read_text("utf-8").strip())
        parts.callback(made.http.close)
        yield made


@pytest.mark.timeout(300)
def test_each_machine_may_be_lost(fleet: Fleet) -> None:
    """A lost worker's tasks run elsewhere; a gateway's go on when it is back."""
    outcomes = []
    for lost in (*fleet.workers, fleet.gateway):
        tasks = fleet.begin()
        lost.lose()
        if lost is fleet.gateway:
            lost.start()
            outcomes.append(fleet.ends(tasks))
        else:
            outcomes.append(fleet.ends(tasks))
            lost.start()
    until(lambda: fleet.live_count() == 2, LIMIT_S)

    for ends in outcomes:
        assert {(end["status"], end["error"]) for end in ends} == {("completed", None)}
    for ends in outcomes[:2]:  # what the lost worker had begun was begun again
        assert max(end["attempts"] for end in ends) == 2
