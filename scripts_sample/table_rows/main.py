"""Turn a table into items: one per row, named by the column headings."""


def run(url: str, table: str = "table", *, ctx):
    """Yield the rows of the first table that matches.

    Args:
        url: Address of the page.
        table: CSS selector of the table.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    found = ctx.http.get(url).css_first(table)
    if found is None:
        ctx.fail("empty_result", f"no element matches {table!r}")

    names = []
    for row in found.css("tr"):
        cells = [cell.text for cell in row.css("th, td")]
        if not names:
            names = [cell or f"column {number}" for number, cell in enumerate(cells, start=1)]
        else:
            yield dict(zip(names, cells, strict=False))
