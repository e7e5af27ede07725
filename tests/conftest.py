"""What tests of several folders share."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.scripts.s3_servers import S3Server

# How long an example takes says more about the machine than about what is tried.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# What these wait for are processes, leases and clocks: begun last, one of them alone would keep
# everybody waiting at the end of a run.
_WAITING: Final = ("faults", "e2e", "dashboard", "documents")


def pytest_xdist_auto_num_workers() -> int:
    """Use one process more than there are processors: the longest tests wait for others."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that wait longest, then those with the most tests.

    In this order files are given to the processes of a run (`--no-loadscope-reorder`).
    """
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.parent.name not in _WAITING, -counts[item.path]))


@pytest.fixture(scope="module")
def asked_names() -> Iterator[list[str]]:
    """The host names below that of the S3 servers that were looked up; all lead to loopback."""
    from tests.scripts.s3_servers import on_loopback  # boto3: few tests need it

    with on_loopback() as names:
        yield names


@pytest.fixture(scope="module", params=["moto", "rclone"])
def s3_servers(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    asked_names: list[str],
) -> Iterator[S3Server]:
    """Each kind of server, once for all tests of a file; rclone checks signatures.

    A file that says `ADDRESSING = "virtual"` reaches its buckets by host names of their own.
    """
    from tests.scripts.s3_servers import MotoServer, RcloneServer

    addressing = getattr(request.module, "ADDRESSING", "path")
    made: S3Server = (
        MotoServer(addressing)
        if request.param == "moto"
        else RcloneServer(tmp_path_factory.mktemp("s3"), addressing)
    )
    yield made
    made.close()


@pytest.fixture
def server(s3_servers: S3Server) -> S3Server:
    """A server with an empty bucket."""
    s3_servers.begin()
    return s3_servers
