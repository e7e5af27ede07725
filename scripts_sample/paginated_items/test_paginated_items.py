"""Tests of the sample script paginated_items."""

from __future__ import annotations

from typing import Any


def test_all_pages_are_followed(site: str, run_script: Any) -> None:
    """The items of all five pages come, in order, each once."""
    ran = run_script("paginated_items", url=f"{site}/shop")

    assert ran.code == "ok", ran.traceback
    assert len(ran.items) == 60
    assert len({each["name"] for each in ran.items}) == 60
    assert ran.items[1] == {"name": "세작 녹차 80g", "price": "29,000원", "rating": "3.6"}


def test_pages_are_limited(site: str, run_script: Any) -> None:
    """No more pages are read than asked for, and progress is told."""
    ran = run_script("paginated_items", url=f"{site}/shop", max_pages=2)

    assert len(ran.items) == 24
    assert ran.said("progress")[0]["fraction"] == 0.5


def test_other_lists_need_only_other_selectors(site: str, run_script: Any) -> None:
    """The selectors are parameters: the blog's list is read without another script."""
    ran = run_script(
        "paginated_items",
        url=f"{site}/blog",
        item="ul.posts li",
        fields={"title": "a", "date": "time", "none": ".none"},
    )

    assert ran.items[-1] == {"title": "가게 문을 열었습니다", "date": "2025-11-03", "none": None}
