"""`ctx.http` in a shop that has all that makes scraping hard."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.shop.documents import PDF, TEXTS, content
from tests.shop.server import Shop
from zscrape.runtime import retrying
from zscrape.runtime.ctx_http import (
    Blocked,
    BodyTooLarge,
    Http,
    HttpError,
    LoginExpired,
    RateLimited,
    RobotsDisallowed,
)
from zscrape.runtime.gate import Exchange
from zscrape.runtime.network import NetworkDenied

MB = 1024 * 1024


@contextlib.contextmanager
def made(**options: Any) -> Iterator[Http]:
    """A client with other parts than those of the fixture."""
    client = Http(**{"script_name": "shop", "ends_at": time.monotonic() + 30, **options})
    try:
        yield client
    finally:
        client.close()


class Gate:
    """A gate that lets everything pass and remembers."""

    def __init__(self, robots: str | None = "") -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.gaps: list[tuple[str, float]] = []
        self.robots_text = robots

    def before(self, url: str) -> None:
        """Remember."""
        self.heard.append(("before", url))

    def after(self, url: str, status: int, retry_after_s: float | None) -> None:
        """Remember."""
        self.heard.append(("after", url, status, retry_after_s))

    def robots(self, origin: str) -> str | None:
        """Return what the test has set."""
        return self.robots_text

    def wants_gap(self, origin: str, gap_s: float) -> None:
        """Remember."""
        self.gaps.append((origin, gap_s))


class Recorder:
    """Keeps exchanges."""

    body_limit_bytes = 100

    def __init__(self) -> None:
        self.noted: list[Exchange] = []

    def note(self, exchange: Exchange) -> None:
        """Keep one."""
        self.noted.append(exchange)


# ---- patience ----------------------------------------------------------------------------


def test_too_many_requests_are_waited_out(shop: Shop, client: Http) -> None:
    """A 429 with Retry-After is asked again once that is over, a POST as well."""
    waits: list[dict[str, Any]] = []
    client._trying._say = lambda text, **fields: waits.append({"text": text, **fields})
    began = time.monotonic()

    page = client.get(f"{shop.url}/flaky?fail=1&status=429&retry_after=1")
    posted = client.post(f"{shop.url}/flaky?name=p&fail=1&status=429&retry_after=0")

    assert (page.status, posted.status) == (200, 200)
    assert time.monotonic() - began >= 1.0
    assert waits == [
        {
            "text": "waiting before the next try",
            "url": f"{shop.url}/flaky?fail=1&status=429&retry_after=1",
            "wait_s": 1.0,
            "why": "HTTP 429",
        }
    ]


def test_wait_beyond_the_attempt_is_not_begun(shop: Shop, client: Http) -> None:
    """A site that wants to be left alone for an hour ends the attempt as rate limited."""
    with pytest.raises(RateLimited, match="asks to wait 3600") as caught:
        client.get(f"{shop.url}/status/429?retry_after=3600")

    assert (caught.value.code, caught.value.status) == ("rate_limited", 429)
    assert len(shop.asked("/status/429")) == 1


def test_tries_are_bounded_and_chosen(shop: Shop, client: Http) -> None:
    """Three tries by default, another number if asked for."""
    with pytest.raises(RateLimited):
        client.get(f"{shop.url}/status/429?retry_after=0")
    with pytest.raises(HttpError):
        client.get(f"{shop.url}/status/503", tries=1)

    assert len(shop.asked("/status/429")) == 3
    assert len(shop.asked("/status/503")) == 1


@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        ("7", 7.0),
        ("-1", 0.0),
        ("1.5", 1.5),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(told: str, wait_s: float | None) -> None:
    """Seconds, a date that is over, or nothing that can be waited for."""
    assert retrying.retry_after_s(httpx.Headers({"Retry-After": told})) == wait_s


def test_retry_after_as_a_date_is_seconds_from_now() -> None:
    """A date to come is as many seconds away as it is."""
    told = email.utils.formatdate(time.time() + 600, usegmt=True)

    wait_s = retrying.retry_after_s({"retry-after": told})

    assert wait_s is not None
    assert 500 < wait_s <= 600


def test_back_off_grows_and_is_never_the_same() -> None:
    """It doubles, give or take a half, up to its limit."""
    first = [retrying.backoff_s(0) for _ in range(50)]
    late = [retrying.backoff_s(40) for _ in range(50)]

    assert min(first) >= 0.25
    assert max(first) <= 0.75
    assert max(late) <= 45.0
    assert len(set(first)) > 10


def test_only_what_may_help_is_asked_again() -> None:
    """A refusal of the policy, a wrong address and a certificate nobody trusts stay as they are."""
    denied = httpx.ConnectError("no")
    denied.__cause__ = NetworkDenied(1, "127.0.0.1:1 (network policy: public)")
    cut = httpx.ReadError("cut")

    assert not retrying.may_repeat("GET", denied)
    assert not retrying.may_repeat("GET", httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"))
    assert not retrying.may_repeat("GET", httpx.UnsupportedProtocol("ftp"))
    assert retrying.may_repeat("GET", cut)
    assert not retrying.may_repeat("POST", cut)
    assert retrying.may_repeat("POST", httpx.ConnectError("refused"))


# ---- limits ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gzip", "deflate", "members"])
def test_bomb_is_defused(shop: Shop, client: Http, kind: str) -> None:
    """A small answer that becomes a large one ends at the limit, and is not asked again."""
    with pytest.raises(BodyTooLarge, match="more than 1048576 bytes"):
        client.get(f"{shop.url}/bomb?mb=50&kind={kind}", limit_bytes=MB)

    assert len(shop.asked("/bomb")) == 1


@pytest.mark.parametrize("kind", ["gzip", "deflate", "raw"])
def test_compressed_pages_are_read(shop: Shop, client: Http, kind: str) -> None:
    """What was asked for compressed comes out as it was."""
    page = client.get(f"{shop.url}/packed?kind={kind}")

    assert page.css("h1").text == "Packed"
    assert len(page.css("p")) == 1000
    assert "content-encoding" not in page.headers
    assert shop.asked("/packed")[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("path", "words"),
    [("/garbled", "not gzip, as its header says"), ("/bomb?mb=1&kind=br", "compressed by br")],
)
def test_compression_that_is_none_is_told(shop: Shop, client: Http, path: str, words: str) -> None:
    """A body that is not what its header says is an error that says so."""
    with pytest.raises(HttpError, match=words):
        client.get(shop.url + path, tries=1)


def test_large_body_is_refused_by_its_header(shop: Shop, client: Http) -> None:
    """A body whose length is told is not even begun if it is too long."""
    with pytest.raises(BodyTooLarge):
        client.get(f"{shop.url}/files/5000.bin", limit_bytes=4999)

    assert len(client.get(f"{shop.url}/files/5000.bin", limit_bytes=5000).content) == 5000
    assert client.request("HEAD", f"{shop.url}/files/5000.bin", limit_bytes=10).status == 200


@pytest.mark.parametrize("path", ["/endless", "/drip", "/stall"])
def test_endless_body_has_an_end(shop: Shop, path: str) -> None:
    """What never ends is ended by the limit of the body or by the end of the attempt."""
    with made(ends_at=time.monotonic() + 1.0) as client, pytest.raises(HttpError):
        client.get(shop.url + path, robots=False)


def test_answer_that_breaks_off_is_told(shop: Shop, client: Http) -> None:
    """Half an answer is none."""
    with pytest.raises(HttpError, match="RemoteProtocolError") as caught:
        client.get(f"{shop.url}/cut")

    assert caught.value.status == 0
    assert len(shop.asked("/cut")) == 3


def test_redirects_have_an_end(shop: Shop, client: Http) -> None:
    """A loop is told at once; a chain is followed; one can be looked at itself."""
    with pytest.raises(HttpError, match="TooManyRedirects"):
        client.get(f"{shop.url}/redirect/loop")
    page = client.get(f"{shop.url}/redirect/chain/5")
    first = client.get(f"{shop.url}/redirect/chain/5", follow=False)

    assert page.url == f"{shop.url}/products"
    assert (first.status, first.headers["location"]) == (307, "/redirect/chain/4")
    assert len(shop.asked("/redirect/loop")) == 21


# ---- refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["cloudflare", "akamai", "datadome", "perimeterx", "incapsula"])
def test_bot_walls_are_known(shop: Shop, client: Http, who: str) -> None:
    """The page of a bot wall is a refusal, with 200 as well; `check=False` still gives it."""
    with pytest.raises(Blocked, match="refused by") as caught:
        client.get(f"{shop.url}/blocked?by={who}")

    assert caught.value.code == "blocked"
    assert client.get(f"{shop.url}/blocked?by={who}", check=False).status in (200, 403)


def test_forbidden_is_blocked_and_other_errors_are_not(shop: Shop, client: Http) -> None:
    """403 is a refusal; 404 is a page that is not there."""
    with pytest.raises(Blocked):
        client.get(f"{shop.url}/status/403")
    with pytest.raises(HttpError) as caught:
        client.get(f"{shop.url}/status/404")

    assert type(caught.value) is HttpError


# ---- robots ------------------------------------------------------------------------------


def test_robots_are_obeyed(shop: Shop, client: Http) -> None:
    """What robots.txt forbids is not asked; the file itself is fetched once."""
    for path in ("/private/x", "/a.secret", "/search?q=1&sort=up"):
        with pytest.raises(RobotsDisallowed, match="forbids this address") as caught:
            client.get(shop.url + path)
        assert caught.value.code == "robots_disallowed"
    client.get(f"{shop.url}/private/open")
    client.get(f"{shop.url}/search?q=1")

    assert len(shop.asked("/robots.txt")) == 1
    assert [each.path for each in shop.asked()] == ["/robots.txt", "/private/open", "/search"]


def test_robots_hold_for_redirects(shop: Shop, client: Http) -> None:
    """A redirect leads nowhere where robots may not go."""
    with pytest.raises(RobotsDisallowed):
        client.get(f"{shop.url}/redirect/to?url=/private/x")

    assert shop.asked("/private/x") == []


def test_robots_can_be_left_unread(shop: Shop, client: Http) -> None:
    """A script may say that it has the right to, for a request or for all."""
    client.get(f"{shop.url}/private/x", robots=False)
    client.has_robots = False
    client.get(f"{shop.url}/private/y")

    assert shop.asked("/robots.txt") == []


@pytest.mark.parametrize(("status", "is_allowed"), [(404, True), (403, True), (500, False)])
def test_robots_that_cannot_be_read(
    shop: Shop, client: Http, status: int, is_allowed: bool
) -> None:
    """No robots.txt allows everything; a server that fails to give it allows nothing."""
    shop.state.robots_status = status
    if is_allowed:
        assert client.get(f"{shop.url}/private/x").status == 200
    else:
        with pytest.raises(RobotsDisallowed, match="answers HTTP 500"):
            client.get(f"{shop.url}/products")


def test_gate_may_know_the_robots(shop: Shop) -> None:
    """What the gate knows is not fetched; a Crawl-delay is told to it once."""
    gate = Gate("User-agent: zscrape\nDisallow: /products\nCrawl-delay: 2.5\n")
    with made(gate=gate) as client:
        client.get(f"{shop.url}/search")
        client.get(f"{shop.url}/")
        with pytest.raises(RobotsDisallowed):
            client.get(f"{shop.url}/products")

    assert shop.asked("/robots.txt") == []
    assert gate.gaps == [(shop.url, 2.5)]


def test_crawl_delay_is_kept(shop: Shop, client: Http) -> None:
    """Without anybody who knows better, an attempt keeps the delay by itself."""
    shop.state.robots = "User-agent: *\nCrawl-delay: 0.3\n"
    began = time.monotonic()
    for _ in range(3):
        client.get(f"{shop.url}/products")

    assert len(shop.asked("/products")) == 3
    assert time.monotonic() - began >= 0.59  # two gaps; a slow machine makes them longer


def test_robots_go_by_the_name_that_is_told(shop: Shop, client: Http) -> None:
    """A script that calls itself otherwise is held to the rules for that name."""
    client.headers["User-Agent"] = "badbot/1.0"

    with pytest.raises(RobotsDisallowed):
        client.get(f"{shop.url}/products")


# ---- seams -------------------------------------------------------------------------------


def test_gate_hears_each_hop_once(shop: Shop) -> None:
    """Before and after every request, redirects and tries included, and of what fails."""
    gate = Gate()
    with made(gate=gate) as client:
        client.get(f"{shop.url}/redirect/chain/1")
        with pytest.raises(RateLimited):
            client.get(f"{shop.url}/status/429?retry_after=500")
        with pytest.raises(HttpError):
            client.get("http://127.0.0.1:1/", tries=1)

    limited = f"{shop.url}/status/429?retry_after=500"
    assert gate.heard == [
        ("before", f"{shop.url}/redirect/chain/1"),
        ("after", f"{shop.url}/redirect/chain/1", 307, None),
        ("before", f"{shop.url}/products"),
        ("after", f"{shop.url}/products", 200, None),
        ("before", limited),
        ("after", limited, 429, 500.0),
        ("before", "http://127.0.0.1:1/"),
        ("after", "http://127.0.0.1:1/", 0, None),
    ]


def test_recorder_hears_what_was_said(shop: Shop, client: Http) -> None:
    """Each hop, what was sent and what came, cut at the recorder's limit, and failures."""
    recorder = Recorder()
    with made(recorder=recorder) as client:
        client.has_robots = False
        client.get(f"{shop.url}/redirect/chain/1")
        client.post(f"{shop.url}/echo", json={"a": 1})
        with pytest.raises(HttpError):
            client.get("http://127.0.0.1:1/", tries=1)

    hop, page, posted, failed = recorder.noted
    assert (hop.status, hop.url) == (307, f"{shop.url}/redirect/chain/1")
    assert (page.status, len(page.body), page.is_cut) == (200, 100, True)
    assert (posted.method, posted.request_body) == ("POST", b'{"a":1}')
    assert ("accept-encoding", "gzip, deflate") in [
        (name.lower(), value) for name, value in posted.request_headers
    ]
    assert failed.status == 0
    assert failed.error.startswith("ConnectError")


def test_tape_answers_in_place_of_the_network(shop: Shop) -> None:
    """What was recorded is played again, redirects too; the rest is asked live."""

    class Tape:
        def answer(self, method: str, url: str, body: bytes) -> Exchange | None:
            told = {
                "http://gone.example/a": (302, [("Location", "/b")], b""),
                "http://gone.example/b": (200, [("Content-Encoding", "gzip")], b"<h1>Then</h1>"),
            }.get(url)
            if told is None:
                return None
            return Exchange(method, url, [], body, told[0], told[1], told[2], False, "", 0.0)

    with made(tape=Tape(), gate=Gate()) as client:
        page = client.get("http://gone.example/a")
        live = client.get(f"{shop.url}/products")

    assert (page.url, page.css("h1").text) == ("http://gone.example/b", "Then")
    assert live.status == 200


# ---- logging in --------------------------------------------------------------------------

WHO = {"user": "mina", "password": "tea-and-cake"}


def test_login_brings_the_hidden_token_and_keeps_the_session(shop: Shop, client: Http) -> None:
    """The form's own fields go along, and what comes after sees the session."""
    page = client.login(f"{shop.url}/login", WHO, signed_in="a.logout")

    assert page.css("p.user").text == "mina"
    assert client.get(f"{shop.url}/account").css(".orders li").texts == ["Order 1", "Order 2"]
    assert "shop_session" in client.cookies


def test_wrong_password_is_told(shop: Shop, client: Http) -> None:
    """A login that is not accepted has the outcome login_expired."""
    with pytest.raises(LoginExpired, match="not accepted") as caught:
        client.login(f"{shop.url}/login", {**WHO, "password": "wrong"})

    assert caught.value.code == "login_expired"


def test_session_that_ends_is_noticed(shop: Shop, client: Http) -> None:
    """Being sent back to the login is not taken for the page that was asked for."""
    client.login(f"{shop.url}/login", WHO)
    shop.state.sessions.clear()

    with pytest.raises(LoginExpired, match="wants a login again"):
        client.get(f"{shop.url}/account")


def test_forms_are_submitted_as_they_are(shop: Shop, client: Http) -> None:
    """POST, GET and files arrive as a browser sends them."""
    page = client.get(f"{shop.url}/forms")
    posted = page.form("#plain").submit(text="차", button="go").json()
    asked = page.form("form[name=search]").submit(q="tea")
    sent = page.form("#upload").submit(paper=("a.txt", b"paper")).json()

    assert ["text", "차"] in posted["form"]
    assert ["token", "t-1"] in posted["form"]
    assert posted["headers"]["referer"] == f"{shop.url}/forms"
    assert asked.url == f"{shop.url}/search?q=tea"
    assert sent["form"] == [["title", "t"]]
    assert sent["files"] == [["paper", "a.txt", "paper"]]


def test_cookies_are_kept_and_can_be_set(shop: Shop, client: Http) -> None:
    """What a site sets comes back to it, and so does what the script sets."""
    client.get(f"{shop.url}/cookies/set?a=1")
    client.cookies.set("b", "2")

    assert client.get(f"{shop.url}/cookies").json() == {"a": "1", "b": "2"}


def test_pages_of_the_shop_are_in_their_charset(shop: Shop, client: Http) -> None:
    """A page in EUC-KR that says so in its head is read right."""
    page = client.get(f"{shop.url}/encoding/euc-kr?say=meta")

    assert page.charset == "cp949"
    assert page.css("p").text.startswith(TEXTS["euc-kr"][:20])


# ---- files -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, as an attempt's own folder is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_file_is_resumed_where_it_broke_off(shop: Shop, client: Http, folder: Path) -> None:
    """Two breaks later the file is whole, and nothing of it came twice."""
    found = client.download(f"{shop.url}/files/300000.bin?cut=2", keep=False)
    ranges = [each.headers.get("range") for each in shop.asked("/files/300000.bin")]

    assert found.path.read_bytes() == content(300_000)
    assert (found.size_bytes, found.name) == (300_000, "300000.bin")
    assert ranges[0] is None
    assert all(each is not None for each in ranges[1:])
    assert len(ranges) == 3


def test_file_is_kept_as_the_site_names_it(shop: Shop, folder: Path) -> None:
    """A download becomes an artifact under the name that the site gives it."""
    kept: list[tuple[str, bytes, str | None]] = []
    with made(save=lambda *given: kept.append(given)) as client:
        client.download(f"{shop.url}/files/report.pdf")
        client.download(f"{shop.url}/files/10.bin", "own.bin", content_type="text/plain")

    assert kept == [
        ("report.pdf", PDF, "application/pdf"),
        ("own.bin", content(10), "text/plain"),
    ]


def test_file_that_is_too_large_leaves_nothing(shop: Shop, client: Http, folder: Path) -> None:
    """A file beyond its limit is not kept, and neither is one that is not there."""
    with pytest.raises(BodyTooLarge):
        client.download(f"{shop.url}/endless", limit_bytes=MB)
    with pytest.raises(HttpError, match="404"):
        client.download(f"{shop.url}/status/404")

    assert list(folder.iterdir()) == []


# ---- proxies -----------------------------------------------------------------------------


def test_proxies_are_exchanged_when_they_fail(shop: Shop, client: Http) -> None:
    """One that nobody answers at rests; the next one is asked in its place."""
    with Shop() as way:  # it answers whatever it is asked for, as a proxy may
        client.proxies.add("http://127.0.0.1:1", tier=0)
        client.proxies.add(way.url, tier=1)
        page = client.get("http://shop.example/products")
        again = client.get("http://shop.example/products?page=2")
        asked = [each.query for each in way.asked("/products")]

    assert (page.status, again.status) == (200, 200)
    assert asked == ["", "page=2"]


def test_proxy_that_is_refused_is_exchanged(shop: Shop, client: Http) -> None:
    """A 403 through one proxy is asked again through another, at once."""
    with Shop() as first, Shop() as second:
        client.has_robots = False
        client.proxies.add(first.url)
        client.proxies.add(second.url)
        with pytest.raises(Blocked):
            client.get("http://shop.example/status/403")
        asked = len(first.asked()) + len(second.asked())

    assert asked == 2


def test_request_may_name_its_own_way(shop: Shop, client: Http) -> None:
    """A proxy for one request, or none in spite of the pool."""
    client.has_robots = False
    client.proxies.add("http://127.0.0.1:1")
    with Shop() as way:
        client.get("http://shop.example/products", proxy=way.url)
        count = len(way.asked())
    direct = client.get(f"{shop.url}/products", proxy=False)

    assert (count, direct.status) == (1, 200)


# ---- coroutines --------------------------------------------------------------------------


async def test_coroutines_ask_at_the_same_time(shop: Shop, client: Http) -> None:
    """Requests of coroutines overlap, and share cookies and all else with the client."""
    http = client.asynchronous
    page = await http.login(f"{shop.url}/login", WHO)
    found = await asyncio.gather(
        *(http.get(f"{shop.url}/products", params={"page": n}) for n in range(1, 6))
    )
    form = (await http.get(f"{shop.url}/search")).form("#search")
    hits = await http.submit(form, q="煎茶")

    assert page.css(".user").text == "mina"
    assert [len(each.css("li.product")) for each in found] == [10] * 5
    assert len(hits.css("li.product")) > 0
    assert http is client.asynchronous


def test_threads_share_one_robots(shop: Shop, client: Http) -> None:
    """Threads that begin at once fetch robots.txt once."""
    threads = [
        threading.Thread(target=client.get, args=(f"{shop.url}/products",)) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(shop.asked("/robots.txt")) == 1
    assert len(shop.asked("/products")) == 8


@pytest.mark.parametrize("word", ["Disallow", "  disallow", "Dissalow", "diasllow", "DISALLAW"])
def test_robots_may_be_misspelt(shop: Shop, client: Http, word: str) -> None:
    """What a site means is obeyed even where it spells it as people do."""
    shop.state.robots = f"User-agent: *\n{word}: /products\n"

    with pytest.raises(RobotsDisallowed):
        client.get(f"{shop.url}/products")
