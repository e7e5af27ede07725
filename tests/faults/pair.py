"""Two gateways on one PostgreSQL, each a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults.services import Cluster
from tests.postgres import Server


class Pair:
    """Two gateways on one database, and workers that dial both; three of four slots by default."""

    def __init__(
        self,
        root: Path,
        server: Server,
        *,
        workers: tuple[str, ...] = ("one", "two", "three"),
        settings: dict[str, str] | None = None,
    ) -> None:
        self.database_url = server.url()
        settings = {"ZSCRAPE_DATABASE_URL": self.database_url, **(settings or {})}
        self.first, self.second = (
            Cluster(_folder(root / name), settings=settings) for name in ("first", "second")
        )
        try:
            self._start_workers(workers)
        except BaseException:
            self.close()
            raise

    def _start_workers(self, names: tuple[str, ...]) -> None:
        tokens = ",".join(each.token() for each in self.both)
        for name in names:
            worker = self.first.start_worker(name, slots=4, join=tokens)
            for each in self.both:
                each.wait_for_worker(worker)

    @property
    def both(self) -> tuple[Cluster, Cluster]:
        """The gateways."""
        return self.first, self.second

    def task(self, number: int, seconds: float = 0.0, **more: Any) -> dict[str, Any]:
        """Return the body of a task; all take their notes in one place."""
        return self.first.task(number, seconds, **more)

    def close(self) -> None:
        """End every process."""
        self.second.close()
        self.first.close()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
