"""Faults at random for as long as one likes: `soak(root, seed, seconds)`, also for `bench`."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
from msgspec import Struct

from tests.faults.accounting import Account, settle
from tests.faults.proxy import Proxy
from tests.faults.services import SCRIPTS, Cluster, Service, pause
from tests.faults.traffic import Traffic

_WORKER_NAMES = ("a", "b", "c")
_SLOT_COUNT = 4
_GAP_S = (1.0, 4.0)  # between two faults
_FREEZE_S = (0.5, 10.0)
_CUT_S = (0.5, 8.0)


class Soaked(Struct):
    """What a soak has done, and how the books stand at its end."""

    seed: int
    seconds: float
    faults: dict[str, int]
    account: Account

    def __str__(self) -> str:
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return f"seed {self.seed}, {self.seconds:.0f} s: {told}\n{self.account}"


class Soak:
    """A cluster under traffic, and the faults that befall it; the seed chooses them."""

    def __init__(self, root: Path, seed: int) -> None:
        self._rng = random.Random(seed)
        self._seed = seed
        # A copy: a soak is long, and an edit meanwhile would be live at once.
        shutil.copytree(SCRIPTS, root / "scripts")
        self._cluster = Cluster(root, scripts=root / "scripts")
        self._proxy = Proxy(self._cluster.gateway.ready["link"])
        self._done: Counter[str] = Counter()
        self._faults: list[Callable[[], None]] = [
            self.kill_worker,
            self.kill_worker,
            self.freeze_worker,
            self.drain_worker,
            self.kill_template,
            self.kill_child,
            self.reset_links,
            self.deafen_links,
            self.slow_links,
            self.freeze_gateway,
        ]
        if self._cluster.is_durable:
            self._faults += [self.kill_gateway, self.kill_gateway, self.drain_gateway]

    def run(self, seconds: float) -> Soaked:
        """Let faults befall the cluster for so long, then heal it and settle the accounts."""
        try:
            for name in _WORKER_NAMES:
                self._start(name)
            traffic = Traffic(self._cluster, self._seed)
            traffic.start()
            began_at = time.monotonic()
            try:
                while time.monotonic() - began_at < seconds:
                    pause(self._rng.uniform(*_GAP_S))
                    fault = self._rng.choice(self._faults)
                    self._done[fault.__name__] += 1
                    fault()
            finally:
                traffic.stop()
            account = settle(self._cluster, traffic.told)
        finally:
            for worker in self._cluster.workers.values():
                worker.end()
            self._proxy.close()
            self._cluster.close()
        return Soaked(self._seed, time.monotonic() - began_at, dict(self._done), account)

    def _start(self, name: str) -> None:
        # One of them stands behind the proxy: the others see the link as it is.
        join = self._proxy.address if name == _WORKER_NAMES[0] else None
        self._cluster.start_worker(name, slots=_SLOT_COUNT, join=join)

    def _any_worker(self) -> tuple[str, Service]:
        name = self._rng.choice(_WORKER_NAMES)
        return name, self._cluster.workers[name]

    # ---- the faults ------------------------------------------------------------------

    def kill_worker(self) -> None:
        """`kill -9`, then a new one with the same home."""
        name, worker = self._any_worker()
        worker.kill()
        pause(self._rng.uniform(0.0, 5.0))
        self._start(name)

    def freeze_worker(self) -> None:
        """SIGSTOP; its scripts run on."""
        _, worker = self._any_worker()
        worker.signal(signal.SIGSTOP)
        pause(self._rng.uniform(*_FREEZE_S))
        worker.signal(signal.SIGCONT)

    def drain_worker(self) -> None:
        """SIGTERM, then a new one, as in a rolling upgrade."""
        name, worker = self._any_worker()
        worker.signal(signal.SIGTERM)
        worker.wait()
        self._start(name)

    def kill_template(self) -> None:
        """`kill -9` of a process that forks scripts."""
        _, worker = self._any_worker()
        self._kill_one(psutil.Process(worker.pid).children())

    def kill_child(self) -> None:
        """`kill -9` of a script, or of a process that waits for one."""
        _, worker = self._any_worker()
        templates = {each.pid for each in psutil.Process(worker.pid).children()}
        self._kill_one([each for each in worker.children() if each.pid not in templates])

    def _kill_one(self, processes: list[psutil.Process]) -> None:
        if processes:
            try:
                self._rng.choice(processes).kill()
            except psutil.NoSuchProcess:  # it has ended by itself meanwhile
                self._done["came too late"] += 1

    def reset_links(self) -> None:
        """Reset what goes through the proxy, a few times in a row."""
        for _ in range(self._rng.randint(1, 5)):
            self._proxy.reset()
            pause(self._rng.uniform(0.0, 1.0))

    def deafen_links(self) -> None:
        """Half-open: nothing passes, nothing is closed."""
        self._proxy.deafen()
        pause(self._rng.uniform(*_CUT_S))
        self._proxy.hear()

    def slow_links(self) -> None:
        """200 ms each way, and small pieces."""
        self._proxy.delay_s, self._proxy.write_bytes = 0.2, 100
        pause(self._rng.uniform(*_CUT_S))
        self._proxy.delay_s, self._proxy.write_bytes = 0.0, 65_536

    def freeze_gateway(self) -> None:
        """SIGSTOP of the gateway: when it wakes, nobody may be taken for lost because of it."""
        self._cluster.gateway.signal(signal.SIGSTOP)
        pause(self._rng.uniform(0.5, 5.0))
        self._cluster.gateway.signal(signal.SIGCONT)

    def kill_gateway(self) -> None:
        """`kill -9`, then a new one on the same home and addresses."""
        self._cluster.gateway.kill()
        pause(self._rng.uniform(0.0, 3.0))
        assert self._cluster.start_gateway_again().is_ready

    def drain_gateway(self) -> None:
        """SIGTERM, then a new one, as in an upgrade."""
        self._cluster.gateway.end()
        assert self._cluster.start_gateway_again().is_ready


def soak(root: Path, seed: int, seconds: float) -> Soaked:
    """Run a soak below `root`.

    Raises:
        AssertionError: Something did not come back, or was left behind.
    """
    return Soak(root, seed).run(seconds)
