"""Where what is known of sites is kept: here, or in the database that several gateways share.

A gateway alone keeps it in memory: after a restart a site may be asked at once. Several agree
by the row of each site, so that a budget holds for all of them together.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from zscrape.core.sitepace import SiteState

if TYPE_CHECKING:
    from zscrape.store.sitestates import SiteStates


Result = TypeVar("Result")

SITE_LIMIT_COUNT: Final = 10_000
_LOOK_S: Final = 0.25  # another gateway may have made room
_RECENT_S: Final = 3600.0
_FORGOTTEN_S: Final = 86_400.0
_DECODE: Final = msgspec.msgpack.Decoder(SiteState).decode
_ENCODE: Final = msgspec.msgpack.Encoder().encode


class SiteLedger(Protocol):
    """Knows the state of each site."""

    look_s: float  # how often to look for what others have changed

    async def change(self, site: str, work: Callable[[SiteState, float], Result]) -> Result:
        """Let `work` change a site's state, by the clock that all go by; it may run again.

        Raises:
            StorageError: The state cannot be reached.
        """
        ...

    async def recent(self) -> dict[str, tuple[SiteState, float]]:
        """Return the sites that were asked of late, each with the moment of this look.

        Raises:
            StorageError: They cannot be reached.
        """
        ...

    async def sweep(self) -> None:
        """Forget sites that nobody has asked for a long time.

        Raises:
            StorageError: They cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...


class LocalLedger:
    """The sites of a gateway that is alone."""

    look_s = inf

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: OrderedDict[str, SiteState] = OrderedDict()

    async def change(self, site: str, work: Callable[[SiteState, float], Result]) -> Result:
        """Let `work` change a site's state."""
        state = self._states.setdefault(site, SiteState())
        self._states.move_to_end(site)
        if len(self._states) > SITE_LIMIT_COUNT:
            self._states.popitem(last=False)
        return work(state, self._clock())

    async def recent(self) -> dict[str, tuple[SiteState, float]]:
        """Return every site."""
        now = self._clock()
        return {site: (state, now) for site, state in self._states.items()}

    async def sweep(self) -> None:
        """Forget sites that nothing is to be remembered of."""
        now = self._clock()
        old = [
            site
            for site, state in self._states.items()
            if state.is_idle(now) and all(each.counts_at < now - _RECENT_S for each in state.tokens)
        ]
        for site in old:
            del self._states[site]

    async def close(self) -> None:
        """Do nothing: nothing is open."""


class SharedLedger:
    """The sites of all gateways on one database."""

    look_s = _LOOK_S

    def __init__(self, states: SiteStates) -> None:
        self._states = states

    async def change(self, site: str, work: Callable[[SiteState, float], Result]) -> Result:
        """Let `work` change a site's state, alone among all gateways."""

        def run(raw: bytes, now: float) -> tuple[bytes, Result]:
            state = _decode(raw)
            result = work(state, now)
            return _ENCODE(state), result

        return await self._states.change(site, run)

    async def recent(self) -> dict[str, tuple[SiteState, float]]:
        """Return the sites that any gateway was asked about of late."""
        found = await self._states.recent(_RECENT_S, SITE_LIMIT_COUNT)
        return {site: (_decode(raw), now) for site, raw, now in found}

    async def sweep(self) -> None:
        """Forget sites that nobody has asked for a day."""
        await self._states.sweep(_FORGOTTEN_S)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._states.close()


def _decode(raw: bytes) -> SiteState:
    """Return a state; one that cannot be read is that of a site nobody has asked yet."""
    try:
        return _DECODE(raw) if raw else SiteState()
    except msgspec.MsgspecError:
        return SiteState()
