"""Tests of the sample script practice_shop."""

from __future__ import annotations

from typing import Any


def test_every_product_is_an_item(run_script: Any) -> None:
    """All pages give their products, page by page, without any network."""
    ran = run_script("practice_shop", pause_s=0)

    assert ran.code == "ok", ran.traceback
    assert len(ran.items) == 24
    assert ran.items[0] == {"name": "세작 녹차 80g", "price": "₩29,000", "stock": 14}
    assert [each["fraction"] for each in ran.said("progress")] == [0.25, 0.5, 0.75, 1.0]


def test_it_stops_after_so_many_pages(run_script: Any) -> None:
    """No more pages are read than asked for."""
    ran = run_script("practice_shop", pages=2, pause_s=0)

    assert len(ran.items) == 12


def test_a_rebuilt_shop_is_a_failure_that_keeps_the_page(run_script: Any) -> None:
    """Where the selector matches nothing, the task says so and the page is kept with it."""
    ran = run_script("practice_shop", layout="rebuilt")

    assert ran.code == "empty_result"
    assert "li.product" in ran.message
    assert [each["name"] for each in ran.said("artifact")] == ["page-1.html"]
