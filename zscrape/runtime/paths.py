"""XPath over a page, by lxml; loaded by the first `page.xpath` and not before."""

from __future__ import annotations

from typing import Any


class PathNode:
    """One element that an XPath has found."""

    __slots__ = ("_element",)

    def __init__(self, element: Any) -> None:
        self._element = element

    @property
    def text(self) -> str:
        """The element's text with runs of white space made one, none at the ends."""
        return " ".join("".join(self._element.itertext()).split())

    @property
    def html(self) -> str:
        """The element as HTML, or as XML in a page that is XML."""
        from lxml import etree

        kind = "html" if type(self._element).__module__ == "lxml.html" else "xml"
        return str(etree.tostring(self._element, encoding="unicode", method=kind, with_tail=False))

    @property
    def tag(self) -> str:
        """The element's name; in XML with its namespace in braces."""
        return str(self._element.tag)

    def attr(self, name: str, default: str | None = None) -> str | None:
        """Return an attribute."""
        found = self._element.get(name)
        return default if found is None else str(found)

    def xpath(self, path: str, namespaces: dict[str, str] | None = None) -> Any:
        """Return what an XPath finds, beginning here."""
        return find(self._element, path, namespaces)


def parsed(text: str, content_type: str) -> Any:
    """Return the tree of a page. Nothing outside of it is ever read.

    Raises:
        ModuleNotFoundError: lxml is not in the script's environment.
    """
    from lxml import etree, html

    raw = text.encode("utf-8", "replace")
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith("xml") and "html" not in kind:
        reader = etree.XMLParser(
            encoding="utf-8", recover=True, resolve_entities=False, no_network=True
        )
        tree = etree.fromstring(raw, reader)
        if tree is not None:
            return tree
    reader = html.HTMLParser(encoding="utf-8")
    return html.document_fromstring(raw if raw.strip() else b"<html></html>", parser=reader)


def find(element: Any, path: str, namespaces: dict[str, str] | None) -> Any:
    """Return what an XPath finds: elements wrapped, texts as `str`, numbers as they are.

    Raises:
        ValueError: The path is none.
    """
    from lxml import etree

    try:
        found = element.xpath(path, namespaces=namespaces)
    except etree.XPathError as error:
        raise ValueError(f"{path!r} is no XPath: {error}") from error
    if isinstance(found, list):
        return [_told(each) for each in found]
    return str(found) if isinstance(found, str) else found


def _told(found: Any) -> Any:
    return str(found) if isinstance(found, str) else PathNode(found)
