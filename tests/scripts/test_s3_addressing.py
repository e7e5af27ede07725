"""A host name per bucket, as AWS and many services want it, against real servers on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.scripts.s3_servers import (
    VIRTUAL_HOST,
    S3Server,
)
from zscrape.errors.scripts import RepositoryUnavailable
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.s3 import S3Source, publish

Opener = Callable[..., S3Source]
ADDRESSING = "virtual"


async def test_a_bucket_is_reached_by_its_own_host_name(
    server: S3Server, asked_names: list[str], open_source: Opener
) -> None:
    """Listing, fetching and publishing go to `bucket.host`, and nothing to the bare host."""
    files = [
        ScriptFile("metadata.json", False, json.dumps({"name": "a", "version": "1.0.0"}).encode()),
        ScriptFile("main.py", True, b"def run():\n    return 1\n"),
    ]
    asked_names.clear()
    source = open_source(prefix="team")
    where = await publish(source, files, "a", "1.0.0")
    other = open_source(prefix="team")
    mark = (await other.scan(None)).scripts["a"]["1.0.0"]
    fetched = await other.fetch("a", "1.0.0", mark)

    assert tree_digest(fetched) == tree_digest(files)
    assert where == f"s3://{server.bucket}/team/a/1.0.0/"
    assert set(asked_names) == {f"{server.bucket}.{VIRTUAL_HOST}"}


async def test_a_bucket_that_is_not_there(open_source: Opener) -> None:
    """The reason names the setting to look at, also when the bucket is part of the host name."""
    with pytest.raises(RepositoryUnavailable, match="no bucket no-such-bucket"):
        await open_source(bucket="no-such-bucket").scan(None)


async def test_a_service_of_ones_own_is_asked_by_path(
    asked_names: list[str], open_source: Opener
) -> None:
    """Without a choice, an endpoint's bare host is asked; these servers know it as no bucket."""
    asked_names.clear()
    with pytest.raises(RepositoryUnavailable, match="there is no bucket"):
        await open_source(addressing="auto").scan(None)

    assert set(asked_names) == {VIRTUAL_HOST}
