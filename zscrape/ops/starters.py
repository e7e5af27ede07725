"""What a new script may begin as: `zscrape scripts new --template NAME`."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct


class Starter(Struct, frozen=True):
    """One beginning: the source of `main.py`, and what its manifest says besides the usual."""

    description: str
    source: str  # `{name}` is the script's; other braces are doubled
    manifest: dict[str, Any] = {}


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
"""{name}: the items of a JSON API that pages by a cursor."""


def run(url: str = "https://api.example.com/items", max_pages: int = 10, *, ctx):
    cursor = None
    for number in range(1, max_pages + 1):
        answer = ctx.http.get(
            url,
            params={{"cursor": cursor}} if cursor else None,
            # A key belongs under "secrets" in metadata.json:
            # headers={{"Authorization": f"Bearer {{ctx.secret('api.key')}}"}},
        ).json()

        for item in answer["items"]:
            yield item

        ctx.progress(number / max_pages, f"page {{number}}")
        cursor = answer.get("next_cursor")
        if not cursor:
            return
'''

_CRAWL: Final = '''\
"""{name}: every page of a site that can be reached from one of them."""

from collections import deque
from urllib.parse import urlsplit

from zscrape import HttpError


def run(url: str = "https://example.com", max_pages: int = 50, *, ctx):
    # robots.txt is obeyed, and a site's Crawl-delay and budget are kept, by ctx.http itself.
    host = urlsplit(url).netloc
    waiting, seen = deque([url]), {{url}}
    for number in range(1, max_pages + 1):
        if not waiting:
            return
        address = waiting.popleft()
        try:
            page = ctx.http.get(address)
        except HttpError as error:  # one page that cannot be had does not end the crawl
            if number == 1:
                raise
            ctx.log.warning("page left out", url=address, reason=str(error))
            continue

        yield {{"url": page.url, "title": page.title}}
        ctx.progress(number / max_pages, page.url)
        for link in page.links():
            if urlsplit(link).netloc == host and link not in seen:
                seen.add(link)
                waiting.append(link)
'''

STARTERS: Final[dict[str, Starter]] = {
    "http": Starter("The title and the links of a page", _HTTP),
    "browser": Starter(
        "What a page shows once its scripts have run",
        _BROWSER,
        {"kit": ["http", "browser"], "timeout": 120},
    ),
    "api": Starter("The items of a JSON API", _API),
    "crawl": Starter("Every page of a site", _CRAWL, {"timeout": 600}),
}
