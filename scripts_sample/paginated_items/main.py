"""Follow a list from page to page and yield every item."""

PRODUCT_FIELDS = {"name": "h2", "price": ".price", "rating": ".rating"}


def run(
    url: str,
    item: str = "li.product",
    fields: dict[str, str] = PRODUCT_FIELDS,
    next_link: str = "a[rel=next]",
    max_pages: int = 50,
    *,
    ctx,
):
    """Yield the items of a list that goes on over several pages.

    Args:
        url: Address of the first page.
        item: CSS selector of one item.
        fields: Name of each field and its CSS selector inside the item.
        next_link: CSS selector of the link to the next page.
        max_pages: Stop after so many pages.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    for number in range(1, max_pages + 1):
        page = ctx.http.get(url)
        for element in page.css(item):
            yield {name: element.css(selector).text or None for name, selector in fields.items()}

        ctx.log.info("page read", number=number, url=page.url)
        ctx.progress(number / max_pages, f"page {number}")
        link = page.css(next_link).attr("href")
        if link is None:
            return
        url = page.join(link)
