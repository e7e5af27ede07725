"""Texts of pages that tell their charset, lie about it, or say nothing."""

from __future__ import annotations

import pytest

from tests.shop.documents import TEXTS, encoded
from zscrape.runtime.charsets import decode, name_of

TOLD = [
    (charset, say)
    for charset in TEXTS
    for say in ("header", "meta", "xml")
    if say == "header" or not charset.startswith("utf-16")  # what is read as ASCII is not that
]


@pytest.mark.parametrize(("charset", "say"), TOLD)
def test_charset_that_is_told_is_believed(charset: str, say: str) -> None:
    """What the header, `<meta>` or the XML declaration tells is what the page is read in."""
    raw, kind = encoded(charset, {say}, charset)

    assert TEXTS[charset] in decode(raw, kind).text


@pytest.mark.parametrize("charset", TEXTS)
def test_charset_that_is_told_nowhere_is_found(charset: str) -> None:
    """A page that says nothing of its charset is read by what its bytes look like."""
    raw, kind = encoded(charset, set(), charset)

    assert TEXTS[charset] in decode(raw, kind).text


@pytest.mark.parametrize("charset", ["euc-kr", "cp949", "shift_jis", "euc-jp", "gbk", "utf-16"])
@pytest.mark.parametrize("lie", ["utf-8", "nonsense", "us-ascii"])
def test_lie_is_not_believed(charset: str, lie: str) -> None:
    """What is told is not believed if the bytes do not fit it, or no page is in it."""
    raw, kind = encoded(charset, {"header"}, lie)
    if lie == "us-ascii" and charset != "utf-16":
        raw = raw.replace(b"<head>", f"<head><meta charset={charset}>".encode())

    assert TEXTS[charset] in decode(raw, kind).text


def test_utf8_under_the_name_of_latin1_is_utf8() -> None:
    """A server's default of ISO-8859-1 does not spoil a page that is UTF-8."""
    raw = f"<p>{TEXTS['cp949']}</p>".encode()

    assert decode(raw, "text/html; charset=ISO-8859-1").charset == "utf-8"
    assert decode("Käse".encode("cp1252"), "text/html; charset=ISO-8859-1").text == "Käse"


@pytest.mark.parametrize("charset", ["utf-8", "utf-16-le", "utf-16-be"])
def test_byte_order_mark_counts_before_all_else(charset: str) -> None:
    """A byte order mark is right whatever the header says, and is no part of the text."""
    raw, _ = encoded(charset, {"bom"}, charset)

    assert decode(raw, "text/html; charset=shift_jis").text.startswith("<!doctype")


def test_one_broken_character_spoils_nothing() -> None:
    """A long page with a byte that is wrong stays in the charset that it tells."""
    raw = (TEXTS["cp949"] * 20).encode("cp949") + b"\xff\xff"

    found = decode(raw, "text/html; charset=euc-kr")

    assert found.charset == "cp949"
    assert TEXTS["cp949"] in found.text


@pytest.mark.parametrize("raw", [b"", b"\xff", b"\xa4", b"\x00\x01\x80\xfe", bytes(range(256)) * 9])
def test_nothing_fails(raw: bytes) -> None:
    """Any bytes have a text."""
    assert isinstance(decode(raw, 'text/html; charset="').text, str)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (" EUC-KR ", "cp949"),
        ("ks_c_5601-1987", "cp949"),
        ("x-sjis", "cp932"),
        ("ISO-8859-1", "cp1252"),
        ("gb2312", "gb18030"),
        ("no-such", ""),
        ("rot13", ""),
        ("hex\0", ""),
    ],
)
def test_labels_mean_what_browsers_take_them_for(label: str, name: str) -> None:
    """Old names stand for the larger charsets of today; what is no charset has no name."""
    assert name_of(label) == name
