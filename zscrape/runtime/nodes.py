"""Elements of a page."""

from __future__ import annotations

from selectolax.lexbor import LexborNode


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
