"""Pages: XPath, tables, forms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shop.account import FORMS
from tests.shop.documents import TABLES
from zscrape.runtime.forms import Form, FormError
from zscrape.runtime.pages import Page
from zscrape.runtime.tables import Table

URL = "http://shop.example/deep/page?x=1"


def page(text: str, **options: Any) -> Page:
    """Return a page with a text."""
    return Page(URL, text.encode(), charset="utf-8", **options)


def table(selector: str) -> Table:
    """Return a table of the shop's."""
    return page(TABLES).tables(selector)[0]


def test_table_is_rows_by_the_names_of_columns() -> None:
    """Headings name the columns; body and foot are rows; the caption is kept."""
    found = table("#plain")

    assert found.caption == "Prices of tea"
    assert found == [
        {"Tea": "Green", "Price": "3,500"},
        {"Tea": "Black", "Price": "4,000"},
        {"Tea": "All", "Price": "7,500"},
    ]


def test_spans_are_repeated() -> None:
    """A cell over several rows or columns stands in each of them."""
    assert table("#spans") == [
        {"Region": "Boseong", "Harvest": "May", "Harvest 2": "10 t"},
        {"Region": "Boseong", "Harvest": "June", "Harvest 2": "12 t"},
        {"Region": "Jeju", "Harvest": "none", "Harvest 2": "none"},
    ]


def test_headings_at_the_side_are_cells() -> None:
    """A row of a heading and a value names no columns."""
    found = table("#sides")

    assert found.cells == [["Name", "Sejak"], ["Weight", "80 g"]]
    assert found[1] == {"column 1": "Weight", "column 2": "80 g"}


def test_tables_within_tables_are_their_own() -> None:
    """The rows of an inner table do not count as those of the outer one."""
    assert table("#outer") == [{"A": "1", "B": "C2"}]
    assert table("#inner") == [{"C": "2"}]


def test_ragged_table_loses_nothing() -> None:
    """Equal and missing headings get names, short rows lack the rest."""
    found = table("#ragged")

    assert found.headings == ["A", "A 2", "column 3", "column 4"]
    assert found == [{"A": "1"}, {"A": "1", "A 2": "2", "column 3": "3", "column 4": "4"}]


def test_table_of_spans_has_an_end() -> None:
    """A cell that asks for millions of places gets a thousand of them, in its own row."""
    found = table("#bomb")

    assert [len(row) for row in found.cells] == [1000]
    assert table("#empty") == []


def test_xpath_finds_elements_texts_and_numbers() -> None:
    """What a path finds comes as elements, texts, or one value."""
    made = page("<ul><li class=a>One <b>1</b><li>Two</ul><p>x</p>")

    assert [each.text for each in made.xpath("//li")] == ["One 1", "Two"]
    assert made.xpath("//li/@class") == ["a"]
    assert made.xpath("count(//li)") == 2.0
    assert made.xpath("string(//p)") == "x"
    assert made.xpath("//li")[0].xpath("b/text()") == ["1"]
    assert made.xpath("//b")[0].html == "<b>1</b>"
    assert (made.xpath("//li")[0].attr("class"), made.xpath("//li")[1].attr("class", "-")) == (
        "a",
        "-",
    )
    with pytest.raises(ValueError, match="is no XPath"):
        made.xpath("//[")


def test_xml_is_read_as_xml() -> None:
    """Names keep their case and their namespace; entities of the page's own are not resolved."""
    text = (
        '<?xml version="1.0" encoding="euc-kr"?><!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        '<r xmlns:g="urn:g"><g:Price>1</g:Price><link>http://a.example</link><t>차&e;</t></r>'
    )
    made = Page(URL, text.encode("euc-kr"), headers={"content-type": "text/xml"})

    assert [each.text for each in made.xpath("//g:Price", {"g": "urn:g"})] == ["1"]
    assert made.xpath("string(//link)") == "http://a.example"
    assert made.xpath("string(//t)") == "차"


def test_page_of_nothing_has_nothing() -> None:
    """An empty body is a page without elements."""
    made = page("")

    assert (made.css("a"), made.xpath("//a"), made.tables(), made.forms()) == ([], [], [], [])
    assert made.title == ""


def form(selector: str = "#plain") -> Form:
    """Return a form of the shop's."""
    return page(FORMS).form(selector)


def test_form_is_what_a_browser_would_send() -> None:
    """Fields have the page's values; what is disabled, unnamed or not ticked is left out."""
    made = form()

    assert (made.method, made.action, made.id) == ("POST", "http://shop.example/echo", "plain")
    assert made.pairs() == [
        ("token", "t-1"),
        ("text", "default"),
        ("on", "on"),
        ("colour", "red"),
        ("colour", "blue"),
        ("size", "m"),
        ("kind", "b"),
        ("first", "One"),
        ("many", "1"),
        ("many", "3"),
        ("note", "line 1\nline 2"),
        ("outside", "o"),
        ("go", "save"),
    ]


def test_form_is_filled_in() -> None:
    """Boxes are ticked by True and False; None leaves a field out; a list sends several."""
    made = form().fill({"text": "tea"}, off=True, on=False, note=None, many=["2"])
    sent = made.pairs("go")

    assert ("text", "tea") in sent
    assert ("off", "on") in sent
    assert [value for name, value in sent if name == "many"] == ["2"]
    assert {name for name, _ in sent}.isdisjoint({"on", "note"})


def test_wrong_names_are_told_with_the_right_ones() -> None:
    """A field, button or form that is not there is an error that names what is."""
    with pytest.raises(FormError, match=r"no field 'txt'.*token, text"):
        form().fill(txt="x")
    with pytest.raises(FormError, match=r"no button 'x'.*: go"):
        form().pairs("x")
    with pytest.raises(FormError, match="no form that matches '#none'"):
        page(FORMS).form("#none")
    with pytest.raises(FormError, match="did not come from"):
        form().submit()


def test_get_form_replaces_the_query_in_the_charset_of_its_page() -> None:
    """A search of a page in EUC-KR asks in EUC-KR, as browsers do."""
    made = Page(URL, FORMS.encode("euc-kr"), charset="cp949").form("form[name=search]")
    method, url, more = made.request(made.fill(q="차 ☃").pairs())

    assert (method, more) == ("GET", {})
    assert url == "http://shop.example/search?q=%C2%F7+%26%239731%3B"


def test_json_that_is_none_names_its_page() -> None:
    """An error page in place of JSON says where it came from; old charsets are read."""
    with pytest.raises(ValueError, match=f"^{URL.replace('?', '.')} is not JSON"):
        page("<h1>Sorry</h1>").json()

    assert Page(URL, '{"차": 1}'.encode("euc-kr")).json() == {"차": 1}
