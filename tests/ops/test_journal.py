"""What a batch keeps so that it can be taken up again, and the files it makes of it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import openpyxl
import pytest

from zscrape.errors import ConfigError
from zscrape.ops.collect import check_form, write_rows
from zscrape.ops.journal import Entry, Journal, Plan
from zscrape.ops.targets import Target

PLAN = Plan("shop", "d1", version="^1.2", tags=("kr",), has_items=True)
TARGETS = [Target("k1", "one", "", {"url": "a"}), Target("k2", "두", "kr", {"url": "b"})]
ROWS = [{"a": 1, "b": "=2+3"}, {"a": None, "c": [1]}, {"b": "한글"}]


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Plan, targets and what became of each; files are nobody else's business."""
    with Journal.create(tmp_path, PLAN, TARGETS) as journal:
        journal.bring("k1", [{"n": 1}])
        journal.note(Entry("k1", "succeeded", "t1"))
        journal.note(Entry("k2", "failed", "t2"))
        journal.note(Entry("k2", "cancelled", "t3"))

    again = Journal.load(tmp_path)
    assert (again.plan, again.targets) == (PLAN, TARGETS)
    assert (again.done, again.tries) == ({"k1"}, {"k2": 2})
    assert list(again.brought()) == [("k1", [{"n": 1}])]
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_ends_that_are_noted_together_follow_what_they_brought(tmp_path: Path) -> None:
    """One write has many ends, and rows are on the disk before the end that vouches for them."""
    with Journal.create(tmp_path, PLAN, TARGETS) as journal:
        journal.bring("k1", [{"n": 1}])
        journal.bring("k2", [{"n": 2}])
        journal.note(Entry("k1", "succeeded", "t1"), Entry("k2", "succeeded", "t2"))
        seen = Journal.load(tmp_path)

    assert seen.done == {"k1", "k2"}
    assert list(seen.brought()) == [("k1", [{"n": 1}]), ("k2", [{"n": 2}])]


def test_a_torn_line_is_left_out_and_cut_off(tmp_path: Path) -> None:
    """A process that was killed while writing costs one line, and the next one is whole."""
    with Journal.create(tmp_path, PLAN, TARGETS) as journal:
        journal.note(Entry("k1", "succeeded", "t1"))
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"key":"k2","sta')

    torn = Journal.load(tmp_path)
    with torn:
        torn.note(Entry("k2", "succeeded", "t2"))

    assert torn.done == {"k1", "k2"}
    assert Journal.load(tmp_path).done == {"k1", "k2"}


def test_rows_of_a_target_count_once_and_only_when_it_succeeded(tmp_path: Path) -> None:
    """Killed between rows and end, a target brings its rows again: the last ones hold."""
    with Journal.create(tmp_path, PLAN, TARGETS) as journal:
        journal.bring("k1", [{"n": 1}])
        journal.bring("k2", [{"n": 2}])
        journal.bring("k1", [{"n": 3}])
        journal.note(Entry("k1", "succeeded", "t1"))

        assert list(journal.brought()) == [("k1", [{"n": 3}])]


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The folder is named."""
    with pytest.raises(ConfigError) as caught:
        Journal.load(tmp_path / "nope")

    assert "nope" in caught.value.source


def test_rows_to_each_form(tmp_path: Path) -> None:
    """JSONL as it is; tables with one column per name, and nothing that runs as a formula."""
    for name in ("rows.jsonl", "rows.csv", "rows.xlsx"):
        assert write_rows(tmp_path / "new" / name, ROWS, "en") == 3

    lines = (tmp_path / "new" / "rows.jsonl").read_text().splitlines()
    with (tmp_path / "new" / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.reader(file))
    sheet = openpyxl.load_workbook(tmp_path / "new" / "rows.xlsx").active
    assert [json.loads(line) for line in lines] == ROWS
    assert table[:2] == [["a", "b", "c"], ["1", "'=2+3", ""]]
    assert sheet is not None
    assert [cell.value for cell in sheet[4]][1] == "한글"
    assert not list((tmp_path / "new").glob(".*"))


def test_rows_to_parquet(tmp_path: Path) -> None:
    """Columns have types; one of several types stands as JSON text."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra `parquet`")
    rows = [{"n": 1, "x": 1.5}, {"n": 2, "x": "many"}, {"n": None}]

    write_rows(tmp_path / "rows.parquet", rows, "en")

    assert parquet.read_table(tmp_path / "rows.parquet").to_pydict() == {
        "n": [1, 2, None],
        "x": ["1.5", "many", None],
    }


def test_parquet_without_pyarrow_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra to install is named."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigError) as caught:
        check_form(tmp_path / "rows.parquet", "en")

    assert "zscrape[parquet]" in caught.value.reason


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The path and the reason."""
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError) as caught:
        write_rows(tmp_path / "file" / "rows.csv", ROWS, "en")

    assert "rows.csv" in caught.value.source
