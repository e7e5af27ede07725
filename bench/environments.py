"""Building an environment, against `uv venv` and `uv pip install` by hand, in one run.

    python -m bench --only environments

Both sides install the same twelve packages of 20 files each, which are in uv's cache, by
copying. Rounds are interleaved and medians are told.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.wheels import make_wheel
from zscrape.model import Pin, RunSpec
from zscrape.worker.environments import EnvironmentPolicy, Environments
from zscrape.worker.interpreters import uv_path

ROUND_COUNT = 5
PACKAGE_COUNT = 12
FILE_COUNT = 20


def _make_packages(links: Path) -> list[str]:
    names = [f"package{number}" for number in range(PACKAGE_COUNT)]
    for name in names:
        source = "".join(f"def function_{line}():\n    return {line}\n" for line in range(100))
        make_wheel(links, name, "1.0", files={f"{name}/m{n}.py": source for n in range(FILE_COUNT)})
    return names


def _by_hand(links: Path, cache: Path, place: Path, requirements: list[str]) -> float:
    uv, common = uv_path(), ("--quiet", "--no-config", "--cache-dir", str(cache))
    began = time.perf_counter()
    subprocess.run([uv, "venv", *common, "--python", sys.executable, str(place)], check=True)
    subprocess.run(
        [
            *(uv, "pip", "install", *common, "--python", str(place / "bin" / "python")),
            *("--offline", "--no-index", "--find-links", str(links), "--link-mode", "copy"),
            *requirements,
        ],
        check=True,
    )
    return time.perf_counter() - began


async def _measure(rounds: int) -> dict[str, float]:
    hand: list[float] = []
    ours: list[float] = []
    held: list[float] = []
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        links, root = folder / "links", folder / "environments"
        packages = _make_packages(links)
        policy = EnvironmentPolicy(root=root, find_links=(str(links),), offline=True)
        environments = Environments(policy)
        await environments.open()
        try:
            for number in range(rounds + 1):
                # Another environment in each round, of the same packages.
                requirements = [f"{name}>=0.{number}" for name in packages]
                run = RunSpec(Pin("b", "b", "1", ""), kit=(), requirements=tuple(requirements))
                began = time.perf_counter()
                environment = await environments.ensure(run)
                built = time.perf_counter() - began
                began = time.perf_counter()
                await environments.ensure(run)
                again = time.perf_counter() - began
                for _ in range(2):
                    environments.release(environment.python)
                await environments.settle()  # compiling would slow the other side
                place = folder / f"hand-{number}"
                by_hand = await asyncio.to_thread(_by_hand, links, root / "uv", place, requirements)
                if number:  # the first round fills the cache
                    ours.append(built)
                    held.append(again)
                    hand.append(by_hand)
        finally:
            await environments.close()
    return {
        "by_hand_ms": statistics.median(hand) * 1000,
        "warm_ms": statistics.median(ours) * 1000,
        "warm_ratio": statistics.median(ours) / statistics.median(hand),
        "held_ms": statistics.median(held) * 1000,
    }


def measure(rounds: int = ROUND_COUNT) -> dict[str, float]:
    """Return the figures of `rounds` interleaved rounds, medians."""
    return asyncio.run(_measure(rounds))
