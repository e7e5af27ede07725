"""The bundled demonstration site."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser

from zscrape.ops.site import Site
from zscrape.ops.site.goods import CATEGORIES, POSTS, PRODUCTS


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of the running site."""
    with Site() as site, httpx.Client(base_url=site.url, trust_env=False) as made:
        yield made


def test_the_shop_has_sixty_products_each_once() -> None:
    """Sixty products in five categories, with Korean names among them."""
    assert len(PRODUCTS) == 60 == len({each.slug for each in PRODUCTS})
    assert {each.category for each in PRODUCTS} == set(CATEGORIES)
    assert sum("가" <= char <= "힣" for each in PRODUCTS for char in each.name[:1]) > 20


def test_every_link_leads_somewhere(client: httpx.Client) -> None:
    """A crawl from the front page reaches every product and post, and no dead link."""
    seen: dict[str, int] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        response = client.get(path)
        seen[path] = response.status_code
        if "text/html" in response.headers["content-type"]:
            links = LexborHTMLParser(response.content).css("a[href]")
            waiting.extend(str(each.attributes["href"]) for each in links)

    assert set(seen.values()) == {200}
    assert {f"/shop/{each.slug}" for each in PRODUCTS} <= set(seen)
    assert {f"/blog/{each.slug}" for each in POSTS} <= set(seen)


def test_pages_are_the_same_every_time(client: httpx.Client) -> None:
    """Two looks at the same page give the same bytes."""
    paths = ["/", "/shop?page=3", "/shop/moon-jar", "/prices", "/blog", "/feed.xml", "/sitemap.xml"]

    assert [client.get(each).content for each in paths] == [
        client.get(each).content for each in paths
    ]


def test_prices_move_with_the_day(client: httpx.Client) -> None:
    """A price differs on another day, by at most a tenth, and comes back after three weeks."""

    def price(day: int) -> int:
        found = LexborHTMLParser(client.get(f"/shop/moon-jar?day={day}").content)
        node = found.css_first(".price")
        assert node is not None
        return int(str(node.attributes["data-won"]))

    prices = [price(day) for day in range(23)]

    assert prices[0] == 185000
    assert len(set(prices)) > 10
    assert all(abs(each - 185000) <= 18500 for each in prices)
    assert prices[1] == prices[22]


def test_feeds_and_sitemaps_are_well_formed(client: httpx.Client) -> None:
    """RSS, Atom and the sitemaps parse, and name every post and product."""
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    index = ET.fromstring(client.get("/sitemap.xml").content)
    inner = [str(each.text) for each in index.iter(f"{space}loc")]
    pages = [
        each.text
        for address in inner
        for each in ET.fromstring(client.get(address).content).iter(f"{space}loc")
    ]

    assert len(pages) == len(PRODUCTS) + len(POSTS)
    assert len(list(ET.fromstring(client.get("/feed.xml").content).iter("item"))) == len(POSTS)
    atom = ET.fromstring(client.get("/atom.xml").content)
    assert len(list(atom.iter("{http://www.w3.org/2005/Atom}entry"))) == len(POSTS)
    assert (
        f"Sitemap: {str(client.base_url).rstrip('/')}/sitemap.xml" in client.get("/robots.txt").text
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/error", 500),
        ("/unavailable", 503),
        ("/blocked", 403),
        ("/missing", 404),
        ("/redirect", 302),
        ("/shop?page=99", 404),
        ("/shop?page=0", 404),
        ("/shop?category=none", 404),
        ("/shop?page=nan&day=inf", 200),
        ("/shop?page=x", 200),
        ("/shop/none", 404),
        ("/../../etc/passwd", 404),
        ("/slow?s=0", 200),
    ],
)
def test_trouble_has_its_status(client: httpx.Client, path: str, status: int) -> None:
    """Error pages and nonsense have the status that a real site gives them."""
    assert client.get(path).status_code == status


def test_the_price_list_is_a_download(client: httpx.Client) -> None:
    """The file comes with its name and media type; HEAD tells the same without a body."""
    response, head = client.get("/files/price-list.csv"), client.head("/files/price-list.csv")

    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert "price-list.csv" in response.headers["content-disposition"]
    assert len(response.content.decode("utf-8-sig").splitlines()) == 61
    assert (head.content, head.headers["content-length"]) == (b"", str(len(response.content)))


def test_a_slow_page_is_slow(client: httpx.Client) -> None:
    """A slow page takes the time that it was asked to take."""
    start = time.monotonic()
    client.get("/slow?s=0.2")

    assert time.monotonic() - start >= 0.2


def test_the_site_stops_at_once() -> None:
    """Stopping cuts slow pages short and hangs up on clients that say nothing."""
    site = Site()
    port = int(site.start().rpartition(":")[2])
    silent = socket.create_connection(("127.0.0.1", port))
    slow = socket.create_connection(("127.0.0.1", port))
    slow.sendall(b"GET /slow?s=50 HTTP/1.0\r\n\r\n")
    httpx.get(site.url, trust_env=False)  # answered after both have been accepted
    start = time.monotonic()

    site.stop()

    assert time.monotonic() - start < 40  # the page would take 50
    assert silent.recv(1) == b""
    silent.close()
    slow.close()


def test_it_can_be_started_again() -> None:
    """Start and stop may be called in any number; without a start there is no address."""
    site = Site()
    with pytest.raises(RuntimeError):
        _ = site.url
    site.stop()

    assert site.start() == site.start()
    site.stop()
    assert httpx.get(site.start(), trust_env=False).status_code == 200
    site.stop()


def test_members_need_the_token_of_their_form(client: httpx.Client) -> None:
    """Only a login with the form's own token leads to the orders."""
    sent = {"user": "guest", "password": "warm-tea"}
    stranger = client.post("/login", data=sent)
    token = LexborHTMLParser(client.get("/login").content).css_first("[name=csrf_token]")
    assert token is not None
    known = {**sent, "csrf_token": str(token.attributes["value"])}
    member = client.post("/login", data=known, follow_redirects=True)
    again = client.post("/login", data=known)
    client.get("/logout")

    assert (stranger.status_code, member.status_code, again.status_code) == (403, 200, 403)
    assert "주문 내역" in member.text
    assert client.get("/my").headers["location"] == "/login"


def test_board_is_in_euc_kr_and_says_so_only_inside(client: httpx.Client) -> None:
    """The old board has no charset in its header, and takes a search in EUC-KR."""
    page = client.get("/board")
    found = client.get("/board?q=" + "%B0%A8%BB%E7")  # 감사
    links = LexborHTMLParser(page.content.decode("euc-kr")).css("td a")

    assert page.headers["content-type"] == "text/html"
    assert "온기상점" in client.get("/board?page=2").content.decode("euc-kr")
    assert found.content.decode("euc-kr").count("<tr><td>") == 1
    assert {client.get(str(each.attributes["href"])).status_code for each in links} == {200}
    assert client.get("/board/99").status_code == 404


def test_api_pages_by_a_cursor(client: httpx.Client) -> None:
    """The products come as JSON, and where the next ones begin, until there are none."""
    first = client.get("/api/products?limit=50").json()
    last = client.get("/api/products", params={"cursor": first["next_cursor"]}).json()

    assert (len(first["items"]), len(last["items"]), last["next_cursor"]) == (50, 10, None)
