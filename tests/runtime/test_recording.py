"""What an attempt keeps of its exchanges: the latest, bounded, without keys."""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

import pytest

from zscrape.runtime.gate import Exchange
from zscrape.runtime.recording import LIMIT_BYTES, MASK, Recording, safe_headers, safe_url


def exchange(number: int = 0, body: bytes = b"<p>hello</p>", **values: Any) -> Exchange:
    """Return an exchange."""
    return Exchange(
        "GET", f"https://shop.example/{number}", [], b"", 200, [], body, False, "", 0.1
    )._replace(**values)


def document(recording: Recording) -> dict[str, Any]:
    """Return what a recording tells."""
    told: dict[str, Any] = json.loads(zlib.decompress(recording.packed()))
    return told


def test_nothing_is_told_of_nothing() -> None:
    """An attempt that has asked no site has nothing to tell."""
    assert Recording().packed() == b""


def test_exchanges_are_told_in_order() -> None:
    """A body is told as text where it is one, else as base64."""
    recording = Recording()
    recording.note(exchange(1, "한글".encode()))
    recording.note(exchange(2, b"\xff\xfe", status=404, is_cut=True))

    told = document(recording)

    assert [each["url"] for each in told["exchanges"]] == [
        "https://shop.example/1",
        "https://shop.example/2",
    ]
    assert told["exchanges"][0]["body"] == {"text": "한글"}
    assert told["exchanges"][1]["body"] == {"base64": "//4="}
    assert told["exchanges"][1]["is_cut"] is True
    assert set(told["environment"]) == {"python", "platform", "zscrape"}


def test_keys_are_not_kept() -> None:
    """Headers with keys and cookies, users of addresses and keys in queries are blanked out."""
    recording = Recording()
    headers = [("Authorization", "Bearer a"), ("cookie", "b=c"), ("Accept", "*/*")]
    url = "https://me:pw@shop.example/?page=2&api_key=123#top"
    recording.note(exchange(url=url, request_headers=headers, headers=[("Set-Cookie", "x=y")]))

    (told,) = document(recording)["exchanges"]

    assert told["url"] == f"https://{MASK}@shop.example/?page=2&api_key={MASK}#top"
    assert told["request_headers"] == [["Authorization", MASK], ["cookie", MASK], ["Accept", "*/*"]]
    assert told["headers"] == [["Set-Cookie", MASK]]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://a.example/", "https://a.example/"),
        ("https://a.example/?key=1&x=2", f"https://a.example/?key={MASK}&x=2"),
        ("https://a.example/?x_token=1", f"https://a.example/?x_token={MASK}"),
        ("https://a.example/?monkey=1", "https://a.example/?monkey=1"),
        ("https://a.example/@user", "https://a.example/@user"),
    ],
)
def test_safe_url(url: str, told: str) -> None:
    """Only what looks like a key is blanked out, and twice is as once."""
    assert safe_url(url) == told
    assert safe_url(told) == told


def test_safe_headers_keep_the_rest() -> None:
    """The names of headers stay, in any case."""
    assert safe_headers([("X-API-Key", "1"), ("X-Page", "2")]) == [
        ("X-API-Key", MASK),
        ("X-Page", "2"),
    ]


def test_the_latest_are_kept() -> None:
    """Beyond the number and the bytes that are kept, the oldest go, and are counted."""
    many, large = Recording(), Recording()
    for number in range(250):
        many.note(exchange(number))
    for number in range(20):
        large.note(exchange(number, b"x" * 250_000))

    told, kept = document(many), document(large)

    assert len(told["exchanges"]) == 200
    assert told["dropped_count"] == 50
    assert told["exchanges"][-1]["url"].endswith("/249")
    assert 1 < len(kept["exchanges"]) < 10
    assert kept["exchanges"][-1]["url"].endswith("/19")


def test_what_does_not_compress_is_bounded() -> None:
    """What is told has its limit: it loses its older half until it fits."""
    recording = Recording()
    noise = random.Random(1)
    for number in range(8):
        recording.note(exchange(number, noise.randbytes(250_000)))

    told = recording.packed()

    assert 0 < len(told) <= LIMIT_BYTES
    assert document(recording)["exchanges"][-1]["url"].endswith("/7")


def test_page_and_screenshot() -> None:
    """What a browser shows is told beside the exchanges; a picture that is too large is not."""
    recording = Recording()
    recording.note_page("https://shop.example/?token=1", "<h1>hi</h1>")
    recording.note_screenshot(b"x" * 1_000_000)
    without = document(recording)
    recording.note_screenshot(b"picture")

    assert without["page"] == {"url": f"https://shop.example/?token={MASK}", "html": "<h1>hi</h1>"}
    assert without["screenshot"] is None
    assert document(recording)["screenshot"] == "cGljdHVyZQ=="
