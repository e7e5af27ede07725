"""Limits that hold over several gateways: each answers at once, and settles with the others.

No call waits for the database. What a gateway gives away between two settlements the others
learn half a second later, and pay off together: a client that calls two gateways at the same
moment may have a burst at each, and in the long run not more than its rate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from zscrape.core.bucket import NAME_LIMIT_COUNT, Buckets, Rate, Verdict
from zscrape.errors import StorageError
from zscrape.log import get_logger
from zscrape.store.limits import Drawn, Level

_SETTLE_S: Final = 0.5


class SharedBuckets(Buckets):
    """Buckets that remember what was taken from them until it is settled.

    `kind` keeps names of one sort apart from others' in the database.
    """

    def __init__(self, kind: str, clock: Callable[[], float]) -> None:
        super().__init__()
        self._kind = kind
        self._clock = clock
        self._drawn: dict[str, int] = {}
        # Of buckets that nobody has asked for here yet: what was left, and when.
        self._elsewhere: dict[str, tuple[float, float]] = {}

    def take(self, name: str, rate: Rate, *, now: float) -> Verdict:
        """Take a token from the bucket of `name`, if there is one."""
        if self._elsewhere and name in self._elsewhere:
            tokens, at = self._elsewhere.pop(name)
            self._bucket(name, rate, now)
            self.settle(name, tokens + max(0.0, now - at) * rate.per_s, now=now)
        verdict = super().take(name, rate, now=now)
        if verdict.is_allowed:
            self._drawn[name] = self._drawn.get(name, 0) + 1
        return verdict

    def drawn(self) -> dict[str, Drawn]:
        """Return what is to be settled, by its name in the database, and begin anew."""
        drawn, self._drawn = self._drawn, {}
        rates = ((name, self.rate_of(name), count) for name, count in drawn.items())
        return {
            f"{self._kind}:{name}": Drawn(count, rate.per_s, rate.burst_count)
            for name, rate, count in rates
            if rate is not None
        }

    def give_back(self, drawn: Mapping[str, Drawn]) -> None:
        """Settle later what could not be settled now."""
        for told, each in drawn.items():
            kind, _, name = told.partition(":")
            if kind == self._kind:
                self._drawn[name] = self._drawn.get(name, 0) + each.count

    def learn(self, levels: Mapping[str, Level]) -> None:
        """Take over what is left in buckets after what all gateways took."""
        now = self._clock()
        if len(self._elsewhere) > NAME_LIMIT_COUNT:
            self._elsewhere.clear()
        for told, level in levels.items():
            kind, _, name = told.partition(":")
            if kind != self._kind:
                continue
            rate = self.rate_of(name)
            if rate is None:
                self._elsewhere[name] = level.tokens, now - level.age_s
            else:
                filled = min(level.tokens + level.age_s * rate.per_s, float(rate.burst_count))
                self.settle(name, filled - self._drawn.get(name, 0), now=now)


class LimitKeeper(Protocol):
    """What keeps the limits of all gateways."""

    async def settle(self, drawn: Mapping[str, Drawn], counts: Mapping[str, int]) -> None:
        """Take from buckets what was given away here, and tell of tasks."""
        ...

    async def forget_counts(self) -> None:
        """Forget what an earlier life of this gateway has told of tasks."""
        ...

    async def levels(self) -> dict[str, Level]:
        """Return the buckets that were drawn from of late."""
        ...

    async def counts_elsewhere(self) -> dict[str, int]:
        """Return how many tasks of each client other gateways look after."""
        ...


class Counter(Protocol):
    """What counts the tasks of clients, here and elsewhere."""

    def client_counts(self) -> dict[str, int]:
        """Return how many tasks of each client have not ended here."""
        ...

    def count_elsewhere(self, counts: Mapping[str, int]) -> None:
        """Count these tasks of clients too, which other gateways look after."""
        ...


class LimitSharing:
    """Settles this gateway's limits with those of the others; made and used in one event loop.

    `is_alone` says that there is nobody to settle with.
    """

    def __init__(
        self,
        keeper: LimitKeeper,
        buckets: tuple[SharedBuckets, ...],
        counter: Counter,
        *,
        is_alone: Callable[[], bool],
    ) -> None:
        self._keeper = keeper
        self._buckets = buckets
        self._counter = counter
        self._is_alone = is_alone
        self._told: dict[str, int] = {}
        self._is_begun = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Settle every half second from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="shared-limits")

    async def close(self) -> None:
        """Settle no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_SETTLE_S)
            try:
                await self.settle()
            except StorageError:
                pass  # told by the store; until it is back each gateway limits for itself
            except Exception:  # noqa: BLE001 - the task's outermost place: others must be told
                get_logger().error("sharing_broken", exc_info=True)

    async def settle(self) -> None:
        """Tell what was used here, and learn what was used elsewhere.

        Raises:
            StorageError: The database cannot be used; what was used is told the next time.
        """
        drawn = {name: each for one in self._buckets for name, each in one.drawn().items()}
        if self._is_alone():
            self._counter.count_elsewhere({})
            return
        try:
            await self._tell(drawn)
        except StorageError:
            for one in self._buckets:
                one.give_back(drawn)
            self._is_begun, self._told = False, {}  # it may have been taken for dead meanwhile
            raise
        levels = await self._keeper.levels()
        for one in self._buckets:
            one.learn(levels)
        self._counter.count_elsewhere(await self._keeper.counts_elsewhere())

    async def _tell(self, drawn: Mapping[str, Drawn]) -> None:
        if not self._is_begun:
            await self._keeper.forget_counts()
            self._is_begun = True
        counts = self._counter.client_counts()
        changed = {name: counts.get(name, 0) for name in counts.keys() | self._told.keys()}
        changed = {name: n for name, n in changed.items() if n != self._told.get(name, 0)}
        if drawn or changed:
            await self._keeper.settle(drawn, changed)
            self._told = counts
