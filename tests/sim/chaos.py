"""What may go wrong in a life, on the way and at either end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.sim.worker import SimWorker
from zscrape.core import effects as fx

if TYPE_CHECKING:
    from tests.sim.life import Life


@dataclass
class Chaos:
    """How bad this life is."""

    drop: float
    double: float
    delay_s: float
    is_ordered: bool


class Misfortunes:
    """Bad things that happen to a cluster, wishes of people, and their end."""

    def __init__(self, life: Life) -> None:
        self.life = life

    def misfortune(self) -> None:
        """Let one bad thing happen, or one wish of a person."""
        rng = self.life.rng
        worker = rng.choice(self.life.workers)
        duration_s = rng.choice((0.5, 2.0, 6.0, 15.0))
        deeds: list[Callable[[SimWorker, float], None]] = [
            self.crash_worker,
            self.freeze,
            self.cut,
            self.crash_gateway,
            self.drain,
            self.leave,
            self.cancel,
            self.cancel,
        ]
        deed = rng.choice(deeds)
        self.life.note("chaos", f"{deed.__name__} {worker.name} {duration_s}")
        deed(worker, duration_s)

    def crash_worker(self, worker: SimWorker, duration_s: float) -> None:
        """Kill a worker and its children; a new process comes later."""
        if worker.is_up:
            worker.kill()
            self.life.at(duration_s, worker.reboot)

    def freeze(self, worker: SimWorker, duration_s: float) -> None:
        """Stop a worker's process (SIGSTOP); its children run on."""
        if worker.is_up and not worker.is_frozen:
            worker.is_frozen = True
            for child in worker.children.values():
                child.is_tainted = True
            self.life.at(duration_s, partial(self.thaw, worker, worker.session_count))

    def thaw(self, worker: SimWorker, session_count: int) -> None:
        """Let a frozen process go on (SIGCONT)."""
        if worker.is_frozen and worker.session_count == session_count:
            worker.thaw()

    def cut(self, worker: SimWorker, duration_s: float) -> None:
        """Cut a link, one way or both."""
        worker.is_cut_up, worker.is_cut_down = self.life.rng.choice(
            ((True, True), (True, False), (False, True))
        )
        self.life.at(duration_s, partial(self.mend, worker))

    def mend(self, worker: SimWorker) -> None:
        """Mend a link."""
        worker.is_cut_up = worker.is_cut_down = False

    def crash_gateway(self, worker: SimWorker, duration_s: float) -> None:
        """Kill the gateway; what is stored stays."""
        self.life.gateway.crash()
        self.life.at(duration_s, self.life.gateway.restart)

    def drain(self, worker: SimWorker, duration_s: float) -> None:
        """Drain a worker: by an operator who resumes it later, or by its own wish for good."""
        if self.life.rng.random() < 0.5 and worker.is_up and not worker.is_frozen:
            worker.soon(lambda: worker.link.drain(now=self.life.now), worker.link)
            return
        self.set_draining(worker, True)
        self.life.at(duration_s, partial(self.set_draining, worker, False))

    def set_draining(self, worker: SimWorker, is_draining: bool) -> None:
        """Be the operator."""
        gateway, now = self.life.gateway, self.life.now
        known = gateway.dispatcher.snapshot(now=now).workers if gateway.dispatcher else ()
        if any(each.id == worker.name for each in known):
            gateway.call(lambda each: each.drain_worker(worker.name, is_draining, now=now))

    def leave(self, worker: SimWorker, duration_s: float) -> None:
        """Stop a worker in good order (SIGTERM); a new process comes later."""
        if worker.is_up and not worker.is_frozen:
            effects = worker.link.leave(now=self.life.now)
            for effect in effects:
                self.life.note(worker.name, effect)
                if isinstance(effect, fx.SendUp) and worker.is_open:
                    self.life.send_up(worker, effect.message)
            worker.kill()
            self.life.at(duration_s, worker.reboot)

    def cancel(self, worker: SimWorker, duration_s: float) -> None:
        """Cancel any task, ended ones included."""
        gateway = self.life.gateway
        if gateway.store:
            task_id = self.life.rng.choice(list(gateway.store))
            gateway.call(lambda each: each.cancel(task_id, now=self.life.now))

    def heal(self) -> None:
        """End the chaos."""
        self.life.note("chaos", "heals")
        self.life.chaos = Chaos(0.0, 0.0, 0.005, is_ordered=True)
        self.life.gateway.restart()
        for worker in self.life.workers:
            self.mend(worker)
            if worker.is_frozen:
                worker.thaw()
            worker.reboot()
            self.set_draining(worker, False)
