"""What is written together, and what row by row."""

from __future__ import annotations

from typing import Any

from zscrape.store import statements

_LARGE = b"x" * 20_000


class _Writer:
    """Notes how many rows each statement has."""

    def __init__(self) -> None:
        self.row_counts: list[int] = []
        self.ids: list[Any] = []

    def execute(self, text: str, values: tuple[Any, ...]) -> None:
        """Note a statement."""
        count = text.partition(" ON CONFLICT ")[0].count("(") - 1
        self.row_counts.append(count)
        self.ids += values[:: len(values) // count]


def test_small_rows_are_written_together():
    """Rows with little in them are one statement."""
    writer: Any = _Writer()
    statements.keep_results(writer, [(str(n), b"x", 0) for n in range(20)])

    assert writer.row_counts == [20]


def test_large_rows_are_written_one_by_one():
    """A statement holds what it has written last: what is large has one of its own."""
    writer: Any = _Writer()
    sizes = [b"x", _LARGE, _LARGE, b"", b"y"]
    statements.keep_results(writer, [(str(n), data, 0) for n, data in enumerate(sizes)])

    assert writer.row_counts == [1, 1, 1, 2]
    assert writer.ids == ["0", "1", "2", "3", "4"]  # tasks queue in this order after a restart


def test_large_parameters_are_written_one_by_one():
    """So is a task whose parameters are large, and nothing is written where all are."""
    writer: Any = _Writer()
    record = ["1", "c", "s", "scrape", "queued", 0.0, _LARGE, b"", b"", 0, None, None]
    statements.keep_tasks(writer, [record, [*record[:6], b"", _LARGE, *record[8:]]])

    assert writer.row_counts == [1, 1]
