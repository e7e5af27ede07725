"""A script's items on their way: 20,000 of them to one call that reads them as they come.

Beside them the same lines through a pipe from a bare process that makes them: what no process
of its own can do without. In the product each item is also checked, journalled, and counted.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from statistics import median

from bench.path import Cluster, Script, cluster

ROUND_COUNT = 5
ITEM_COUNT = 20_000
_SCRIPT = """
def run(count):
    for number in range(count):
        yield {"number": number, "name": "tea and cake", "price": 12.5, "in_stock": True}
"""
_BARE = """
import json, sys
for number in range(int(sys.argv[1])):
    item = {"number": number, "name": "tea and cake", "price": 12.5, "in_stock": True}
    sys.stdout.write(json.dumps(item) + "\\n")
"""


def _streamed_s(running: Cluster) -> tuple[float, float]:
    """Return when the first item was there and when the last one was, since the call."""
    connection = http.client.HTTPConnection(*running.address)
    body = json.dumps({"script_name": "items", "parameters": {"count": ITEM_COUNT}})
    headers = {
        "Authorization": f"Bearer {running.key}",
        "Content-Type": "application/json",
        "Accept": "application/x-ndjson",
    }
    began_at = time.perf_counter()
    connection.request("POST", "/scrape", body, headers)
    answer = connection.getresponse()
    first = answer.readline()
    first_s = time.perf_counter() - began_at
    count = (first + answer.read()).count(b'"tea and cake"')
    took_s = time.perf_counter() - began_at
    connection.close()
    if count != ITEM_COUNT:
        raise RuntimeError(f"{count} items came of {ITEM_COUNT}")
    return first_s, took_s


def _piped_s() -> float:
    began_at = time.perf_counter()
    command = [sys.executable, "-I", "-c", _BARE, str(ITEM_COUNT)]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    took_s = time.perf_counter() - began_at
    if told.count(b"\n") != ITEM_COUNT:
        raise RuntimeError("lines are missing")
    return took_s


def measure() -> dict[str, float]:
    """Return medians over interleaved rounds, and the rate in that of the pipe."""
    took: dict[str, list[float]] = {"first": [], "all": [], "pipe": []}
    with cluster({"items": Script(_SCRIPT, {"kit": []})}) as running:
        _streamed_s(running)  # warm
        for _ in range(ROUND_COUNT):
            took["pipe"].append(_piped_s())
            first_s, all_s = _streamed_s(running)
            took["first"].append(first_s)
            took["all"].append(all_s)
    per_s = {name: ITEM_COUNT / median(taken) for name, taken in took.items()}
    return {
        "first_ms": median(took["first"]) * 1e3,
        "per_s": per_s["all"],
        "pipe_per_s": per_s["pipe"],
        "rate_ratio": per_s["all"] / per_s["pipe"],
    }
