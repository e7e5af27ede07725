"""The shop itself: what other tests take for granted of it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.shop.challenges import picture
from tests.shop.documents import content
from tests.shop.server import Shop


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A running shop."""
    with Shop() as running:
        yield running


@pytest.fixture
def client(shop: Shop) -> Iterator[httpx.Client]:
    """A browser of sorts."""
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=20) as made:
        yield made


def test_login_wants_the_token_of_its_own_page(shop: Shop, client: httpx.Client) -> None:
    """A login without the page's token is refused, with it a session begins."""
    sent = {"user": "mina", "password": "tea-and-cake"}
    refused = client.post("/login", data=sent)
    token = client.get("/login").text.partition('name="csrf" value="')[2].partition('"')[0]
    client.post("/login", data={**sent, "csrf": token})

    assert refused.status_code == 403
    assert "mina" in client.get("/account").text
    assert shop.asked("/account")[-1].status == 200


def test_limiter_tells_when_to_come_again(client: httpx.Client) -> None:
    """More than `n` in a window get 429 with Retry-After."""
    answers = [client.get("/limited?n=2&window=60&name=own&retry_after=7") for _ in range(3)]

    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "7"


def test_file_breaks_off_and_goes_on(client: httpx.Client) -> None:
    """An answer ends half way as often as asked, and the rest can be had by a range."""
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/files/1000.bin?cut=1")
    rest = client.get("/files/1000.bin?cut=1", headers={"Range": "bytes=500-"})

    assert rest.status_code == 206
    assert rest.content == content(1000)[500:]


def test_pages_that_never_end_let_the_shop_stop() -> None:
    """A client that still reads does not keep the shop from stopping."""
    with Shop() as shop, httpx.Client(trust_env=False, timeout=20) as client:
        answer = client.send(client.build_request("GET", f"{shop.url}/drip"), stream=True)
        shop.stop()
        answer.close()

    assert not shop._thread.is_alive()


def test_digits_are_a_picture() -> None:
    """The captcha is a PNG that is large enough to be read."""
    made = picture("0123456789")

    assert made.startswith(b"\x89PNG\r\n")
    assert int.from_bytes(made[16:20], "big") == 41 * 12
