"""All templates of one worker: started when they are needed, and again when they die."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import NamedTuple

from zscrape.model import Network
from zscrape.runtime.limits import Limits
from zscrape.worker import processes, strays
from zscrape.worker.children import Child
from zscrape.worker.kinds import Kind, TemplateFailed, TemplatePolicy
from zscrape.worker.pump import Pump
from zscrape.worker.scratch import Scratch
from zscrape.worker.supervisor.keeper import Supervisor
from zscrape.worker.template import Template

_READY_TIMEOUT_S = 120.0  # half a second, but on a small and busy board above half a minute
_SHRINK_INTERVAL_S = 30.0
_RESTART_DELAY_S = 1.0
# Templates of environments, and those that preload modules, start when a script asks for them,
# which costs it 100 ms and more, and hold 20 MB and more each. These are kept warm: lately used,
# and not too many.
_RARE_IDLE_S = 300.0
_RARE_COUNT = 8
# What a dead template leaves behind comes to us one after the other: see `end_adopted`.
_ADOPTED_LOOKS_S = (0.1, 0.2, 0.5)


class Need(NamedTuple):
    """What an attempt asks of templates: a child of one kind, under some limits."""

    kind: Kind
    limits: Limits


class Templates:
    """Gives out children, and keeps the processes that they are forked from.

    A kit has one template whose children inherit the standard limits, and another, started
    only when a script asks for other limits, whose children take on their own. So has each
    kit in an environment: `hold` and `release` are told of its interpreter for as long as a
    template runs in it.
    """

    def __init__(
        self,
        policy: TemplatePolicy,
        standard: Limits,
        pump: Pump,
        scratch: Scratch,
        *,
        hold: Callable[[str], None],
        release: Callable[[str], None],
        supervisor: Supervisor | None = None,
    ) -> None:
        self._policy = policy
        self._hold = hold
        self._release = release
        self._supervisor = supervisor
        self._standard = standard
        self._pump = pump
        self._scratch = scratch
        self._templates: dict[Kind, Template] = {}
        self._standing: Kind | None = None  # the lean one: a task after a long rest finds a spare
        self._closing: set[Template] = set()
        self._watchers: set[asyncio.Task[None]] = set()
        self._shrinking: asyncio.TimerHandle | None = None
        self._adopting: asyncio.Task[None] | None = None

    async def start(self, kits: tuple[tuple[str, ...], ...], network: Network) -> None:
        """Start templates for these kits, each with one spare; return when they are ready.

        Raises:
            TemplateFailed: One of them cannot be started.
        """
        processes.adopt()
        for kit in kits:
            kind = self.need(kit, self._standard, "", network).kind
            self._get(kind).keep(self._standard)
            if not kit:
                self._standing = kind
        for template in list(self._templates.values()):
            await _ready(template)
        self._shrink()

    def need(
        self,
        kit: tuple[str, ...],
        limits: Limits,
        python: str,
        network: Network,
        preload: tuple[str, ...] = (),
    ) -> Need:
        """Return what a script with this kit needs; an empty `python` is the worker's own."""
        own = self._standard if limits == self._standard else None
        return Need(Kind(",".join(kit), own, python, network, ",".join(preload)), limits)

    async def warm(self, need: Need) -> None:
        """Return when there is a template that can be taken from at once.

        Raises:
            TemplateFailed: It cannot be started.
        """
        template = self._get(need.kind)
        template.used_at = asyncio.get_running_loop().time()
        await _ready(template)

    def take_at_once(self, need: Need) -> Child | None:
        """Return a child of a template that need not be waited for; None if there is none."""
        template = self._templates.get(need.kind)
        return template.take(need.limits) if template is not None and template.is_open else None

    def take(self, need: Need) -> Child:
        """Return a child, starting a template if there is none.

        Raises:
            TemplateFailed: It cannot be started.
        """
        return self._get(need.kind).take(need.limits)

    def pids(self) -> dict[str, int]:
        """Return the process of each template, by the name of its kind."""
        return {kind.name: template.process.pid for kind, template in self._templates.items()}

    def children(self) -> list[Child]:
        """Return every child that has not ended, spares included."""
        return [child for each in self._templates.values() for child in each.children.values()]

    async def close(self) -> None:
        """End every template and everything below it."""
        if self._shrinking is not None:
            self._shrinking.cancel()
        templates, self._templates = [*self._templates.values(), *self._closing], {}
        for template in templates:
            template.close()
        for template in templates:
            await template.wait_gone()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if self._adopting is not None:
            self._adopting.cancel()
            await asyncio.gather(self._adopting, return_exceptions=True)
        await asyncio.to_thread(strays.end_adopted, self._scratch.owner)

    def _get(self, kind: Kind) -> Template:
        template = self._templates.get(kind)
        if template is not None and template.gone.done():
            if template.failure:
                raise TemplateFailed(template.failure)
            template = None
        return self._start(kind) if template is None else template

    def _start(self, kind: Kind) -> Template:
        supervisor = self._supervisor if kind.network == "public" else None
        template = Template(kind, self._policy, self._pump, self._scratch, supervisor)
        self._templates[kind] = template
        if kind.python:
            self._hold(kind.python)
        if kind.is_rare:
            self._close_idle(template.started_at)
        watcher = asyncio.get_running_loop().create_task(self._watch(template))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return template

    async def _watch(self, template: Template) -> None:
        """Start a template again when it dies, not faster than it can fail."""
        kind = template.kind
        try:
            await asyncio.shield(template.gone)
        finally:
            self._closing.discard(template)
            if kind.python:
                self._release(kind.python)
        self._end_adopted_soon()
        lived_s = asyncio.get_running_loop().time() - template.started_at
        if template.failure and lived_s < _RESTART_DELAY_S:
            await asyncio.sleep(_RESTART_DELAY_S - lived_s)
        if self._templates.get(kind) is template:
            del self._templates[kind]
            if not template.failure and not kind.is_rare:  # those start when they are asked for
                self._start(kind)

    def _end_adopted_soon(self) -> None:
        if self._adopting is None or self._adopting.done():
            self._adopting = asyncio.get_running_loop().create_task(self._end_adopted())

    async def _end_adopted(self) -> None:
        """End what a dead template has left behind, until several looks have found nothing."""
        looks = list(_ADOPTED_LOOKS_S)
        while looks:
            await asyncio.sleep(looks[0])
            count = await asyncio.to_thread(strays.end_adopted, self._scratch.owner)
            self._scratch.leftovers.add(count)
            if count:
                looks = list(_ADOPTED_LOOKS_S)
            else:
                del looks[0]

    def _close_idle(self, now: float) -> None:
        """Close templates that nobody has used for long, and rare ones beyond those kept."""
        templates = sorted(self._templates.values(), key=lambda each: each.used_at, reverse=True)
        surplus = [each for each in templates if each.kind.is_rare][_RARE_COUNT:]
        for template in templates:
            if template.active:
                template.used_at = now
                continue
            is_old = now - template.used_at > self._idle_s(template.kind)
            if (is_old or template in surplus) and template.is_idle:
                del self._templates[template.kind]
                self._closing.add(template)
                template.close()

    def _idle_s(self, kind: Kind) -> float:
        """Return how long a template is kept that nobody uses."""
        if kind.is_rare:
            return _RARE_IDLE_S
        return math.inf if kind == self._standing else self._policy.idle_s or math.inf

    def _shrink(self) -> None:
        loop = asyncio.get_running_loop()
        for template in self._templates.values():
            template.shrink(loop.time())
        self._close_idle(loop.time())
        self._shrinking = loop.call_later(_SHRINK_INTERVAL_S, self._shrink)


async def _ready(template: Template) -> None:
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            await asyncio.shield(template.ready)
    except TimeoutError:
        template.process.kill()  # stopped or stuck: the next one starts anew
        name = template.kind.name or "python"
        raise TemplateFailed(f"{name} took over {_READY_TIMEOUT_S:g} s to start") from None
