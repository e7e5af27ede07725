"""What large results cost: 10 KB and 1 MB through the whole path, beside one that is nothing."""

from __future__ import annotations

from statistics import median

from bench.path import Script, cluster

ROUND_COUNT = 5
SIZES_BYTES = {"none": 0, "10_kb": 10_000, "1_mb": 1_000_000}


def measure() -> dict[str, float]:
    """Return medians over interleaved rounds, one call at a time."""
    scripts = {
        f"payload_{name}": Script(
            f"def run():\n    return 'x' * {size_bytes} or None\n", {"kit": []}
        )
        for name, size_bytes in SIZES_BYTES.items()
    }
    took_ms: dict[str, list[float]] = {name: [] for name in SIZES_BYTES}
    with cluster(scripts) as running:
        for name in SIZES_BYTES:
            running.drive(f"payload_{name}", in_flight=4, seconds=1.0)  # warm
        for _ in range(ROUND_COUNT):
            for name, taken in took_ms.items():
                taken.append(median(running.drive(f"payload_{name}", in_flight=1)) * 1e3)
    result = {f"{name}_p50_ms": median(taken) for name, taken in took_ms.items()}
    pairs = zip(took_ms["10_kb"], took_ms["none"], strict=True)
    return result | {"10_kb_ratio": median(mine / theirs for mine, theirs in pairs)}
