"""Read a JSON API page by page, as long as it says where the next page begins."""

PRODUCT_FIELDS = {"sku": "sku", "name": "name", "price": "price.amount"}


def run(
    url: str,
    items: str = "items",
    next_cursor: str = "next_cursor",
    cursor_parameter: str = "cursor",
    fields: dict[str, str] = PRODUCT_FIELDS,
    max_pages: int = 50,
    *,
    ctx,
):
    """Yield the items of an API that pages by a cursor.

    Args:
        url: Address of the API.
        items: Where the answer has its items, by names with dots between.
        next_cursor: Where the answer has the next cursor; none there: it was the last page.
        cursor_parameter: The query parameter that takes the cursor.
        fields: Name of each field and where an item has it.
        max_pages: Stop after so many pages.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    params = {}
    for number in range(1, max_pages + 1):
        answer = ctx.http.get(url, params=params or None).json()
        for item in value_at(answer, items) or []:
            yield {name: value_at(item, place) for name, place in fields.items()}

        ctx.progress(number / max_pages, f"page {number}")
        cursor = value_at(answer, next_cursor)
        if cursor is None:
            return
        params = {cursor_parameter: cursor}


def value_at(document, place: str):
    """Return what a document has at `a.b.c`, None if it has nothing there."""
    for name in place.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document
