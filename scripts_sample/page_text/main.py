"""Read one page: its title, headings, text and links."""


def run(url: str, max_links: int = 100, *, ctx):
    """Read one page.

    Args:
        url: Address of the page.
        max_links: At most so many links are returned.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    page = ctx.http.get(url)
    return {
        "url": page.url,
        "title": page.css("title").text,
        "headings": [heading.text for heading in page.css("h1, h2, h3")],
        "text": (page.css("main") or page.css("body")).text,
        "links": page.links()[:max_links],
    }
