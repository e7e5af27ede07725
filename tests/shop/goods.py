"""What the shop sells.

/                          links to everything
/products?page=&size=      lists of products with a link to the next page (a[rel=next])
/products/<number>         one product, with a table of its properties
/api/products?cursor=&limit=   {"items": [...], "next": cursor or null}
/scroll                    a page that loads more from the API when it is scrolled to its end
/search?q=                 what is found, and the search form (GET)
/robots.txt  /sitemap.xml  as `State.robots` says
"""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.shop.state import state_of

COUNT = 57
_KINDS = ("Green tea", "유자차", "Oolong", "보리차", "Espresso", "煎茶")


def item(number: int) -> dict[str, Any]:
    """Return one product."""
    return {
        "id": number,
        "name": f"{_KINDS[number % len(_KINDS)]} {number}",
        "price": 1000 + number * 37 % 9000,
        "stock": number % 7,
    }


def page(title: str, body: str, *, status: int = 200, head: str = "") -> HTMLResponse:
    """Return a whole page."""
    return HTMLResponse(
        f'<!doctype html><html><head><meta charset="utf-8"><title>{escape(title)}</title>{head}'
        f"</head><body><h1>{escape(title)}</h1>{body}</body></html>",
        status,
    )


_SCROLL = """
<ul id="list"></ul><p id="end">loading</p>
<script>
let cursor = 0, busy = false;
async function more() {
  if (busy || cursor === null) return;
  busy = true;
  const answer = await (await fetch(`/api/products?cursor=${cursor}&limit=10`)).json();
  for (const each of answer.items) {
    const line = document.createElement("li");
    line.className = "product"; line.style.height = "120px"; line.textContent = each.name;
    document.getElementById("list").append(line);
  }
  cursor = answer.next; busy = false;
  if (cursor === null) document.getElementById("end").textContent = "that is all";
}
new IntersectionObserver(seen => { if (seen[0].isIntersecting) more(); })
  .observe(document.getElementById("end"));
addEventListener("scroll", () => {
  if (innerHeight + scrollY > document.body.scrollHeight - 200) more();
});
</script>
"""


def _card(number: int) -> str:
    sold = item(number)
    return (
        f'<li class="product" data-id="{number}"><a href="/products/{number}">'
        f'{escape(sold["name"])}</a> <span class="price">{sold["price"]}원</span></li>'
    )


async def _home(request: Request) -> Response:
    names = ("products", "scroll", "search", "login", "account", "tables", "forms", "turnstile")
    links = "".join(f'<li><a href="/{name}">{name}</a></li>' for name in names)
    return page("Shop", f"<ul>{links}</ul>")


async def _products(request: Request) -> Response:
    number = int(request.query_params.get("page", "1"))
    size = int(request.query_params.get("size", "10"))
    first = (number - 1) * size + 1
    last = min(first + size - 1, COUNT)
    more = f'<a rel="next" href="/products?page={number + 1}&amp;size={size}">next</a>'
    cards = "".join(map(_card, range(first, last + 1)))
    return page(
        f"Products {number}",
        f'<ul class="products">{cards}</ul>{more if last < COUNT else ""}',
    )


async def _product(request: Request) -> Response:
    number = int(request.path_params["number"])
    if not 1 <= number <= COUNT:
        return page("There is no such product", "", status=404)
    rows = "".join(
        f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>"
        for name, value in item(number).items()
    )
    return page(item(number)["name"], f'<table class="specs">{rows}</table>')


async def _api(request: Request) -> Response:
    first = int(request.query_params.get("cursor", "0"))
    limit = int(request.query_params.get("limit", "10"))
    last = min(first + limit, COUNT)
    items = [item(number) for number in range(first + 1, last + 1)]
    return JSONResponse({"items": items, "next": last if last < COUNT else None})


async def _scroll(request: Request) -> Response:
    return page("Scroll", _SCROLL)


async def _search(request: Request) -> Response:
    words = request.query_params.get("q", "")
    found = [n for n in range(1, COUNT + 1) if words and words in item(n)["name"]]
    return page(
        "Search",
        f'<form id="search"><input name="q" value="{escape(words)}"><button>Go</button></form>'
        f'<ul class="products">{"".join(map(_card, found))}</ul>',
    )


async def _robots(request: Request) -> Response:
    return PlainTextResponse(state_of(request).robots, state_of(request).robots_status)


async def _sitemap(request: Request) -> Response:
    base = str(request.base_url)
    places = "".join(
        f"<url><loc>{base}products/{number}</loc></url>" for number in range(1, COUNT + 1)
    )
    return Response(
        '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
        f"{places}</urlset>",
        media_type="application/xml",
    )


async def _private(request: Request) -> Response:
    return page("Private", "<p>robots.txt keeps robots out of most of this.</p>")


ROUTES = [
    Route("/", _home),
    Route("/products", _products),
    Route("/products/{number:int}", _product),
    Route("/api/products", _api),
    Route("/scroll", _scroll),
    Route("/search", _search),
    Route("/robots.txt", _robots),
    Route("/sitemap.xml", _sitemap),
    Route("/private/{rest:path}", _private),
    Route("/{name}.secret", _private),
]
