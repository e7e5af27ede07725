"""Tests of the sample script json_paging."""

from __future__ import annotations

from typing import Any


def test_cursor_is_followed_to_the_end(site: str, run_script: Any) -> None:
    """All sixty products come, each once."""
    ran = run_script("json_paging", url=f"{site}/api/products")

    assert ran.code == "ok", ran.traceback
    assert len({each["sku"] for each in ran.items}) == 60 == len(ran.items)
    assert ran.items[0] == {"sku": "ujeon-green-tea", "name": "우전 녹차 40g", "price": 38000}


def test_what_an_item_lacks_is_null(site: str, run_script: Any) -> None:
    """A place that an item does not have gives null; pages are limited."""
    ran = run_script(
        "json_paging", url=f"{site}/api/products", fields={"none": "price.none.deeper"}, max_pages=1
    )

    assert len(ran.items) == 20
    assert ran.items[0] == {"none": None}
