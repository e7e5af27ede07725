"""A real gateway and a real worker with two slots, for scripts that want to hurt them."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.abuse import watch
from tests.abuse.cases import SUPPORT, Case
from tests.e2e.cluster import Cluster

WORKER = "worker"  # the name of its home
# What an attempt of the other slot may be held up by, whatever happens beside it: it waits for
# a tenth of a second and answers. Generous: machines that run tests are busy.
NEIGHBOUR_WAIT_S = 0.1
NEIGHBOUR_LIMIT_S = 4.0
VICTIM_S = 6.0
# Everything that an attempt started is gone within a second of its end; without the layer it
# takes a few sweeps.
GONE_WITHIN_S = {True: 1.5, False: 10.0}
SETTLE_S = 15.0
LISTED_LIMIT_CHARACTERS = 4000


class Ran(Struct):
    """What came of one attempt."""

    envelope: dict[str, Any]
    log: str
    mark: str
    neighbours: list[dict[str, Any]]
    victim: dict[str, Any] | None
    litter: frozenset[str]  # what lay about before it

    @property
    def code(self) -> str:
        """How it ended."""
        error = self.envelope["error"]
        return "ok" if error is None else str(error["code"])

    @property
    def data(self) -> Any:
        """What it returned."""
        return self.envelope["data"]

    @property
    def told(self) -> str:
        """All that a client can read of it."""
        return json.dumps(self.envelope, ensure_ascii=False) + self.log


class Arena:
    """The cluster, what its scripts may be told of it, and how one of them is run."""

    def __init__(self, root: Path, cases: tuple[Case, ...], settings: dict[str, str]) -> None:
        self.root = root
        self.extra: dict[str, Any] = {}  # further facts for scripts
        # Told to no script: whichever shows it has read what it may not.
        self.canary = f"canary-{secrets.token_hex(8)}"
        scripts = root / "scripts"
        self.kinds = publish(cases, scripts)
        # No script here has business with any address: those of other tests are not allowed.
        closed = {"ABUSE_CANARY": self.canary, "ZSCRAPE_NETWORK_ALLOW": ""}
        self.cluster = Cluster(root, scripts, {**closed, **settings})
        try:
            self.worker = self.cluster.start_worker(WORKER, slots=2)
            self.home = root / WORKER
            (self.home / "key.pem").write_text(self.canary)
            (self.home / "key.pem").chmod(0o600)
            answer = self.cluster.http.get("/v1/workers").raise_for_status().json()
            facts = answer["workers"][0]["facts"]
            self.layers = frozenset(facts["isolation"])
            self.before = self.state()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the cluster."""
        self.cluster.close()

    # ---- the machine -----------------------------------------------------------------

    def state(self) -> watch.State:
        """Return the state of the machine when every kind of child has lately been used."""
        for name in self.kinds:
            envelope = self.scrape(name, {"number": 3, "seconds": 0.0})
            assert envelope["data"]["square"] == 9, envelope
        last = [watch.look(self.worker.pid, self.home)]

        def is_still() -> bool:
            kept, last[0] = last[0], watch.look(self.worker.pid, self.home)
            return kept == last[0] and not self.busy_count()

        for _ in range(10):  # spares are forked a moment after they are missed
            assert watch.until(is_still, SETTLE_S)
            threading.Event().wait(0.05)
        return last[0]

    def busy_count(self) -> int:
        """Return how many attempts the gateway knows to run."""
        answer = self.cluster.http.get("/v1/workers").raise_for_status().json()
        return int(answer["workers"][0]["in_flight_count"])

    def facts(self, mark: str, victim: dict[str, Any]) -> dict[str, Any]:
        """Return what a script may be told. It could find all of it by trying."""
        ready = self.cluster.gateway.ready
        templates = watch.family(self.worker.pid)
        return {
            "mark": mark,
            "worker_pid": self.worker.pid,
            "template_pids": [pid for pid, up in templates.items() if up == self.worker.pid],
            "gateway_pid": self.cluster.gateway.pid,
            "tester_pid": os.getpid(),
            "home": str(self.home),
            "gateway_home": str(self.root / "gateway"),
            "user_home": str(Path.home()),
            "cache": str(self.home / "cache"),
            "scratch": [str(path) for path in watch.matching(self.home, "scratch/*/*")],
            "scripts": str(self.root / "scripts"),
            "http_port": int(ready["http"].rpartition(":")[2]),
            "link_port": int(ready["link"].rpartition(":")[2]),
            **self.extra,
            **victim,
        }

    # ---- running ---------------------------------------------------------------------

    def scrape(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Run a script by an open call and return its envelope."""
        body = {"script_name": name, "parameters": params}
        answer = self.cluster.http.post("/scrape", json=body)
        assert answer.status_code in (200, 504), answer.text
        envelope: dict[str, Any] = answer.json()
        return envelope

    def run(self, case: Case) -> Ran:
        """Run a case beside a neighbour, or beside a victim."""
        mark = f"zs{secrets.token_hex(5)}"
        litter = frozenset(watch.litter())
        if case.victim:
            return self._run_beside_victim(case, mark, litter)
        is_over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            neighbour = pool.submit(self._keep_neighbour, is_over)
            try:
                envelope = self.attack(case, mark, {})
            finally:
                is_over.set()
            neighbours = neighbour.result()
        return Ran(envelope, self._log(envelope), mark, neighbours, None, litter)

    def attack(self, case: Case, mark: str, victim: dict[str, Any]) -> dict[str, Any]:
        """Run a case alone."""
        facts = self.facts(mark, victim)
        return self.scrape(case.name, {name: facts[name] for name in case.told} | case.params)

    def _keep_neighbour(self, is_over: threading.Event) -> list[dict[str, Any]]:
        envelopes: list[dict[str, Any]] = []
        while True:
            number = len(envelopes) + 2
            params = {"number": number, "seconds": NEIGHBOUR_WAIT_S}
            envelopes.append(self.scrape("neighbour", params))
            if is_over.is_set():
                return envelopes

    def _run_beside_victim(self, case: Case, mark: str, litter: frozenset[str]) -> Ran:
        http = self.cluster.http
        name = f"vi{mark[2:]}"
        params = {"mark": name, "seconds": VICTIM_S}
        body = {"script_name": "victim", "parameters": params}
        task = http.post("/v1/tasks", json=body).raise_for_status().json()
        path = f"/v1/tasks/{task['request_id']}"
        try:
            assert watch.until(lambda: bool(watch.marked(name)), SETTLE_S)
            (pid,) = watch.marked(name)
            assert watch.until(lambda: bool(http.get(f"{path}/items").json()), SETTLE_S)
            found = http.get(f"{path}/items").json()[0]
            outer = watch.matching(self.home, "scratch/*/*/*/secret.txt")[0].parent
            facts = {
                "victim_pid": pid,
                "victim_home": found["home"],
                "victim_outer": str(outer),
                "victim_address": found["address"],
            }
            envelope = self.attack(case, mark, facts)
            is_alive = bool(watch.marked(name))
        except BaseException:
            http.post(f"{path}/cancel")
            raise
        victim = http.get(path, params={"wait": 20}).json()
        victim["was_alive"] = is_alive
        return Ran(envelope, self._log(envelope), mark, [], victim, litter)

    def _log(self, envelope: dict[str, Any]) -> str:
        path = f"/v1/tasks/{envelope['request_id']}/logs"
        return self.cluster.http.get(path).text[-LISTED_LIMIT_CHARACTERS:]


def publish(cases: tuple[Case, ...], scripts: Path) -> tuple[str, ...]:
    """Write a repository of the cases; return the names of one harmless script per kind."""
    for folder in SUPPORT.iterdir():
        if folder.is_dir():
            shutil.copytree(folder, scripts / folder.name)
    kinds: dict[tuple[Any, ...], str] = {}
    for case in cases:
        shutil.copytree(case.folder, scripts / case.name)
        shutil.copy(SUPPORT / "probe.py", scripts / case.name)
        if case.limits not in kinds:
            kinds[case.limits] = name = f"kind-{len(kinds)}"
            shutil.copytree(SUPPORT / "neighbour", scripts / name)
            manifest = json.loads((case.folder / "metadata.json").read_text())
            manifest |= {"name": name, "timeout": 20}
            (scripts / name / "metadata.json").write_text(json.dumps(manifest))
    return ("neighbour", *kinds.values())
