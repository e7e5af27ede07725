"""Compare the price on a page with the one last seen."""

import re


def run(url: str, last_price: float | None = None, selector: str = ".price", *, ctx):
    """Return the price now, and how it has changed.

    Args:
        url: Address of the product's page.
        last_price: The price last seen; pass the `price` of the previous answer.
        selector: CSS selector of the price.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    page = ctx.http.get(url)
    digits = re.sub(r"[^0-9.]", "", page.css(selector).text)
    # Without a price this is no success: `expect` in metadata.json requires one.
    price = float(digits) if digits else None
    change = None if price is None or last_price is None else price - last_price
    if change:
        ctx.log.info("the price has changed", before=last_price, now=price)
    return {
        "url": page.url,
        "name": page.css("h1").text,
        "price": price,
        "last_price": last_price,
        "change": change,
        "change_percent": round(change / last_price * 100, 2) if change and last_price else None,
    }
