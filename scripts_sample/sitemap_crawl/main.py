"""Crawl what a sitemap lists, sitemaps inside sitemaps included."""

from xml.etree import ElementTree as ET

NAMESPACE = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def run(url: str, depth: int = 2, max_pages: int = 200, contains: str = "", *, ctx):
    """Yield address, title and first heading of every page that a sitemap lists.

    Args:
        url: Address of the sitemap or sitemap index.
        depth: How many sitemaps deep to go; 1 reads only the first.
        max_pages: Stop after so many pages.
        contains: Only addresses with this text in them.
        ctx: This attempt: HTTP client, log, progress, artifacts.
    """
    addresses = [each for each in pages_of(url, depth, ctx) if contains in each][:max_pages]
    for number, address in enumerate(addresses, start=1):
        if ctx.cancelled:
            return
        page = ctx.http.get(address, check=False)
        yield {
            "url": page.url,
            "status": page.status,
            "title": page.css("title").text,
            "heading": page.css("h1").text,
        }
        ctx.progress(number / len(addresses), f"{number} of {len(addresses)} pages")


def pages_of(url, depth, ctx):
    """Return the page addresses of a sitemap, each once, in order."""
    root = ET.fromstring(ctx.http.get(url).content)  # noqa: S314 - expat bounds entities
    found = [node.text.strip() for node in root.iter(NAMESPACE + "loc") if node.text]
    if root.tag != NAMESPACE + "sitemapindex":
        return list(dict.fromkeys(found))
    if depth <= 1:
        return []
    pages = [page for each in found for page in pages_of(each, depth - 1, ctx)]
    return list(dict.fromkeys(pages))
