"""Who hears the attempts that a worker runs for itself, beside those that are asked for."""

from __future__ import annotations

import asyncio

from zscrape.model import Outcome, Record
from zscrape.wire import Ask
from zscrape.worker.codes import CodeKey, Codes


class Trial:
    """Hears how an attempt of our own ends."""

    def __init__(self, outcome: asyncio.Future[Outcome]) -> None:
        self._outcome = outcome

    def on_started(self, task_id: str, attempt: int) -> None:
        """Nobody waits for it."""

    def on_long(self, task_id: str, attempt: int) -> None:
        """Nobody waits for it."""

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        """It has nothing to say."""

    def on_ask(self, ask: Ask) -> None:
        """It runs beside what a gateway knows of: nobody can answer."""

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Tell who waits, if somebody still does."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)


class Compiling:
    """Puts what a compiling child answers where attempts look for it."""

    def __init__(self, codes: Codes, key: CodeKey) -> None:
        self._codes = codes
        self._key = key

    def on_started(self, task_id: str, attempt: int) -> None:
        """Nobody waits for it."""

    def on_long(self, task_id: str, attempt: int) -> None:
        """Nobody waits for it."""

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        """A compiler may warn; the attempt itself tells it too."""

    def on_ask(self, ask: Ask) -> None:
        """It runs beside what a gateway knows of: nobody can answer."""

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Keep the code; a script that cannot be compiled says so in its own attempts."""
        if outcome.is_ok and outcome.data is not None:
            self._codes.put(self._key, outcome.data)
