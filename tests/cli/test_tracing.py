"""By one id a call is found in the logs of the gateway, the worker and the script, and as spans."""

from __future__ import annotations

import gzip
import json
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.cli.conftest import clean_environ
from zscrape.ops.role import Role

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(role: Role) -> list[dict[str, object]]:
    """Return the last lines of a role's log."""
    return [json.loads(line) for line in role._tail if line.startswith("{")]


class Collector:
    """What takes spans by OTLP over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []

    def take(self, body: bytes) -> None:
        """Take one request."""
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(
                {each.key: each.value.string_value for each in told.resource.attributes}
            )
            self.spans += [span for scope in told.scope_spans for span in scope.spans]

    def line(self, name: str) -> list[str]:
        """Return the names from a span up to that whose parent is not here."""
        by_id = {span.span_id: span for span in self.spans}
        span = next(each for each in self.spans if each.name == name)
        names = [span.name]
        while span.parent_span_id in by_id:
            span = by_id[span.parent_span_id]
            names.append(span.name)
        return [*names, span.parent_span_id.hex()]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Have a collector on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            is_packed = self.headers.get("content-encoding") == "gzip"
            collector.take(gzip.decompress(body) if is_packed else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base has it
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()


def test_a_trace_is_in_every_log(tmp_path: Path, scripts_folder: Path) -> None:
    """A call with `traceparent`: the task, its log and both processes' lines carry its trace.

    A collector is told the call, its task, the attempt and the script, in one line.
    """
    with collecting() as collector:
        _follow_a_call(tmp_path, scripts_folder, collector)
    names = ["script", "attempt 1", "task steps", "POST /scrape"]

    assert collector.line("script") == [*names, "00f067aa0ba902b7"]
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert collector.resources[0]["service.name"] == "zscrape"


def _follow_a_call(tmp_path: Path, scripts_folder: Path, collector: Collector) -> None:
    listen = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]
    home = ["--home", str(tmp_path)]
    gateway = Role(
        "gateway",
        [*home, *listen, "--scripts", str(scripts_folder)],
        environ=clean_environ(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url),
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
