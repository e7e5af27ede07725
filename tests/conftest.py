"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.scripts.s3_servers import S3Server


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
