"""Attempts on this worker: prepared, run in a fresh process each, watched, reported.

slots = Slots(policy, ensure)
await slots.start()
slots.begin(assignment, listener)      # on_started..., on_finished: exactly once
slots.stop(task_id, attempt, OutcomeCode.CANCELLED)
await slots.close()          # nothing that was started here is left
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from zscrape.core.effects import Assignment
from zscrape.errors import ZscrapeError
from zscrape.errors.scripts import EnvironmentFailed
from zscrape.log import get_logger
from zscrape.messages import text
from zscrape.model import Attempt, Limits, Outcome, OutcomeCode, Pin, RunSpec
from zscrape.runtime import chromium
from zscrape.runtime.limits import Limits as ChildLimits
from zscrape.wire import Tell
from zscrape.worker import verdict
from zscrape.worker.alarms import EARLY_S, Alarms
from zscrape.worker.asides import Compiling, Trial
from zscrape.worker.attempt import Running, SlotListener, begun
from zscrape.worker.children import Child, Keeper
from zscrape.worker.codes import CodeKey, Codes
from zscrape.worker.environments import Environments, needs_environment
from zscrape.worker.isolation import Isolation, examine
from zscrape.worker.kinds import TemplateFailed, TemplatePolicy, clean_environ
from zscrape.worker.leftovers import Leftovers
from zscrape.worker.network import Egress, NetworkPolicy, Strength
from zscrape.worker.pump import Pump
from zscrape.worker.requests import Form
from zscrape.worker.reusing import Reusing, Use
from zscrape.worker.robotsfiles import RobotsFiles
from zscrape.worker.scratch import Scratch
from zscrape.worker.supervisor.keeper import Supervisor
from zscrape.worker.templates import Need, Templates

__all__ = ["Assignment", "SlotListener", "SlotPolicy", "Slots", "TemplateFailed"]

_READY_LIMIT_COUNT = 16
# Spares beside one for each slot: what forks works in larger batches, and is waited for less.
_SPARES_BESIDE_COUNT = 4
_FIRST_KITS: tuple[tuple[str, ...], ...] = ((), ("http",))
_REST_S = 0.02  # without an attempt: the next one is not at the door
# What a task is told of its environment's build.
_LOG_LINE_COUNT = 200
_LOG_TAIL_COUNT = 20
_PLANS_COUNT = 1024  # scripts whose plans are remembered
# With them is what their children are asked, code included: larger ones are in `Codes` alone.
_FORM_LIMIT_BYTES = 32 * 1024


class SlotPolicy(Struct, frozen=True):
    """How this worker runs attempts."""

    slot_count: int
    scratch_dir: Path
    script_roots: tuple[Path, ...]  # all scripts lie beneath these; each attempt sees its own
    python: str = sys.executable
    isolation: Literal["fork", "exec"] = "fork"
    skip_layers: frozenset[str] = frozenset()
    grace_s: float = 2.0  # between the request to end and the kill
    environ: dict[str, str] = field(default_factory=dict)  # variables that scripts may see besides
    network: NetworkPolicy = NetworkPolicy()
    browser_slots: int | None = None  # attempts with a browser at once; None: as many as slots
    browser_ahead: int = 0  # browsers that wait ready in each template that has them
    template_idle_s: float = 0.0  # after which an unused kit is unloaded; 0.0: never


class _Files(Struct):
    """A script's files as they were found."""

    folder: str
    code_key: CodeKey | None
    bare: Form  # by which a child is asked that has the script, or is to compile it for itself
    compiled: Form | None = None  # with the code, once that is known


class _Plan(Struct, eq=False):
    """What follows from a script's manifest alone, for one interpreter."""

    need: Need
    python: str
    compiler: str  # by what its code is compiled
    is_prepared: bool  # something has to be there first, besides the script itself
    is_reused: bool
    is_dear: bool  # a child of it costs more than all that it could compile
    held: Path | None = None  # its folder, which was found as it was as long as this is told
    files: _Files | None = None  # in that


class Slots:
    """Runs attempts. All methods belong to one event loop's thread."""

    def __init__(
        self,
        policy: SlotPolicy,
        ensure: Callable[[Pin], Awaitable[Path]],
        environments: Environments | None = None,
        *,
        leftovers: Leftovers | None = None,
        is_kept: Callable[[Pin], bool] = lambda _: True,
        held: Callable[[Pin], Path | None] = lambda _: None,
    ) -> None:
        self._policy = policy
        self._ensure = ensure
        self._environments = environments
        self._running: dict[Attempt, Running] = {}
        self._is_kept = is_kept  # a script that need not be fetched
        # Where a script is that can be run as it stands: the same object for as long as that does.
        self._held = held
        self._scratch = Scratch(policy.scratch_dir, leftovers)
        self._codes = Codes()
        self._robots = RobotsFiles()
        self._beside: set[Running] = set()  # attempts of our own
        self._egress = Egress(policy.network)
        self._readying: set[asyncio.Task[None]] = set()
        self._with_browser: set[Running] = set()
        self._browsers = asyncio.Semaphore(
            policy.slot_count if policy.browser_slots is None else max(1, policy.browser_slots)
        )
        self._is_closed = False
        self._resting: asyncio.TimerHandle | None = None
        self._rested_at = 0.0  # when nothing will have run for a while, by the loop's clock
        self._latest: Keeper | None = None  # the template of the attempt that was launched last
        self._supervisor: Supervisor | None = None
        # What follows from a script's manifest alone is worked out once, not for each attempt.
        self._plan = functools.lru_cache(_PLANS_COUNT)(self._plan_of)
        self._log: Any = get_logger()

    async def start(self) -> None:
        """Start the templates and their first spares; return when they can take work.

        Raises:
            TemplateFailed: A template cannot be started; the text says why.
        """
        self._loop = asyncio.get_running_loop()
        await self._scratch.open()
        python = self._policy.python
        try:
            layers = await examine(
                python,
                self._scratch.root,
                self._policy.script_roots,
                skip=self._policy.skip_layers,
            )
        except OSError as error:
            await self._scratch.close()
            raise TemplateFailed(f"{python}: {error.strerror}") from error
        if layers.has_own_users:
            self._scratch.give_to(layers.first_uid)
        self._pump = Pump(self._loop)
        self._alarms = Alarms(self._loop)
        grace_s = self._policy.grace_s
        self._begun = functools.partial(begun, self._alarms, self._pump, grace_s)
        self._reusing = Reusing(self._loop, self._pump, self._policy.slot_count)
        ahead = {chromium.AHEAD_VARIABLE: "1"} if self._policy.browser_ahead > 0 else {}
        policy = TemplatePolicy(
            python=python,
            isolation=self._policy.isolation,
            environ=clean_environ({**self._policy.environ, **ahead}),
            spare_count=self._policy.slot_count,
            beside_count=self._beside_count(layers),
            browser_ahead=self._policy.browser_ahead,
            layers=layers,
            egress=self._egress,
            idle_s=self._policy.template_idle_s,
        )
        await asyncio.to_thread(self._egress.open)
        strength = self._egress.strength
        self.layers = layers.with_network(strength.name, strength.reason)
        if self._egress.supervised is not None:
            self._supervisor = Supervisor(self._egress.supervised, self._scratch.root)
        environments = self._environments
        self._templates = Templates(
            policy,
            _child_limits(Limits()),
            self._pump,
            self._scratch,
            hold=lambda python: environments.hold(python) if environments else None,
            release=lambda python: environments.release(python) if environments else None,
            supervisor=self._supervisor,
        )
        try:
            self._start_supervisor()
            await self._templates.start(_FIRST_KITS, self._egress.cap("public"))
        except BaseException:
            await self.close()
            raise

    def _beside_count(self, layers: Isolation) -> int:
        is_dear = self._policy.isolation == "exec"  # each an interpreter of its own
        # Without users of their own the kernel counts all of them as processes of each attempt.
        return 0 if is_dear or not layers.has_own_users else _SPARES_BESIDE_COUNT

    def _start_supervisor(self) -> None:
        if self._supervisor is None:
            return
        try:
            self._supervisor.start()
        except OSError as error:
            raise TemplateFailed(f"network supervisor: {error.strerror or error}") from error

    @property
    def network_strength(self) -> Strength:
        """How the network policy is enforced here."""
        return self._egress.strength

    @property
    def running(self) -> tuple[Attempt, ...]:
        """The attempts that have begun and are not over."""
        return tuple(self._running)

    @property
    def digests(self) -> frozenset[str]:
        """The digests of the scripts that run or are being prepared."""
        return frozenset(each.assignment.run.pin.digest for each in self._running.values())

    @property
    def template_pids(self) -> dict[str, int]:
        """The process of each template, by its kit (comma separated, empty for the bare one)."""
        return self._templates.pids()

    @property
    def child_pids(self) -> tuple[int, ...]:
        """The processes of all children known by now, spares included."""
        return tuple(child.pid for child in self._templates.children() if child.pid)

    def begin(self, assignment: Assignment, listener: SlotListener) -> None:
        """Run an attempt; `listener` hears the rest."""
        running = self._begun(assignment, listener, self._on_over, self._robots)
        self._running[assignment.task_id, assignment.attempt] = running
        if assignment.trace_id:  # who sends one follows the call: a line for each costs too much
            self._log.info(
                "attempt_begun",
                task_id=assignment.task_id,
                attempt=assignment.attempt,
                script_name=assignment.run.pin.name,
                trace_id=assignment.trace_id,
            )
        try:
            is_begun = self._begin_at_once(running)
        except Exception as error:  # noqa: BLE001 - told; it must not keep the slot
            self._give_up(running, error)
            return
        if not is_begun:
            running.preparing = self._loop.create_task(self._prepare(running))
            running.preparing.add_done_callback(lambda task: self._on_prepared(running, task))

    def prepare(self, run: RunSpec) -> None:
        """Get a script ready beside what runs; what goes wrong is told when it is to run."""
        if len(self._readying) < _READY_LIMIT_COUNT and not self._is_closed:
            task = self._loop.create_task(self._make_ready(run))
            self._readying.add(task)
            task.add_done_callback(self._readying.discard)

    async def try_out(self, run: RunSpec, folder: Path) -> Outcome:
        """Run a script of ours from its folder, beside what is asked for; returns how it ended.

        Raises:
            TemplateFailed: Nothing can be run.
            OSError: There are no descriptors left.
        """
        outcome: asyncio.Future[Outcome] = self._loop.create_future()
        trial = Assignment("canary", 1, run, b"{}")
        running = self._begun(trial, Trial(outcome), self._beside.discard)
        child = self._templates.take(self._plan(run, "").need)
        child.template.rest()  # nobody has asked for this kit yet
        self._beside.add(running)
        running.launch(child, Form(run, str(folder)))
        return await outcome

    def stop(self, task_id: str, attempt: int, code: OutcomeCode) -> None:
        """End an attempt softly, then by force; its outcome takes `code`. Unknown: nothing."""
        running = self._running.get((task_id, attempt))
        if running is not None:
            running.stop(code)

    def pass_on(self, attempt: Attempt, listener: SlotListener) -> None:
        """Let another hear the rest of an attempt; one that is over has told all of it."""
        running = self._running.get(attempt)
        if running is not None:
            running.listener = listener

    def tell(self, tell: Tell) -> None:
        """Give an attempt the answer to what it has asked; one that is over needs none."""
        running = self._running.get((tell.task_id, tell.attempt))
        if running is not None:
            running.tell(tell)

    async def close(self) -> None:
        """End everything. Attempts that still run end as `worker_lost`, at once.

        A second call finds nothing left to do.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._resting is not None:
            self._resting.cancel()
        for running in (*self._running.values(), *self._beside):
            running.abandon(OutcomeCode.WORKER_LOST)
        for task in self._readying:
            task.cancel()
        await asyncio.gather(*self._readying, return_exceptions=True)
        await self._reusing.close()
        await self._templates.close()
        await asyncio.to_thread(self._egress.close)
        if self._supervisor is not None:
            self._supervisor.close()
        self._alarms.close()
        self._pump.close()
        await self._scratch.close()

    async def _make_ready(self, run: RunSpec) -> None:
        try:
            await self._ensure(run.pin)
            if self._environments is not None and needs_environment(run):
                environment = await self._environments.ensure(run)
                self._environments.release(environment.python)
        except (ZscrapeError, OSError) as error:
            self._log.info("prefetch_failed", script_name=run.pin.name, reason=str(error))

    def _begin_at_once(self, running: Running) -> bool:
        """Launch an attempt for which nothing is to be made; False: `_prepare` sees to it.

        Most are such, and a task of the loop for each costs more than the launch itself. A
        template that has yet to load its kit is not waited for here: that is no time of a script's.
        """
        run = running.assignment.run
        plan = self._plan(run, "")
        if plan.is_prepared:
            return False
        folder = self._held(run.pin)
        if folder is None:
            return False
        try:
            child = self._used_for(running, plan) if plan.is_reused else None
            child = child or self._templates.take_at_once(plan.need)
        except (TemplateFailed, OSError):  # told there
            return False
        if child is None:
            return False
        files = plan.files
        if files is None or folder is not plan.held:
            files = plan.files = self._found(run, folder, plan)
            plan.held = folder
        self._launch(running, child, files, plan)
        return True

    async def _prepare(self, running: Running) -> None:
        run = running.assignment.run
        denied = verdict.of_denial(running.assignment)
        if denied is not None:
            running.fail(denied)
            return
        try:
            if "browser" in run.kit:  # two gateways may each think that the last one is free
                await self._browsers.acquire()
                self._with_browser.add(running)
            began_at = self._loop.time()
            running.has_fetched = not self._is_kept(run.pin)
            folder = await self._ensure(run.pin)
            running.fetch_s = self._loop.time() - began_at
            if needs_environment(run):
                await self._prepare_environment(running, folder)
                return
            plan = self._plan(run, "")
            await self._templates.warm(plan.need)
            child = self._take_for(running, plan)
        except ZscrapeError as error:
            running.fail(verdict.of_refusal(error))
        except (TemplateFailed, OSError) as error:
            running.fail(Outcome(OutcomeCode.ENVIRONMENT_ERROR, fields={"reason": str(error)}))
        else:
            self._launch(running, child, self._found(run, folder, plan), plan)

    async def _prepare_environment(self, running: Running, folder: Path) -> None:
        """Launch an attempt in an environment of its own needs, built first if it is not there.

        Raises:
            EnvironmentFailed: It cannot be made; the task has been told what the installer said.
            TemplateFailed, OSError: Nothing can be started in it.
        """
        if self._environments is None:
            raise EnvironmentFailed(reason=text("environment_error.none", "en"))
        run = running.assignment.run
        began_at = self._loop.time()
        try:
            environment = await self._environments.ensure(run)
        except EnvironmentFailed as error:
            for line in error.log.splitlines()[-_LOG_LINE_COUNT:]:
                running.note("error", line)
            raise
        try:
            running.environment_s = self._loop.time() - began_at
            running.has_built = environment.is_new
            if environment.is_new:
                built = text("event.environment_built", "en", seconds=environment.built_s)
                tail = environment.log.splitlines()[-_LOG_TAIL_COUNT:]
                running.note("info", "\n".join((built, *tail)))
            plan = self._plan(run, environment.python)
            await self._templates.warm(plan.need)
            child = self._take_for(running, plan)
        finally:
            # Its template holds it from here on, for as long as that lives.
            self._environments.release(environment.python)
        self._launch(running, child, self._found(run, folder, plan), plan)

    def _take_for(self, running: Running, plan: _Plan) -> Child:
        """Return a child for an attempt: one that has run others, where its script wants that."""
        child = self._used_for(running, plan) if plan.is_reused else None
        return child or self._templates.take(plan.need)

    def _used_for(self, running: Running, plan: _Plan) -> Child | None:
        assignment = running.assignment
        # A lock is free once its holder's process has ended; its own word for that is not enough.
        if assignment.is_exclusive or assignment.is_replay:
            return None
        memory_bytes = assignment.run.limits.memory_bytes
        use = Use(assignment.client, plan, memory_bytes, assignment.secrets)
        running.keep = functools.partial(self._reusing.offer, use)
        return self._reusing.take(use)

    def _plan_of(self, run: RunSpec, python: str) -> _Plan:
        limits, network = _child_limits(run.limits), self._egress.cap(run.network)
        needs_more = run.preload or run.requirements or run.python or run.secrets
        has_browser = "browser" in run.kit
        return _Plan(
            need=self._templates.need(run.kit, limits, python, network, run.preload),
            python=python,
            # What one interpreter has compiled is nothing to another.
            compiler=f"{','.join(run.kit)}@{python}",
            is_prepared=bool(needs_more) or has_browser,
            is_reused=run.reuse_count > 1,
            is_dear=has_browser,
        )

    def _on_prepared(self, running: Running, preparing: asyncio.Task[None]) -> None:
        """A fault of ours while preparing must not keep the slot until the time limit."""
        error = None if preparing.cancelled() else preparing.exception()
        if error is not None:
            self._give_up(running, error)

    def _give_up(self, running: Running, error: BaseException) -> None:
        running.abandon(OutcomeCode.INTERNAL)
        told = {"message": "an attempt could not be prepared", "exception": error}
        self._loop.call_exception_handler(told)

    def _found(self, run: RunSpec, folder: Path, plan: _Plan) -> _Files:
        place = str(folder)
        key = self._codes.key(place, run.entry_point, plan.compiler)
        return _Files(place, key, Form(run, place))

    def _launch(self, running: Running, child: Child, files: _Files, plan: _Plan) -> None:
        self._latest = child.template
        if child.run_count:  # it has the script already
            running.launch(child, files.bare)
            return
        assignment = running.assignment
        form = files.compiled or self._form(assignment.run, files)
        running.launch(child, form)
        if form is files.bare and not plan.is_dear:
            self._compile(assignment, files, plan.python)
        child.template.refill_soon()

    def _form(self, run: RunSpec, files: _Files) -> Form:
        """Return by what a child is asked to run a script, with its code if that is known."""
        code = None if files.code_key is None else self._codes.get(files.code_key)
        if code is None:
            return files.bare
        form = Form(run, files.folder, code)
        if len(code.content) <= _FORM_LIMIT_BYTES:
            files.compiled = form
        return form

    def _compile(self, assignment: Assignment, files: _Files, python: str) -> None:
        """Have a child compile the script, beside its first attempt, for all that come after."""
        run, key = assignment.run, files.code_key
        if key is None or not self._codes.claim(key):
            return
        listener = Compiling(self._codes, key)
        compiling = self._begun(assignment, listener, self._beside.discard)
        try:
            child = self._templates.take(self._plan(run, python).need)
        except (TemplateFailed, OSError):  # then it is compiled by each attempt for itself
            return
        self._beside.add(compiling)
        compiling.launch(child, Form(run, files.folder, is_compile_only=True))

    def _on_over(self, running: Running) -> None:
        if running in self._with_browser:
            self._with_browser.discard(running)
            self._browsers.release()
        assignment = running.assignment
        del self._running[assignment.task_id, assignment.attempt]
        if running.preparing is not None and not running.preparing.done():
            running.preparing.cancel()
        if not self._running and not self._is_closed:
            self._rested_at = self._loop.time() + _REST_S
            if self._resting is None:  # one that is set looks again by itself
                self._resting = self._loop.call_at(self._rested_at, self._on_rest)

    def _on_rest(self) -> None:
        """Use the time until the next attempt for what that would have to wait for."""
        self._resting = None
        if self._running:
            return
        now = self._loop.time()
        has_rested = now >= self._rested_at - EARLY_S
        if has_rested and self._latest is not None and self._latest.rehearse_next():
            self._rested_at, has_rested = now + _REST_S, False
        if not has_rested:
            self._resting = self._loop.call_at(self._rested_at, self._on_rest)


def _child_limits(limits: Limits) -> ChildLimits:
    return ChildLimits(
        limits.memory_bytes,
        limits.process_count,
        limits.open_file_count,
        limits.file_size_bytes,
    )
