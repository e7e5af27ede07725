"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.services import Cluster


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A gateway without workers; at the end nothing of the cluster may be left."""
    cluster = Cluster(tmp_path, settings=getattr(request, "param", None))
    yield cluster
    cluster.close()
