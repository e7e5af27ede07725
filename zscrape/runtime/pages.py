"""An answer as a page: its text, its elements, its links, tables and forms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from zscrape.runtime import charsets
from zscrape.runtime.nodes import Node, Nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zscrape.runtime.forms import Form
    from zscrape.runtime.tables import Table


class Client(Protocol):
    """What a page needs to submit its forms: `ctx.http`."""

    @property
    def request(self) -> Callable[..., Page]:
        """Ask for a page: method, address, options."""


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
        http: Client | None = None,
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
