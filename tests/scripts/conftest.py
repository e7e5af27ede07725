"""Repositories and caches of the tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zscrape.scripts import fingerprint
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.directory import DirectoryRepository


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
