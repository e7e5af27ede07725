"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A gateway of its own, without workers."""
    cluster = Cluster(tmp_path, SCRIPTS, getattr(request, "param", None))
    yield cluster
    cluster.close()
