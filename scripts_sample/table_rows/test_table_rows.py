"""Tests of the sample script table_rows."""

from __future__ import annotations

from typing import Any


def test_each_row_is_an_item_named_by_the_headings(site: str, run_script: Any) -> None:
    """Every row of the table is an item with the column headings as names."""
    ran = run_script("table_rows", url=f"{site}/prices", table="table.price-list")

    assert ran.code == "ok", ran.traceback
    assert len(ran.items) == 60
    assert ran.items[0] == {
        "Product": "우전 녹차 40g",
        "Category": "차와 다과 · Tea",
        "Price": "38,000원",
        "Stock": "14",
    }
    assert ran.data == ran.items


def test_a_missing_table_is_an_empty_result(site: str, run_script: Any) -> None:
    """Where no table matches, the task ends with empty_result."""
    ran = run_script("table_rows", url=f"{site}/blog", table="table.nowhere")

    assert ran.code == "empty_result"
