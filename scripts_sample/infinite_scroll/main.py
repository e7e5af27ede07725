"""Scroll a page to its end and yield every item of its list."""

PRODUCT_FIELDS = {"name": "h2", "price": ".price"}


async def run(
    url: str,
    item: str = "li.product",
    fields: dict[str, str] = PRODUCT_FIELDS,
    max_items: int = 200,
    *,
    ctx,
):
    """Yield the items of a list that grows as it is scrolled.

    Args:
        url: Address of the page.
        item: CSS selector of one item.
        fields: Name of each field and its CSS selector inside the item.
        max_items: Stop scrolling at so many.
        ctx: This attempt: browser, log, progress, artifacts.
    """
    async with ctx.browser(block=("image", "font", "media")) as tab:
        await tab.go_to(url)
        await tab.wait_for(item)
        count = await tab.scroll_through(item, max_count=max_items)
        ctx.log.info("list read", count=count, url=url)

        page = await tab.page()
        for element in page.css(item)[:max_items]:
            yield {name: element.css(selector).text or None for name, selector in fields.items()}
