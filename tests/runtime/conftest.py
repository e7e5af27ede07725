"""A shop on loopback, and a client for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.shop.server import Shop
from zscrape.runtime import retrying
from zscrape.runtime.ctx_http import Http

LIMIT_S = 30.0


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A shop of its own for each test: its log and its settings are the test's."""
    with Shop() as running:
        yield running


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    """A client whose back-off is short."""
    monkeypatch.setattr(retrying, "BACKOFF_S", 0.01)
    made = Http(script_name="shop", ends_at=time.monotonic() + LIMIT_S)
    yield made
    made.close()
