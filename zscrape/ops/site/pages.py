"""The site's pages as HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from html import escape
from math import ceil
from typing import Final
from urllib.parse import urlencode

from zscrape.ops.site.goods import CATEGORIES, PAGE_LENGTH, POSTS, PRODUCTS, Post, Product

SHOP_NAME: Final = "온기상점 Ongi Store"
_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "nav a{margin-right:1rem}ul.products{display:grid;grid-template-columns:repeat(3,1fr);gap:1rem;"
    "list-style:none;padding:0}li.product{border:1px solid #ccc;padding:1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem .6rem}"
)


def won(price_won: int) -> str:
    """Return a price as shops in Korea write it."""
    return f"{price_won:,}원"


def home() -> str:
    """Return the front page."""
    categories = "".join(
        f'<li><a href="/shop?category={slug}">{escape(name)}</a></li>'
        for slug, name in CATEGORIES.items()
    )
    return _page(
        SHOP_NAME,
        f"<h1>{SHOP_NAME}</h1>"
        '<p class="lead">차와 그릇, 책과 문구를 고르는 작은 가게입니다. '
        "A small shop for tea, bowls, books and paper.</p>"
        f'<h2>Categories</h2><ul class="categories">{categories}</ul>'
        f"<h2>From the blog</h2>{_post_list(POSTS[:3])}",
    )


def shop(category: str, number: int, day: int) -> str | None:
    """Return one page of the product list, or None when there is no such page."""
    chosen = [each for each in PRODUCTS if category in {"", each.category}]
    last = ceil(len(chosen) / PAGE_LENGTH)
    if not 1 <= number <= last:
        return None
    shown = chosen[(number - 1) * PAGE_LENGTH : number * PAGE_LENGTH]
    items = "".join(_card(each, day) for each in shown)
    title = CATEGORIES.get(category, "모든 상품 · All products")
    return _page(
        f"{title} ({number}/{last})",
        f'<h1>{escape(title)}</h1><p class="count">{len(chosen)} products</p>'
        f'<ul class="products">{items}</ul>{_pager(category, number, last, day)}',
    )


def product(item: Product, day: int) -> str:
    """Return the page of one product."""
    rows = {
        "Category": CATEGORIES[item.category],
        "Weight": f"{item.weight_g} g",
        "Rating": f"{item.rating} / 5",
        "Stock": str(item.stock_count) if item.stock_count else "품절 · sold out",
    }
    specs = "".join(
        f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows.items()
    )
    prices = "".join(
        f"<tr><td>{count}</td><td>{won(item.price_on(day) * count * (100 - off) // 100)}</td>"
        f"<td>{off}%</td></tr>"
        for count, off in ((1, 0), (3, 5), (10, 12))
    )
    return _page(
        item.name,
        f'<article class="product" data-sku="{item.slug}"><h1>{escape(item.name)}</h1>'
        f'<p class="price" data-won="{item.price_on(day)}">{won(item.price_on(day))}</p>'
        f'<table class="specs">{specs}</table>'
        "<h2>수량 할인 · Quantity prices</h2>"
        '<table class="prices"><thead><tr><th>Quantity</th><th>Price</th><th>Discount</th></tr>'
        f"</thead><tbody>{prices}</tbody></table></article>"
        f'<p><a href="/shop?category={item.category}">More of this category</a></p>',
    )


def price_list(day: int) -> str:
    """Return one long table of everything."""
    rows = "".join(
        f'<tr><td><a href="/shop/{each.slug}">{escape(each.name)}</a></td>'
        f"<td>{escape(CATEGORIES[each.category])}</td><td>{won(each.price_on(day))}</td>"
        f"<td>{each.stock_count}</td></tr>"
        for each in PRODUCTS
    )
    return _page(
        "가격표 · Price list",
        "<h1>가격표 · Price list</h1>"
        '<p><a href="/files/price-list.csv">Download as CSV</a></p>'
        '<table class="price-list"><thead><tr><th>Product</th><th>Category</th><th>Price</th>'
        f"<th>Stock</th></tr></thead><tbody>{rows}</tbody></table>",
    )


def price_list_csv() -> bytes:
    """Return the price list as a file (with a byte order mark, for spreadsheets)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["sku", "name", "category", "price_won", "stock"])
    for each in PRODUCTS:
        writer.writerow([each.slug, each.name, each.category, each.price_won, each.stock_count])
    return text.getvalue().encode("utf-8-sig")


def blog() -> str:
    """Return the list of posts."""
    return _page("블로그 · Blog", f"<h1>블로그 · Blog</h1>{_post_list(POSTS)}")


def post(entry: Post) -> str:
    """Return the page of one post, with links to its neighbours."""
    text = "".join(f"<p>{escape(each)}</p>" for each in entry.paragraphs)
    tags = "".join(f'<li class="tag">{escape(each)}</li>' for each in entry.tags)
    index = POSTS.index(entry)
    older = POSTS[index + 1] if index + 1 < len(POSTS) else None
    more = (
        f'<p><a rel="next" href="/blog/{older.slug}">{escape(older.title)}</a></p>' if older else ""
    )
    return _page(
        entry.title,
        f'<article class="post"><h1>{escape(entry.title)}</h1>'
        f'<p class="byline">{escape(entry.author)}, '
        f'<time datetime="{entry.published_at.isoformat()}">{entry.published_at:%Y-%m-%d}</time>'
        f'</p>{text}<ul class="tags">{tags}</ul></article>{more}',
    )


def member(body: str) -> str:
    """Return a page for members."""
    return _page("회원 · Members", body)


def slow(seconds: float) -> str:
    """Return the page that took `seconds` to come."""
    return _page(
        "느린 페이지 · Slow page", f"<h1>느린 페이지</h1><p>This page took {seconds:g} s.</p>"
    )


def failure(status: int, words: str) -> str:
    """Return an error page."""
    return _page(f"{status} {words}", f"<h1>{status}</h1><p>{escape(words)}</p>")


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="ko"><head><meta charset="utf-8">'
        f"<title>{escape(title)} | {SHOP_NAME}</title><style>{_STYLE}</style>"
        '<link rel="alternate" type="application/rss+xml" href="/feed.xml">'
        '<link rel="alternate" type="application/atom+xml" href="/atom.xml"></head><body>'
        '<nav><a href="/">Home</a><a href="/shop">Shop</a><a href="/prices">Prices</a>'
        f'<a href="/blog">Blog</a></nav><main>{body}</main>'
        "<footer><p>Made up for zscrape's demonstration; nothing here is for sale.</p></footer>"
        "</body></html>"
    )


def _card(item: Product, day: int) -> str:
    sold_out = "" if item.stock_count else '<span class="sold-out">품절</span>'
    return (
        f'<li class="product" data-sku="{item.slug}"><h2>'
        f'<a href="/shop/{item.slug}">{escape(item.name)}</a></h2>'
        f'<span class="price">{won(item.price_on(day))}</span>'
        f'<span class="rating">{item.rating}</span>{sold_out}</li>'
    )


def _pager(category: str, number: int, last: int, day: int) -> str:
    links = [_page_link(category, each, day, str(each)) for each in range(1, last + 1)]
    if number > 1:
        links.insert(0, _page_link(category, number - 1, day, "이전", "prev"))
    if number < last:
        links.append(_page_link(category, number + 1, day, "다음", "next"))
    return f'<p class="pager">{" ".join(links)}</p>'


def _page_link(category: str, number: int, day: int, text: str, rel: str = "") -> str:
    query: dict[str, object] = {"category": category} if category else {}
    query["page"] = number
    if day:
        query["day"] = day
    attribute = f' rel="{rel}"' if rel else ""
    return f'<a{attribute} href="/shop?{escape(urlencode(query))}">{text}</a>'


def _post_list(posts: Iterable[Post]) -> str:
    items = "".join(
        f'<li><a href="/blog/{each.slug}">{escape(each.title)}</a> '
        f"<time>{each.published_at:%Y-%m-%d}</time></li>"
        for each in posts
    )
    return f'<ul class="posts">{items}</ul>'
