"""Tests of the sample script sitemap_crawl."""

from __future__ import annotations

from typing import Any


def test_pages_of_inner_sitemaps_are_crawled(site: str, run_script: Any) -> None:
    """A sitemap index is followed into its sitemaps, and their pages are read."""
    ran = run_script("sitemap_crawl", url=f"{site}/sitemap.xml", contains="/blog/")

    assert ran.code == "ok", ran.traceback
    assert [each["status"] for each in ran.items] == [200] * 8
    assert ran.items[0]["heading"] == "우전, 첫 잎을 따는 날"
    assert ran.said("progress")[-1]["fraction"] == 1.0


def test_depth_and_pages_are_limited(site: str, run_script: Any) -> None:
    """Depth 1 does not enter an index, and no more pages are read than asked for."""
    shallow = run_script("sitemap_crawl", url=f"{site}/sitemap.xml", depth=1)
    few = run_script("sitemap_crawl", url=f"{site}/sitemap.xml", max_pages=5)

    assert shallow.items == []
    assert len(few.items) == 5
