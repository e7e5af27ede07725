"""A real Prometheus reads a live gateway by our configuration, rules and dashboard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import Cluster, Zscrape
from zscrape.client import Client, find_gateway

CONFIGS = Path(__file__).parents[2] / "configs"
DASHBOARDS = sorted((CONFIGS / "grafana" / "dashboards").glob("*.json"))
LIMIT_S = 40.0  # for what takes a few seconds: targets are found after five
_METRIC = re.compile(r"\b(?:zscrape|scraping|system|process)_[a-z_]+\b|\bup\b")
_LISTENING = re.compile(r'"Listening on" (?:component=web )?address=(\S+)')  # 3.0 tells more


def expressions(dashboard: Path) -> list[str]:
    """Return every query of a dashboard, with what Grafana would put in."""
    panels = json.loads(dashboard.read_text("utf-8"))["panels"]
    return [
        target["expr"].replace("$__rate_interval", "1m")
        for panel in panels
        for target in panel["targets"]
    ]


class Prometheus:
    """A server on a free port of loopback, and its API."""

    def __init__(self, program: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [
                *(program, f"--config.file={folder / 'prometheus.yml'}"),
                *(f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        told, found = "", None
        for line in self._process.stderr:
            told += line
            found = _LISTENING.search(line)
            if found:
                break
        assert found, told
        # Its log must not fill the pipe.
        self._reader = threading.Thread(target=self._process.stderr.read)
        self._reader.start()
        self._http = httpx.Client(base_url=f"http://{found[1]}/api/v1", trust_env=False)

    def get(self, path: str, **query: str) -> Any:
        """Return what an endpoint tells."""
        answer = self._http.get(path, params=query)
        document = answer.json() if answer.status_code in (200, 400, 422) else {}
        assert document.get("status") == "success", (query, answer.text)
        return document["data"]

    def has(self, expression: str) -> bool:
        """True iff a query returns anything."""
        return bool(self.get("/query", query=expression)["result"])

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what comes with one of the next readings."""
        ends_at = time.monotonic() + LIMIT_S
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < ends_at, "Prometheus has not read it in time"
            pause.wait(0.05)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=20)
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._http.close()


@pytest.fixture
def prometheus(cluster: Cluster, on_cluster: Zscrape, tmp_path: Path) -> Iterator[Prometheus]:
    """A server with our configuration; only addresses, the key's file and the pace are others."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs the Debian package prometheus")
    key = on_cluster.json("keys", "create", "--name", "prometheus", "--scope", "read")["key"]
    (tmp_path / "zscrape.key").write_text(key)
    config = (CONFIGS / "prometheus.yml").read_text("utf-8")
    for ours, here in (
        ("127.0.0.1:8000", cluster.http.removeprefix("http://")),
        ("/etc/prometheus/zscrape.key", str(tmp_path / "zscrape.key")),
        (": 15s", ": 200ms"),
    ):
        assert ours in config
        config = config.replace(ours, here)
    (tmp_path / "prometheus.yml").write_text(config)
    shutil.copy(CONFIGS / "alerts.yml", tmp_path)
    server = Prometheus(program, tmp_path)
    yield server
    server.close()


@pytest.mark.system
def test_prometheus_finds_all_that_rules_and_dashboards_ask_for(
    cluster: Cluster, prometheus: Prometheus
) -> None:
    """Every rule is in force, every query of rules and dashboards finds data."""
    prometheus.until(lambda: prometheus.has("scraping_active_workers"))
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        for parameters in ({"count": 1}, {"count": 1, "fail": True}):
            client.run("steps", parameters)
    ended = 'sum(scraping_requests_total{script_name="steps",status="%s"}) >= 1'
    prometheus.until(lambda: all(prometheus.has(ended % each) for each in ("completed", "failed")))
    queries = [each for dashboard in DASHBOARDS for each in expressions(dashboard)]

    def evaluated() -> bool:
        (group,) = prometheus.get("/rules")["groups"]
        return all(rule["health"] != "unknown" for rule in group["rules"])

    prometheus.until(evaluated)
    (group,) = prometheus.get("/rules")["groups"]
    asked = [*queries, *(rule["query"] for rule in group["rules"])]
    names = sorted({name for each in asked for name in _METRIC.findall(each)})
    # What an alert compares must be there, whether or not it fires: all but the comparison.
    compared = [re.sub(r"\s[=<>]=?\s[\d.]+$", "", rule["query"]) for rule in group["rules"]]

    assert [rule["name"] for rule in group["rules"] if rule["health"] != "ok"] == []
    assert len(names) > 20
    assert [name for name in names if not prometheus.has(name)] == []
    # Two readings make a rate: of a series that is new the second one may be yet to come.
    for query in (*queries, *compared):
        prometheus.until(partial(prometheus.has, query))


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_can_be_provisioned(path: Path) -> None:
    """Its panels have ids of their own, do not overlap, and ask the source that was chosen."""
    dashboard = json.loads(path.read_text("utf-8"))
    panels = dashboard["panels"]
    cells = [
        (column, row)
        for panel in panels
        for place in [panel["gridPos"]]
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]

    assert dashboard["uid"] == "zscrape"
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < 24
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {
        "${datasource}"
    }


def test_alerts_speak_both_languages() -> None:
    """Every rule says what has happened and what to do, in English and in Korean."""
    rules = (CONFIGS / "alerts.yml").read_text("utf-8").split("- alert: ")[1:]

    assert len(rules) > 10
    for rule in rules:
        assert re.search(r"[가-힣]", rule.partition("summary_ko:")[2]), rule
        assert "severity: " in rule
        assert 'summary: "' in rule
