"""The lease of a gateway among others: what is known of them, and when."""

from __future__ import annotations

import contextlib
from typing import Any, cast

import pytest

from tests.gateway.conftest import LIMIT_S, until
from zscrape.gateway import ownership
from zscrape.gateway.ownership import Ownership
from zscrape.gateway.recovery import Recovered
from zscrape.store.gateways import Renewal


class Lease:
    """A lease beside those of two others."""

    lease_s = 10.0

    async def renew(self) -> Renewal:
        """Tell of the others."""
        return Renewal(other_count=2, dead_count=0, expired=(), cancelled=())


class Keeper:
    """Parts of a gateway that have no task."""

    def changing_hands(self) -> contextlib.nullcontext[None]:
        """Do nothing."""
        return contextlib.nullcontext()

    async def take_up(self, adopted: object) -> Recovered:
        """Find nothing."""
        return Recovered(0, 0, 0, 0)


async def test_a_gateway_that_begins_counts_the_others_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not take itself to be alone until its lease is to be renewed."""
    monkeypatch.setattr(ownership, "RENEW_S", 10 * LIMIT_S)
    owned = Ownership(cast("Any", Lease()), cast("Any", Keeper()), None)
    await owned.begin()
    try:
        await until(lambda: owned.other_count == 2)
    finally:
        await owned.close()
