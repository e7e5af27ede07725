"""Attempts through `Slots`, against bare forks, in one run.

    python -m bench --only slots

The bare side is a process that has imported exactly what the bare template has imported (the
list is asked of a real child) and does nothing but `fork`, `_exit` and `wait`: one loop for
the time of one, two loops at once for the rate. Rounds are interleaved and medians are told,
so that a machine that slows down slows both sides.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from bench.bare import loops
from zscrape.model import Outcome, Pin, Record, RunSpec
from zscrape.wire import Ask
from zscrape.worker.slots import Assignment, SlotPolicy, Slots

ROUND_COUNT = 5
SINGLE_COUNT = 300
MANY_COUNT = 1000
IN_FLIGHT_COUNT = 16

NOOP = "def run():\n    return None\n"
_MODULES = "import sys\ndef run():\n    return sorted(sys.modules)\n"


class Listener:
    """Resolves a future per attempt."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[Outcome]] = {}

    def on_started(self, task_id: str, attempt: int) -> None:
        pass

    def on_long(self, task_id: str, attempt: int) -> None:
        pass

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        pass

    def on_ask(self, ask: Ask) -> None:
        pass

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        self.waiting.pop(task_id).set_result(outcome)


class Runner:
    """Runs one script again and again."""

    def __init__(self, slots: Slots, listener: Listener, name: str) -> None:
        self._slots = slots
        self._listener = listener
        self._run = RunSpec(Pin("bench", name, "1.0.0", "sha256:0"), kit=(), timeout_s=60.0)
        self._count = 0

    async def once(self) -> Outcome:
        self._count += 1
        task_id = f"{self._run.pin.name}-{self._count}"
        future = asyncio.get_running_loop().create_future()
        self._listener.waiting[task_id] = future
        self._slots.begin(Assignment(task_id, 1, self._run, b"{}"), self._listener)
        outcome: Outcome = await future
        assert outcome.is_ok, outcome
        return outcome

    async def one_at_a_time(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            await self.once()
            took.append(time.perf_counter() - began)
        return took

    async def rate(self, count: int, in_flight: int) -> float:
        left = count

        async def keep_going() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await self.once()

        began = time.perf_counter()
        await asyncio.gather(*(keep_going() for _ in range(in_flight)))
        return count / (time.perf_counter() - began)


async def _measure(rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        folder.chmod(0o755)  # noqa: ASYNC240 - attempts are other users
        for name, source in (("noop", NOOP), ("modules", _MODULES)):
            (folder / name).mkdir()
            (folder / name / "main.py").write_text(source)

        async def ensure(pin: Pin) -> Path:
            return folder / pin.name

        listener = Listener()
        slots = Slots(SlotPolicy(IN_FLIGHT_COUNT, folder / "scratch", (folder,)), ensure)
        await slots.start()
        try:
            modules = json.loads((await Runner(slots, listener, "modules").once()).data or b"[]")
            return await _rounds(Runner(slots, listener, "noop"), modules, rounds)
        finally:
            await slots.close()


async def _rounds(runner: Runner, modules: list[str], rounds: int) -> dict[str, float]:
    rows: dict[str, list[float]] = {
        name: [] for name in ("bare_p50", "bare_p99", "bare_rate", "p50", "p99", "rate")
    }
    await runner.rate(200, IN_FLIGHT_COUNT)
    for _ in range(rounds):
        single = (await asyncio.to_thread(loops, modules, 1))[0]
        double = await asyncio.to_thread(loops, modules, 2)
        took = await runner.one_at_a_time(SINGLE_COUNT)
        rows["bare_p50"].append(statistics.median(single))
        rows["bare_p99"].append(statistics.quantiles(single, n=100)[98])
        rows["bare_rate"].append(sum(len(each) / sum(each) for each in double))
        rows["p50"].append(statistics.median(took))
        rows["p99"].append(statistics.quantiles(took, n=100)[98])
        rows["rate"].append(await runner.rate(MANY_COUNT, IN_FLIGHT_COUNT))
    told = {name: statistics.median(values) for name, values in rows.items()}
    return {
        "modules_count": len(modules),
        "bare_fork_p50_ms": told["bare_p50"] * 1000,
        "bare_fork_p99_ms": told["bare_p99"] * 1000,
        "bare_fork_two_loops_per_s": told["bare_rate"],
        "slots_p50_ms": told["p50"] * 1000,
        "slots_p99_ms": told["p99"] * 1000,
        "slots_16_in_flight_per_s": told["rate"],
        "p50_ratio": told["p50"] / told["bare_p50"],
        "rate_ratio": told["rate"] / told["bare_rate"],
    }


def measure(rounds: int = ROUND_COUNT) -> dict[str, float]:
    """Return the figures of `rounds` interleaved rounds, medians."""
    return uvloop.run(_measure(rounds))
