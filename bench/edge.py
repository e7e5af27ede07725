"""The gateway alone: calls whose workers answer at once, beside an echo by the same server.

The echo is uvicorn, uvloop, httptools, starlette and msgspec: it decodes a call and encodes an
answer of the same size. The gateway is whole: keys, validation, store, encrypted link. Both are
one process, asked by the same generator in turn. Beside the rates stands the processor time of
one call, which says the same on a machine that others use too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psutil

from bench.load import drive, percentile, request_bytes
from bench.store import Gateway, gateway
from bench.workers import simulated

ROUND_COUNT = 5
ROUND_S = 1.0
WORKER_COUNT, SLOT_COUNT = 4, 64
FLIGHTS = (16, 256)  # 64: see `bench.floors.rounds`
CALL = {"script_name": "noop", "parameters": {"n": 1}}

_ECHO = """
import socket, sys
import msgspec, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def echo(request):
    asked = msgspec.json.decode(await request.body())
    answer = {"request_id": "0" * 36, "status": "completed", "data": asked, "filler": "x" * 400}
    return Response(msgspec.json.encode(answer), media_type="application/json")

app = Starlette(routes=[Route("/scrape", echo, methods=["POST"])])
listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
uvicorn.Server(config).run([listener])
"""


class Echo:
    """The baseline."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self._port = process, port

    def drive(
        self, path: str, body: object, *, in_flight: int, seconds: float = ROUND_S
    ) -> list[float]:
        """Keep calls open; returns the latency of each, in seconds."""
        request = request_bytes("127.0.0.1", self._port, path, json.dumps(body).encode(), "key")
        return drive("127.0.0.1", self._port, request, in_flight=in_flight, seconds=seconds)


@contextmanager
def echo() -> Iterator[Echo]:
    """Run the baseline."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ECHO], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield Echo(process, int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


def cpu_s(pid: int) -> float:
    """Return what a process has used so far, without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def measure() -> dict[str, float]:
    """Return medians over interleaved rounds, and the gateway's figures in those of the echo."""
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with (
        echo() as bare,
        gateway() as running,
        simulated(running.folder / "home", WORKER_COUNT, slots=SLOT_COUNT),
    ):
        servers: dict[str, Echo | Gateway] = {"echo": bare, "scrape": running}
        for server in servers.values():
            server.drive("/scrape", CALL, in_flight=16, seconds=ROUND_S)  # warm
        for _ in range(ROUND_COUNT):
            for name, server in servers.items():
                latencies = server.drive("/scrape", CALL, in_flight=1, seconds=ROUND_S)
                note(f"{name}_p50_ms", median(latencies) * 1e3)
                note(f"{name}_p99_ms", percentile(latencies, 99) * 1e3)
                for in_flight in FLIGHTS:
                    before_s = cpu_s(server.process.pid)
                    latencies = server.drive("/scrape", CALL, in_flight=in_flight, seconds=ROUND_S)
                    used_s = cpu_s(server.process.pid) - before_s
                    note(f"{name}_{in_flight}_per_s", len(latencies) / ROUND_S)
                    note(f"{name}_{in_flight}_cpu_us", used_s / len(latencies) * 1e6)
    result = {name: median(values) for name, values in figures.items()}
    result["p50_ratio"] = result["scrape_p50_ms"] / result["echo_p50_ms"]
    result["rate_ratio"] = result["scrape_16_per_s"] / result["echo_16_per_s"]
    result["cpu_ratio"] = result["scrape_16_cpu_us"] / result["echo_16_cpu_us"]
    result["cpu_256_to_16"] = result["scrape_256_cpu_us"] / result["scrape_16_cpu_us"]
    return result
