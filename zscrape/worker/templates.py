"""All templates of one worker: started when they are needed, and again when they die."""

from __future__ import annotations

import asyncio

from zscrape.runtime.limits import Limits
from zscrape.worker import processes
from zscrape.worker.children import Child
from zscrape.worker.kinds import Kind, TemplateFailed, TemplatePolicy
from zscrape.worker.pump import Pump
from zscrape.worker.scratch import Scratch
from zscrape.worker.template import Template

_READY_TIMEOUT_S = 30.0
_SHRINK_INTERVAL_S = 30.0
_RESTART_DELAY_S = 1.0


class Templates:
    """Gives out children, and keeps the processes that they are forked from.

    A kit has one template whose children inherit the standard limits, and another, started
    only when a script asks for other limits, whose children take on their own.
    """

    def __init__(
        self, policy: TemplatePolicy, standard: Limits, pump: Pump, scratch: Scratch
    ) -> None:
        self._policy = policy
        self._standard = standard
        self._pump = pump
        self._scratch = scratch
        self._templates: dict[Kind, Template] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._shrinking: asyncio.TimerHandle | None = None

    async def start(self, kits: tuple[tuple[str, ...], ...]) -> None:
        """Start templates for these kits, each with one spare; return when they are ready.

        Raises:
            TemplateFailed: One of them cannot be started.
        """
        processes.adopt()
        for kit in kits:
            self._get(kit, self._standard).keep(self._standard)
        for template in list(self._templates.values()):
            try:
                async with asyncio.timeout(_READY_TIMEOUT_S):
                    await asyncio.shield(template.ready)
            except TimeoutError:
                raise TemplateFailed(f"{template.kind} took over {_READY_TIMEOUT_S:g} s") from None
        self._shrink()

    def take(self, kit: tuple[str, ...], wanted: Limits) -> Child:
        """Return a child of this kit under these limits, starting a template if there is none.

        Raises:
            TemplateFailed: It cannot be started.
        """
        return self._get(kit, wanted).take(wanted)

    def pids(self) -> dict[str, int]:
        """Return the process of each template: by its kit, marked `+limits` if not standard."""
        return {
            kind.kit if kind.own_limits is not None else f"{kind.kit}+limits": template.process.pid
            for kind, template in self._templates.items()
        }

    def children(self) -> list[Child]:
        """Return every child that has not ended, spares included."""
        return [child for each in self._templates.values() for child in each.children.values()]

    async def close(self) -> None:
        """End every template and everything below it."""
        if self._shrinking is not None:
            self._shrinking.cancel()
        templates, self._templates = list(self._templates.values()), {}
        for template in templates:
            template.close()
        for template in templates:
            await template.wait_gone()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    def _get(self, kit: tuple[str, ...], wanted: Limits) -> Template:
        kind = Kind(",".join(kit), self._standard if wanted == self._standard else None)
        template = self._templates.get(kind)
        if template is not None and template.gone.done():
            if template.failure:
                raise TemplateFailed(template.failure)
            template = None
        return self._start(kind) if template is None else template

    def _start(self, kind: Kind) -> Template:
        template = self._templates[kind] = Template(kind, self._policy, self._pump, self._scratch)
        watcher = asyncio.get_running_loop().create_task(self._watch(template))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return template

    async def _watch(self, template: Template) -> None:
        """Start a template again when it dies, not faster than it can fail."""
        await asyncio.shield(template.gone)
        lived_s = asyncio.get_running_loop().time() - template.started_at
        if template.failure and lived_s < _RESTART_DELAY_S:
            await asyncio.sleep(_RESTART_DELAY_S - lived_s)
        if self._templates.get(template.kind) is template:
            del self._templates[template.kind]
            if not template.failure:
                self._start(template.kind)

    def _shrink(self) -> None:
        loop = asyncio.get_running_loop()
        for template in self._templates.values():
            template.shrink(loop.time())
        self._shrinking = loop.call_later(_SHRINK_INTERVAL_S, self._shrink)
