"""Read an old Korean site: pages in EUC-KR, a table, a search form."""


def run(url: str, words: str = "", table: str = "table.board", max_pages: int = 10, *, ctx):
    """Yield the rows of a board's table, page by page.

    Nothing is said of charsets here: pages are read in the one that they tell or turn out to
    be in, and the form is sent in the charset of its page.

    Args:
        url: Address of the board.
        words: Search for this with the board's own form; empty: everything.
        table: CSS selector of the table.
        max_pages: Stop after so many pages.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    page = ctx.http.get(url)
    ctx.log.info("page read", charset=page.charset, title=page.title)
    if words:
        page = page.form().submit(q=words)

    for number in range(1, max_pages + 1):
        for found in page.tables(table):
            yield from found
        ctx.progress(number / max_pages, f"page {number}")
        link = page.css("a[rel=next]").attr("href")
        if link is None:
            return
        page = ctx.http.get(page.join(link))
