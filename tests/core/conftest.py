from __future__ import annotations

import pytest

from tests.core.rig import Rig


@pytest.fixture
def rig() -> Rig:
    """Return a dispatcher without workers at time 0."""
    return Rig()
