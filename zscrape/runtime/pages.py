"""An answer as a page: its text, its elements, its links, tables and forms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

from zscrape.runtime import charsets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zscrape.runtime.ctx_http import Http
    from zscrape.runtime.forms import Form
    from zscrape.runtime.tables import Table


class Node:
    """One element of a page."""

    __slots__ = ("_node",)

    def __init__(self, node: LexborNode) -> None:
        self._node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and bool(self._node == other._node)

    __hash__ = None  # type: ignore[assignment] # the parser's nodes have none

    @property
    def text(self) -> str:
        """The element's text with runs of white space made one, none at the ends."""
        return " ".join(self._node.text(deep=True).split())

    @property
    def raw_text(self) -> str:
        """The element's text as it stands in the page."""
        return self._node.text(deep=True)

    @property
    def html(self) -> str:
        """The element as HTML."""
        return self._node.html or ""

    @property
    def tag(self) -> str:
        """The element's name in lower case."""
        return self._node.tag or ""

    @property
    def parent(self) -> Node | None:
        """The element that this one lies in."""
        above = self._node.parent
        return None if above is None else Node(above)

    @property
    def children(self) -> Nodes:
        """The elements that lie in this one, not deeper."""
        return Nodes(Node(each) for each in self._node.iter(include_text=False))

    def attr(self, name: str, default: str | None = None) -> str | None:
        """Return an attribute, empty if it is there without a value."""
        attributes = self._node.attributes
        return (attributes[name] or "") if name in attributes else default

    def css(self, selector: str) -> Nodes:
        """Return the elements below this one that match."""
        return Nodes(Node(each) for each in self._node.css(selector) if each != self._node)

    def css_first(self, selector: str) -> Node | None:
        """Return the first element below this one that matches."""
        return next(iter(self.css(selector)), None)


class Nodes(list[Node]):
    """Elements in the order of the page; `text` and `attr` are those of the first."""

    @property
    def text(self) -> str:
        """The first element's text, empty if there is no element."""
        return self[0].text if self else ""

    @property
    def texts(self) -> list[str]:
        """The text of each element."""
        return [each.text for each in self]

    def attr(self, name: str, default: str | None = None) -> str | None:
        """Return an attribute of the first element."""
        return self[0].attr(name, default) if self else default

    def css(self, selector: str) -> Nodes:
        """Return what matches below any of these."""
        return Nodes(inner for each in self for inner in each.css(selector))


class Page:
    """One answer.

    Args:
        url: Where it came from, after redirects.
        content: The body, decompressed.
        status: The HTTP status.
        headers: The headers.
        charset: The charset of `content`, if it is known for certain.
        http: The client that submits the page's forms.
    """

    __slots__ = ("_decoded", "_paths", "_tree", "content", "headers", "http", "status", "url")

    def __init__(
        self,
        url: str,
        content: bytes,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        charset: str = "",
        http: Http | None = None,
    ) -> None:
        self.url = url
        self.content = content
        self.status = status
        self.headers: Mapping[str, str] = headers if headers is not None else {}
        self.http = http
        self._tree: LexborHTMLParser | None = None
        self._paths: Any = None
        self._decoded: charsets.Decoded | None = None
        if charset:
            self._decoded = charsets.Decoded(content.decode(charset, "replace"), charset)

    @property
    def text(self) -> str:
        """The body as text; how its charset is found: `charsets.py`."""
        return self._text().text

    @property
    def charset(self) -> str:
        """The charset of the body, by the name of Python's codec."""
        return self._text().charset

    @property
    def title(self) -> str:
        """The text of `<title>`, empty if there is none."""
        return self.css("title").text

    def json(self) -> Any:
        """Return the body read as JSON.

        Raises:
            JSONDecodeError: It is none; the error says which page and where.
        """
        try:
            return json.loads(self.content)
        except UnicodeDecodeError:  # an old site's own charset
            return json.loads(self.text)
        except json.JSONDecodeError as error:
            told = f"{self.url} is not JSON: {error.msg}"
            raise json.JSONDecodeError(told, error.doc, error.pos) from None

    def css(self, selector: str) -> Nodes:
        """Return the elements that match."""
        return Nodes(Node(each) for each in self._parsed().css(selector))

    def css_first(self, selector: str) -> Node | None:
        """Return the first element that matches."""
        found = self._parsed().css_first(selector)
        return None if found is None else Node(found)

    def xpath(self, path: str, namespaces: dict[str, str] | None = None) -> Any:
        """Return what an XPath finds: a list of `PathNode` and texts, or one value.

        A page that says it is XML is read as XML, any other as HTML. Needs `lxml`.
        """
        from zscrape.runtime import paths

        if self._paths is None:
            self._paths = paths.parsed(self.text, self.headers.get("content-type", ""))
        return paths.find(self._paths, path, namespaces)

    def links(self) -> list[str]:
        """Return the absolute addresses of the links, each once, in order, without fragments."""
        found: dict[str, None] = {}
        for node in self.css("a[href]"):
            address = self.join(node.attr("href")).partition("#")[0]
            if address.startswith(("http://", "https://")):
                found[address] = None
        return list(found)

    def tables(self, selector: str = "table") -> list[Table]:
        """Return the tables that match, each a list of dicts by the names of its columns."""
        from zscrape.runtime.tables import table_of

        return [table_of(each) for each in self.css(selector)]

    def forms(self, selector: str = "form") -> list[Form]:
        """Return the forms that match, with their fields filled in as the page has them."""
        from zscrape.runtime.forms import Form

        return [Form(self, each) for each in self.css(selector)]

    def form(self, selector: str = "form") -> Form:
        """Return the first form that matches.

        Raises:
            FormError: There is none.
        """
        from zscrape.runtime.forms import FormError

        found = self.forms(selector)
        if not found:
            raise FormError(f"{self.url} has no form that matches {selector!r}")
        return found[0]

    def join(self, address: str | None) -> str:
        """Return an address of this page as an absolute one; it heeds `<base href>`."""
        base = self.css_first("base[href]")
        root = self.url if base is None else urljoin(self.url, base.attr("href") or "")
        return urljoin(root, (address or "").strip())

    def _text(self) -> charsets.Decoded:
        if self._decoded is None:
            self._decoded = charsets.decode(self.content, self.headers.get("content-type", ""))
        return self._decoded

    def _parsed(self) -> LexborHTMLParser:
        if self._tree is None:
            self._tree = LexborHTMLParser(self.text)
        return self._tree
