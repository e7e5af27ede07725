"""The site's feeds, sitemaps, robots.txt and its products as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from email.utils import format_datetime
from typing import Final
from xml.sax.saxutils import escape

from zscrape.ops.site.goods import POSTS, PRODUCTS, Post
from zscrape.ops.site.pages import SHOP_NAME

_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_SITEMAP: Final = "http://www.sitemaps.org/schemas/sitemap/0.9"


def rss(base: str) -> str:
    """Return the blog as RSS 2.0."""
    items = "".join(
        f"<item><title>{escape(each.title)}</title><link>{base}/blog/{each.slug}</link>"
        f'<guid isPermaLink="true">{base}/blog/{each.slug}</guid>'
        f"<pubDate>{format_datetime(each.published_at)}</pubDate>"
        f"<description>{escape(each.paragraphs[0])}</description></item>"
        for each in POSTS
    )
    return (
        f'{_XML}<rss version="2.0"><channel><title>{SHOP_NAME}</title><link>{base}/blog</link>'
        f"<description>{SHOP_NAME} blog</description><language>ko</language>{items}</channel></rss>"
    )


def atom(base: str) -> str:
    """Return the blog as Atom (RFC 4287)."""
    return (
        f'{_XML}<feed xmlns="http://www.w3.org/2005/Atom"><title>{SHOP_NAME}</title>'
        f'<id>{base}/blog</id><link rel="self" href="{base}/atom.xml"/>'
        f"<updated>{POSTS[0].published_at.isoformat()}</updated>"
        f"{''.join(_entry(each, base) for each in POSTS)}</feed>"
    )


def sitemap_index(base: str) -> str:
    """Return the index of the sitemaps."""
    inner = "".join(
        f"<sitemap><loc>{base}/{name}</loc></sitemap>"
        for name in ("sitemap-shop.xml", "sitemap-blog.xml")
    )
    return f'{_XML}<sitemapindex xmlns="{_SITEMAP}">{inner}</sitemapindex>'


def shop_sitemap(base: str) -> str:
    """Return the addresses of all products."""
    return _urls(f"{base}/shop/{each.slug}" for each in PRODUCTS)


def blog_sitemap(base: str) -> str:
    """Return the addresses of all posts."""
    return _urls(f"{base}/blog/{each.slug}" for each in POSTS)


def products(first: int, limit_count: int) -> str:
    """Return some products as JSON, and where the next ones begin."""
    last = min(first + limit_count, len(PRODUCTS))
    items = [
        {
            "sku": each.slug,
            "name": each.name,
            "category": each.category,
            "price": {"amount": each.price_won, "currency": "KRW"},
            "stock": each.stock_count,
        }
        for each in PRODUCTS[first:last]
    ]
    told = {"items": items, "next_cursor": last if last < len(PRODUCTS) else None}
    return json.dumps(told, ensure_ascii=False)


def robots(base: str) -> str:
    """Return robots.txt."""
    return (
        "User-agent: *\nDisallow: /cart\nDisallow: /slow\nCrawl-delay: 0\n\n"
        f"Sitemap: {base}/sitemap.xml\n"
    )


def _entry(each: Post, base: str) -> str:
    address = f"{base}/blog/{each.slug}"
    return (
        f'<entry><title>{escape(each.title)}</title><id>{address}</id><link href="{address}"/>'
        f"<author><name>{escape(each.author)}</name></author>"
        f"<updated>{each.published_at.isoformat()}</updated>"
        f"<summary>{escape(each.paragraphs[0])}</summary></entry>"
    )


def _urls(addresses: Iterable[str]) -> str:
    inner = "".join(f"<url><loc>{each}</loc></url>" for each in addresses)
    return f'{_XML}<urlset xmlns="{_SITEMAP}">{inner}</urlset>'
