"""A database with today's tables, made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import Server
from zscrape.store.database import open_file


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty database; migrations take a third of a second."""
    path = tmp_path_factory.mktemp("store") / "blank.db"
    open_file(path).close()
    return path


@pytest.fixture
def path(new_file: Callable[[], Path]) -> Path:
    """Return the path of a fresh database."""
    return new_file()


@pytest.fixture
def new_file(tmp_path: Path, blank: Path) -> Callable[[], Path]:
    """Return what makes the path of a fresh database."""
    count = 0

    def make() -> Path:
        nonlocal count
        count += 1
        path = tmp_path / f"{count}.db"
        shutil.copy(blank, path)
        return path

    return make


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a PostgreSQL server."""
    server = Server()
    yield server
    server.close()
