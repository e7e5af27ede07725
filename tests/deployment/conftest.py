"""What the tests of shipped configurations share."""

from __future__ import annotations

import socket
import time

import pytest

from tests.cli.conftest import zscrape as zscrape


@pytest.fixture
def free_port() -> int:
    """A port that nobody has right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def now() -> float:
    """Unix time."""
    return time.time()
