"""Python environments of scripts: made when they are first needed, shared, cleaned.

environments = Environments(EnvironmentPolicy(root=folder))
await environments.open()
environment = await environments.ensure(run)     # held: it stays until it is released
...
environments.release(environment.python)
await environments.close()

Equal needs are one environment, built once however many ask for it at the same time, in this
process or in another of the same machine. `zscrape` itself is in none of them: `launch.py`
makes its runtime importable from the worker's own files, so that an environment belongs to no
version of zscrape and sees none of its dependencies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.errors.scripts import EnvironmentFailed
from zscrape.messages import text
from zscrape.model import RunSpec
from zscrape.worker import interpreters
from zscrape.worker.build import build, finish, trim_cache
from zscrape.worker.interpreters import Interpreter
from zscrape.worker.recipe import EnvironmentPolicy, Recipe, kit_lines, needs_environment
from zscrape.worker.shelf import EnvironmentRecord, Shelf

__all__ = [
    "Environment",
    "EnvironmentBuilt",
    "EnvironmentFact",
    "EnvironmentPolicy",
    "EnvironmentRefused",
    "EnvironmentUnfinished",
    "Environments",
    "needs_environment",
]

_FAILURE_COUNT = 256
_LOCK_RETRY_S = 0.05
_KNOWN_COUNT = 64


class Environment(Struct, frozen=True):
    """An environment that is there and whole. `python` is its interpreter."""

    python: str
    digest: str
    built_s: float
    log: str = ""  # what its build has said; empty unless it was built for this call
    is_new: bool = False


class EnvironmentBuilt(Struct, frozen=True):
    """An environment was built."""

    digest: str
    seconds: float


class EnvironmentRefused(Struct, frozen=True):
    """An environment could not be built."""

    digest: str
    reason: str


class EnvironmentUnfinished(Struct, frozen=True):
    """An environment can be used but could not be compiled: scripts in it start slowly."""

    digest: str
    reason: str


EnvironmentFact: TypeAlias = EnvironmentBuilt | EnvironmentRefused | EnvironmentUnfinished


class _Held:
    """An environment that this process keeps from being removed, by a shared lock."""

    __slots__ = ("environment", "lock", "user_count")

    def __init__(self, environment: Environment, lock: int) -> None:
        self.environment = environment
        self.lock = lock
        self.user_count = 0


class _Flight:
    """One environment on its way, and how many wait for it."""

    __slots__ = ("task", "waiting_count")

    def __init__(self, task: asyncio.Task[Environment]) -> None:
        self.task = task
        self.waiting_count = 0


class Environments:
    """The environments of one worker. All methods belong to one event loop's thread.

    `on_fact` hears what the worker's owner may want to know.
    """

    def __init__(
        self,
        policy: EnvironmentPolicy,
        on_fact: Callable[[EnvironmentFact], None] = lambda fact: None,
    ) -> None:
        self._policy = policy
        self._on_fact = on_fact
        self._shelf = Shelf(policy.root)
        self._held: dict[str, _Held] = {}
        self._flights: dict[str, _Flight] = {}
        self._failures: dict[str, tuple[float, EnvironmentFailed]] = {}
        self._interpreters: dict[str, Interpreter] = {}
        self._finishing: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Make the folder; end and remove what workers that were killed left half-built.

        Raises:
            OSError: The folder cannot be written.
        """
        await asyncio.to_thread(self._shelf.open)

    async def ensure(self, run: RunSpec) -> Environment:
        """Return the environment that a script needs, built if need be, held for the caller.

        Callers with equal needs share one build. It goes on while one of them waits; when the
        last has been cancelled, it is ended.

        Raises:
            EnvironmentFailed: It cannot be made; the reason is the installer's own.
        """
        recipe = Recipe(run.requirements, kit_lines(run.kit), await self._interpreter(run.python))
        digest = recipe.digest
        held = self._held.get(digest)
        if held is not None:
            held.user_count += 1
            return held.environment
        self._raise_known(digest)
        return await self._join(recipe, digest)

    def hold(self, python: str) -> None:
        """Keep an environment that is held already for one more user."""
        self._held[_digest_of(python)].user_count += 1

    def release(self, python: str) -> None:
        """Let go of an environment: without users it may be removed."""
        self._let_go(_digest_of(python))

    async def settle(self) -> None:
        """Return when nothing is being compiled any more, beside what already runs in it."""
        await asyncio.gather(*self._finishing.values())

    async def evict(self) -> tuple[str, ...]:
        """Remove what was not used for too long, then the least used beyond the size limit.

        Returns:
            The digests removed. What any process of this machine uses is not among them.
        """
        removed = await asyncio.to_thread(
            self._shelf.evict,
            max_age_s=self._policy.max_age_s,
            limit_bytes=self._policy.total_limit_bytes,
            now=time.time(),
        )
        await asyncio.to_thread(trim_cache, self._shelf, self._policy)
        return removed

    async def close(self) -> None:
        """End what is being built, and let go of everything."""
        tasks: list[asyncio.Task[Any]] = [flight.task for flight in self._flights.values()]
        tasks.extend(self._finishing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for held in self._held.values():
            os.close(held.lock)
        self._held.clear()

    # ---- inside ----------------------------------------------------------------------

    async def _interpreter(self, python_range: str) -> Interpreter:
        if interpreters.is_own_in(python_range):
            return interpreters.own()
        known = self._interpreters.get(python_range)
        if known is not None and known.holds:
            return known
        if len(self._interpreters) >= _KNOWN_COUNT:
            self._interpreters.clear()
        found = await asyncio.to_thread(
            interpreters.find, python_range, may_download=self._policy.allow_python_downloads
        )
        self._interpreters[python_range] = found
        return found

    def _raise_known(self, digest: str) -> None:
        failed_at, error = self._failures.get(digest, (float("-inf"), None))
        if error is None:
            return
        if asyncio.get_running_loop().time() - failed_at < self._policy.failure_kept_s:
            raise EnvironmentFailed(reason=error.reason, log=error.log)
        del self._failures[digest]

    async def _join(self, recipe: Recipe, digest: str) -> Environment:
        flight = self._flights.get(digest)
        if flight is None:
            task = asyncio.get_running_loop().create_task(self._make(recipe, digest))
            flight = self._flights[digest] = _Flight(task)
            task.add_done_callback(lambda done: self._landed(digest, done))
        flight.waiting_count += 1
        try:
            environment = await asyncio.shield(flight.task)
            self._held[digest].user_count += 1
        finally:
            flight.waiting_count -= 1
            if flight.waiting_count == 0:
                self._disband(flight, digest)
        return environment

    def _disband(self, flight: _Flight, digest: str) -> None:
        """Nobody waits any more: end the build, or let go of what it has held for the waiting."""
        if not flight.task.done():
            flight.task.cancel()
            del self._flights[digest]  # a later caller starts again
        elif not flight.task.cancelled() and flight.task.exception() is None:
            self._let_go(digest)

    def _landed(self, digest: str, task: asyncio.Task[Environment]) -> None:
        flight = self._flights.get(digest)
        if flight is not None and flight.task is task:
            del self._flights[digest]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, EnvironmentFailed):
            if len(self._failures) >= _FAILURE_COUNT:
                del self._failures[next(iter(self._failures))]
            self._failures[digest] = (asyncio.get_running_loop().time(), error)

    async def _make(self, recipe: Recipe, digest: str) -> Environment:
        """Take the environment, or build it first; wait while another process does."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._policy.build_timeout_s
        log, is_new = "", False
        while True:
            lock = self._shelf.lock(digest, is_shared=True)
            if lock is not None:
                record = self._shelf.record(digest)
                if record is not None:
                    environment = self._take(recipe, digest, record, lock)
                    return msgspec.structs.replace(environment, log=log, is_new=is_new)
                os.close(lock)
            lock = self._shelf.lock(digest, is_shared=False)
            if lock is not None:
                try:
                    if self._shelf.record(digest) is None:
                        log = await self._build(recipe, digest)
                        is_new = True
                finally:
                    os.close(lock)
                continue
            if loop.time() >= ends_at:
                limit_s = self._policy.build_timeout_s
                reason = text("environment_error.timeout", "en", limit_s=limit_s)
                raise EnvironmentFailed(reason=reason, log=self._shelf.log(digest))
            await asyncio.sleep(_LOCK_RETRY_S)  # the kernel tells nobody of a free lock

    async def _build(self, recipe: Recipe, digest: str) -> str:
        began = time.monotonic()
        try:
            log = await build(self._shelf, self._policy, recipe, digest)
        except EnvironmentFailed as error:
            self._on_fact(EnvironmentRefused(digest, error.reason))
            raise
        self._on_fact(EnvironmentBuilt(digest, time.monotonic() - began))
        return log

    def _take(
        self, recipe: Recipe, digest: str, record: EnvironmentRecord, lock: int
    ) -> Environment:
        """Hold an environment whose shared lock was taken.

        Its first users are those who wait for it, as one, and what finishes it.
        """
        self._shelf.touch(digest)
        python = str(self._shelf.folder(digest) / "bin" / "python")
        environment = Environment(python, digest, record.built_s)
        held = self._held[digest] = _Held(environment, lock)
        held.user_count += 2
        task = asyncio.get_running_loop().create_task(self._finish(recipe, digest))
        self._finishing[digest] = task
        return environment

    async def _finish(self, recipe: Recipe, digest: str) -> None:
        try:
            await finish(self._shelf, recipe, digest)
        except (EnvironmentFailed, OSError) as error:  # it works without, only slower
            self._on_fact(EnvironmentUnfinished(digest, str(error)))
        finally:
            del self._finishing[digest]
            self._let_go(digest)

    def _let_go(self, digest: str) -> None:
        held = self._held.get(digest)
        if held is None:  # closed meanwhile
            return
        held.user_count -= 1
        if held.user_count == 0:
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        held = self._held.pop(digest)
        self._shelf.touch(digest)
        with contextlib.suppress(OSError):
            os.close(held.lock)


def _digest_of(python: str) -> str:
    return Path(python).parents[1].name
