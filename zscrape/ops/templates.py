"""What a new script begins as: small enough to read, whole enough to run."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_HTTP: Final = '''\
"""{name}: the title and the links of a page."""


def run(url: str = "https://example.com", limit: int = 10, *, ctx):
    page = ctx.http.get(url)
    ctx.log.info("page read", title=page.css_first("title").text)

    links = page.links()[:limit]
    for number, link in enumerate(links, 1):
        ctx.progress(number / len(links), link)
        yield {{"number": number, "link": link}}
'''

_BROWSER: Final = '''\
"""{name}: what a page shows once its scripts have run, and a picture of it."""


async def run(url: str = "https://example.com", selector: str = "a", limit: int = 10, *, ctx):
    async with ctx.browser(block=("image", "font", "media")) as tab:
        await tab.go_to(url)
        await tab.wait_for(selector)
        await ctx.captcha.solve(tab)
        await tab.save_screenshot("page.png")

        page = await tab.page()
        ctx.log.info("page read", title=await tab.title())
        for number, element in enumerate(page.css(selector)[:limit], 1):
            link = page.join(element.attr("href"))
            yield {{"number": number, "text": element.text, "link": link}}
'''

_API: Final = '''\
"""{name}: the rows of a JSON API that is read page by page."""


def run(url: str = "https://example.com/api/items", max_pages: int = 10, *, ctx):
    for number in range(1, max_pages + 1):
        rows = ctx.http.get(url, params={{"page": number}}).json()
        if not rows:
            return
        ctx.progress(number / max_pages, f"page {{number}}")
        yield from rows
'''

_CRAWL: Final = '''\
"""{name}: the pages of one site, each once, from link to link."""

from urllib.parse import urlsplit


def run(url: str = "https://example.com", max_pages: int = 20, *, ctx):
    host = urlsplit(url).netloc
    waiting, seen = [url], {{url}}
    for number in range(1, max_pages + 1):
        if not waiting:
            return
        page = ctx.http.get(waiting.pop(0), check=False)
        ctx.progress(number / max_pages, page.url)
        title = page.css_first("title")
        yield {{"url": page.url, "status": page.status, "title": title.text if title else None}}
        for link in page.links():
            if link not in seen and urlsplit(link).netloc == host:
                seen.add(link)
                waiting.append(link)
'''


class Template(Struct, frozen=True):
    """One beginning: its file, what it says of itself, and the parts of the kit that it uses."""

    main: str
    description: str
    kit: tuple[str, ...] = ("http",)
    timeout_s: int = 60


TEMPLATES: Final[dict[str, Template]] = {
    "http": Template(_HTTP, "The title and the links of a page"),
    "browser": Template(
        _BROWSER, "What a page shows once its scripts have run", ("http", "browser"), 120
    ),
    "api": Template(_API, "The rows of a JSON API that is read page by page"),
    "crawl": Template(
        _CRAWL, "The pages of one site, each once, from link to link", ("http",), 300
    ),
}
DEFAULT: Final = "http"
