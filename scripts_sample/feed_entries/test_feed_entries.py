"""Tests of the sample script feed_entries."""

from __future__ import annotations

from typing import Any


def test_rss_and_atom_give_the_same_entries(site: str, run_script: Any) -> None:
    """The same blog as RSS and as Atom gives the same items."""
    rss = run_script("feed_entries", url=f"{site}/feed.xml")
    atom = run_script("feed_entries", url=f"{site}/atom.xml")

    assert rss.code == "ok", rss.traceback
    assert len(rss.items) == 8
    assert rss.items == atom.items
    assert rss.items[1]["url"] == f"{site}/blog/moon-jar-kiln"
    assert rss.items[1]["published_at"] == "2026-04-02T08:30:00+00:00"


def test_entries_are_limited_by_count_and_moment(site: str, run_script: Any) -> None:
    """Only so many entries, and only newer ones, come when asked for."""
    few = run_script("feed_entries", url=f"{site}/feed.xml", limit=2)
    new = run_script("feed_entries", url=f"{site}/feed.xml", since="2026-03-01T07:00:00+00:00")

    assert len(few.items) == 2
    assert len(new.items) == 3
