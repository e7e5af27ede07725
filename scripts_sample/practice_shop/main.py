"""Read the pages of a small shop that lie beside this file, and yield every product."""

import time
from pathlib import Path
from typing import Literal

from selectolax.lexbor import LexborHTMLParser

SHOP = Path(__file__).parent
PAGE_COUNT = 4


def run(
    layout: Literal["usual", "rebuilt"] = "usual",
    pages: int = PAGE_COUNT,
    pause_s: float = 0.5,
    *,
    ctx,
):
    """Yield the products of the shop.

    Args:
        layout: Which pages to read; on the rebuilt ones the script finds nothing, and fails.
        pages: Stop after so many pages; there are four.
        pause_s: Seconds to rest between two pages, so that rows are seen to arrive.
        ctx: This attempt: log, progress, artifacts.
    """
    address = f"{layout}/page-1.html"
    for number in range(1, pages + 1):
        page = LexborHTMLParser((SHOP / address).read_text("utf-8"))
        products = page.css("li.product")
        if not products:
            ctx.save(f"page-{number}.html", page.html, "text/html")
            ctx.fail(
                "empty_result",
                f"no element of {address} matches li.product: the shop has another layout now",
            )
        for product in products:
            yield {
                "name": product.css_first("h2").text(),
                "price": product.css_first(".price").text(),
                "stock": int(product.css_first(".stock").text()),
            }

        ctx.log.info("page read", page=address, products=len(products))
        ctx.progress(number / min(pages, PAGE_COUNT), f"page {number}")
        link = page.css_first("a[rel=next]")
        if link is None:
            return
        address = f"{layout}/{link.attributes['href']}"
        time.sleep(pause_s)  # noqa: TID251 - a shop reader is polite
