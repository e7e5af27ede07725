"""Asks one site again and again, as often as it may."""

from __future__ import annotations

from zscrape import Context


def run(url: str, pages: int, *, ctx: Context) -> int:
    """Return how many pages were had."""
    gate = ctx._budget()
    for number in range(pages):
        address = f"{url}/{number}"
        gate.before(address)
        page = ctx.http.get(address)
        gate.after(address, page.status, None)
    return pages
