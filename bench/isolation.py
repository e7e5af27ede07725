"""What the layers of isolation cost an attempt: on its way, and in processor time in all.

One worker's slots with every layer, one with none of those that can be left out, and one
without each of them; their attempts are interleaved. What a layer costs is what its absence
saves.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from bench.slots import NOOP, Listener, Runner
from zscrape.model import SKIPPABLE_LAYERS, Pin, RunSpec
from zscrape.worker.slots import Assignment, SlotPolicy, Slots

ROUND_COUNT = 5
ATTEMPT_COUNT = 120
# As many processes as it may have, each of which spins.
_GREEDY = """
import os
def run():
    for _ in range(50):
        if os.fork() == 0:
            break
    while True:
        pass
"""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class _Arm:
    """One way to run attempts, and what its attempts have taken."""

    def __init__(self, slots: Slots, runner: Runner) -> None:
        self._slots = slots
        self._runner = runner
        self.p50s: list[float] = []
        self.cpu_s = 0.0
        self.count = 0

    async def go_round(self) -> None:
        await self._runner.one_at_a_time(20)
        before_s = self._cpu_s()
        took = await self._runner.one_at_a_time(ATTEMPT_COUNT)
        self.cpu_s += self._cpu_s() - before_s
        self.count += ATTEMPT_COUNT
        self.p50s.append(statistics.median(took))

    def _cpu_s(self) -> float:
        """Return the processor time of this process, the template and its ended children."""
        own = os.times()
        used = own.user + own.system
        for pid in self._slots.template_pids.values():
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += sum(int(ticks) for ticks in told[11:15]) * _TICK_S
        return used


async def _measure() -> dict[str, float]:
    without: dict[str, frozenset[str]] = {
        "all": frozenset(),
        "none": frozenset(SKIPPABLE_LAYERS),
        **{layer: frozenset({layer}) for layer in SKIPPABLE_LAYERS},
    }
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # noqa: ASYNC240 - attempts are other users
        (folder / "noop").mkdir()
        (folder / "noop" / "main.py").write_text(NOOP)

        async def ensure(pin: Pin) -> Path:
            return folder / pin.name

        arms = {}
        missing: dict[str, str] = {}
        for name, skip in without.items():
            listener = Listener()
            policy = SlotPolicy(1, folder / f"scratch-{name}", (folder,), skip_layers=skip)
            slots = Slots(policy, ensure)
            await slots.start()
            stack.push_async_callback(slots.close)
            arms[name] = _Arm(slots, Runner(slots, listener, "noop"))
            missing |= slots.layers.missing if name == "all" else {}
        for _ in range(ROUND_COUNT):
            for arm in arms.values():
                await arm.go_round()
    p50_us = {name: statistics.median(arm.p50s) * 1e6 for name, arm in arms.items()}
    cpu_us = {name: arm.cpu_s / arm.count * 1e6 for name, arm in arms.items()}
    told = {
        "all_layers_p50_us": p50_us["all"],
        "no_layers_p50_us": p50_us["none"],
        "added_p50_us": p50_us["all"] - p50_us["none"],
        "added_cpu_us": cpu_us["all"] - cpu_us["none"],
        "missing_layers_count": float(len(missing)),
    }
    for layer in SKIPPABLE_LAYERS:
        told[f"{layer}_p50_us"] = p50_us["all"] - p50_us[layer]
        told[f"{layer}_cpu_us"] = cpu_us["all"] - cpu_us[layer]
    return told


async def _measure_neighbour() -> dict[str, float]:
    """Return how a neighbour that takes all the processors it can get moves the others."""
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        folder.chmod(0o755)  # noqa: ASYNC240 - attempts are other users
        for name, source in (("noop", NOOP), ("greedy", _GREEDY)):
            (folder / name).mkdir()
            (folder / name / "main.py").write_text(source)

        async def ensure(pin: Pin) -> Path:
            return folder / pin.name

        listener = Listener()
        slots = Slots(SlotPolicy(2, folder / "scratch", (folder,)), ensure)
        await slots.start()
        try:
            noop = Runner(slots, listener, "noop")
            await noop.one_at_a_time(50)
            calm = await noop.one_at_a_time(ATTEMPT_COUNT)
            greedy = Assignment(
                "greedy", 1, RunSpec(Pin("bench", "greedy", "1", "sha256:0")), b"{}"
            )
            slots.begin(greedy, listener)
            await noop.one_at_a_time(100)
            pressed = await noop.one_at_a_time(ATTEMPT_COUNT)
        finally:
            listener.waiting["greedy"] = asyncio.get_running_loop().create_future()
            await slots.close()
    p50_ms, p99_ms = (statistics.quantiles(pressed, n=100)[at] * 1e3 for at in (49, 98))
    return {
        "greedy_neighbour_p50_ms": p50_ms,
        "greedy_neighbour_p99_ms": p99_ms,
        "greedy_neighbour_p50_ratio": p50_ms / (statistics.median(calm) * 1e3),
    }


def measure() -> dict[str, float]:
    """Return the figures of the layers."""
    return uvloop.run(_measure()) | uvloop.run(_measure_neighbour())
