"""Tests of the sample script price_watch."""

from __future__ import annotations

from typing import Any


def test_first_look_has_nothing_to_compare(site: str, run_script: Any) -> None:
    """Without a last price the price now is told and no change."""
    ran = run_script("price_watch", url=f"{site}/shop/moon-jar")

    assert ran.code == "ok", ran.traceback
    assert ran.data["name"] == "달항아리 (높이 24cm)"
    assert (ran.data["price"], ran.data["change"]) == (185000, None)


def test_a_change_is_told_and_logged(site: str, run_script: Any) -> None:
    """On another day the price has changed: by how much, in money and percent."""
    ran = run_script("price_watch", url=f"{site}/shop/moon-jar?day=3", last_price=185000)

    assert ran.data["change"] == ran.data["price"] - 185000 != 0
    assert ran.data["change_percent"] == round(ran.data["change"] / 1850, 2)
    assert ran.said("log")[0]["message"] == "the price has changed"


def test_a_page_without_a_price_is_an_empty_result(site: str, run_script: Any) -> None:
    """Where there is no price, the task ends with empty_result: `expect` requires one."""
    ran = run_script("price_watch", url=f"{site}/blog")

    assert ran.code == "empty_result"
