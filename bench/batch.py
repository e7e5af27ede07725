"""`zscrape batch` of 2,000 no-op targets beside the same script called over `/scrape`.

Both go through the same gateway, worker and children; rounds are interleaved. The verb is a
process of its own as a user starts it; its own clock counts, from its first line to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.path import Cluster, Script, cluster

ROUND_COUNT = 3
SPINE_S = 2.0
SPINE_IN_FLIGHT = 16
TARGET_COUNT = 2_000
_SCRIPT = "noop_target"
_SOURCE = "def run(n: int = 0):\n    return None\n"


def _environ(running: Cluster) -> dict[str, str]:
    # Compiled modules are kept, as they are wherever somebody has the verb installed.
    kept = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "ZSCRAPE_URL": running.http, "ZSCRAPE_API_KEY": running.key}


def _batch_per_s(running: Cluster, folder: Path, target_count: int) -> float:
    targets, summary = folder / "targets.jsonl", folder / "summary.json"
    targets.write_text("".join(f'{{"n": {n}}}\n' for n in range(target_count)))
    subprocess.run(
        [
            *(sys.executable, "-m", "zscrape", "batch", _SCRIPT, str(targets)),
            *("--json-output", str(summary), "--home", str(folder / "home")),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environ(running),
    )
    document = json.loads(summary.read_text())
    assert document["succeeded_total"] == target_count
    return float(target_count / document["duration_ms"] * 1000)


def measure() -> dict[str, float]:
    """Return the medians of both rates, and of their ratio round by round."""
    spine: list[float] = []
    batch: list[float] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        cluster({_SCRIPT: Script(_SOURCE, {"kit": []})}) as running,
    ):
        running.drive(_SCRIPT, in_flight=4, seconds=1.0)  # warm
        _batch_per_s(running, Path(scratch), 10)  # the first one after an installation compiles
        for _ in range(ROUND_COUNT):
            latencies = running.drive(_SCRIPT, in_flight=SPINE_IN_FLIGHT, seconds=SPINE_S)
            spine.append(len(latencies) / SPINE_S)
            batch.append(_batch_per_s(running, Path(scratch), TARGET_COUNT))
    ratios = [mine / theirs for mine, theirs in zip(batch, spine, strict=True)]
    return {
        "spine_per_s": median(spine),
        "batch_per_s": median(batch),
        "rate_ratio": median(ratios),
    }
