"""Repositories and caches of the tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zscrape.config import RepositorySettings
from zscrape.scripts import fingerprint
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.directory import DirectoryRepository

if TYPE_CHECKING:
    from tests.scripts.s3_servers import S3Server
    from zscrape.scripts.s3 import S3Source


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rely on fingerprints at once, without waiting for the file system's clock to move on."""
    monkeypatch.setattr(fingerprint, "SETTLED_AFTER_NS", -(10**15))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for scripts."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    return folder


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[ScriptCache]:
    """An empty cache."""
    made = ScriptCache(tmp_path / "cache")
    yield made
    await made.close()


@pytest.fixture
async def catalogue(root: Path, cache: ScriptCache) -> AsyncIterator[Catalogue]:
    """A catalogue of the scripts in `root`."""
    made = Catalogue([DirectoryRepository(root)], cache)
    yield made
    await made.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for loopback that nobody has signed, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the Debian package openssl")
    place = tmp_path / "server.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    paths = ["-keyout", str(tmp_path / "key.pem"), "-out", str(place)]
    subprocess.run(["openssl", *words.split(), *names, *paths], check=True, capture_output=True)
    with place.open("ab") as file:
        file.write((tmp_path / "key.pem").read_bytes())
    return place


@pytest.fixture
async def open_source(
    server: S3Server, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[..., S3Source]]:
    """Open sources of a bucket, addressed as the test's module says; each is closed at the end."""
    from tests.scripts.s3_servers import ACCESS_KEY, SECRET_KEY  # boto3: few tests need it
    from zscrape.scripts.s3 import S3Source

    opened: list[S3Source] = []

    def open_one(**fields: object) -> S3Source:
        settings = {
            "type": "s3",
            "bucket": server.bucket,
            "endpoint_url": server.url,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "addressing": getattr(request.module, "ADDRESSING", "auto"),
            "timeout_s": 5.0,
            **fields,
        }
        opened.append(S3Source(RepositorySettings(**settings)))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()
