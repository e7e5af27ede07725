"""Where a worker gets a script's bytes from."""

from __future__ import annotations

import json
from pathlib import Path

from zscrape.model import Pin
from zscrape.scripts.bundle import unpack
from zscrape.scripts.digest import tree_digest
from zscrape.scripts.directory import DirectoryRepository
from zscrape.scripts.tree import read_tree
from zscrape.worker.fetching import Fetcher


def write(root: Path, version: str = "1.0.0", answer: int = 1) -> Pin:
    """Write a script; return its pin."""
    folder = root / "watch"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps({"name": "watch", "version": version}))
    (folder / "main.py").write_text(f"def run():\n    return {answer}\n")
    digest = tree_digest(read_tree(folder, "watch").files)
    return Pin("team", "watch", version, digest)


class Gateway:
    """Answers with a mark, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[Pin] = []

    async def ask(self, pin: Pin) -> bytes | None:
        """Note the question."""
        self.asked.append(pin)
        return b"from the gateway"


async def test_own_repository_is_asked_first(tmp_path: Path) -> None:
    """What a repository of the worker's own has is not asked of the gateway."""
    pin = write(tmp_path / "own")
    gateway = Gateway()
    fetcher = Fetcher([DirectoryRepository(tmp_path / "own", "team")], gateway.ask)

    body = await fetcher.fetch(pin)

    assert body is not None
    assert tree_digest(unpack(body, "watch")) == pin.digest
    assert gateway.asked == []
    await fetcher.close()


async def test_other_bytes_of_the_same_version_are_not_taken(tmp_path: Path) -> None:
    """A repository whose version is another one is passed over: the pin decides."""
    pin = write(tmp_path / "gateways")
    write(tmp_path / "own", answer=2)
    gateway = Gateway()
    fetcher = Fetcher([DirectoryRepository(tmp_path / "own", "team")], gateway.ask)

    assert await fetcher.fetch(pin) == b"from the gateway"
    assert gateway.asked == [pin]


async def test_repository_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """A repository that is down, empty or broken costs a look; the gateway is asked."""
    pin = write(tmp_path / "second")
    broken = tmp_path / "broken" / "watch"
    broken.mkdir(parents=True)
    (broken / "metadata.json").write_text("{")
    gateway = Gateway()
    repositories = [
        DirectoryRepository(tmp_path / "gone", "team"),
        DirectoryRepository(tmp_path / "broken", "b"),
        DirectoryRepository(tmp_path / "second", "c"),
    ]

    assert await Fetcher(repositories, gateway.ask).fetch(pin) != b"from the gateway"
    assert await Fetcher(repositories[:2], gateway.ask).fetch(pin) == b"from the gateway"


async def test_worker_without_repositories_asks_the_gateway(tmp_path: Path) -> None:
    """A spare machine needs nothing but the gateway."""
    gateway = Gateway()

    assert await Fetcher([], gateway.ask).fetch(write(tmp_path)) == b"from the gateway"
