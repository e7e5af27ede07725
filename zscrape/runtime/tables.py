"""Tables of a page as lists of dicts, with what spans several rows or columns repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zscrape.runtime.nodes import Node

# What a table may grow to by its spans: a page of one cell can ask for 65,534 x 1,000.
_SPAN_LIMIT_COUNT = 1000
_CELL_LIMIT_COUNT = 1_000_000


class Table(list[dict[str, str]]):
    """The rows below the headings, each by the names of its columns.

    Columns without a heading are `column 1`, `column 2`, ...; of two with the same one the
    second is `name 2`. Without headings every row counts.
    """

    def __init__(self, caption: str, headings: list[str], cells: list[list[str]]) -> None:
        width = max([len(headings), *map(len, cells)])
        self.caption = caption
        self.headings = _names(headings, width)
        self.cells = cells  # the rows below the headings, as lists
        super().__init__(dict(zip(self.headings, row, strict=False)) for row in cells)


def table_of(node: Node) -> Table:
    """Return what a `<table>` says."""
    rows: list[tuple[bool, list[str]]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column to (rows left, text)
    room = _CELL_LIMIT_COUNT
    for row in node.css("tr"):
        if _table_above(row) != node:
            continue  # of a table within this one
        filled, hanging = _fill(row, hanging, room)
        room -= len(filled)
        rows.append((_is_heading(row), filled))
    caption = next((each.text for each in node.css("caption") if _table_above(each) == node), "")
    headings = rows[0][1] if rows and rows[0][0] else []
    return Table(caption, headings, [cells for _, cells in rows[1 if headings else 0 :]])


def _fill(
    row: Node, hanging: dict[int, tuple[int, str]], room: int
) -> tuple[list[str], dict[int, tuple[int, str]]]:
    """Return the texts of a row, and what hangs down from it into the next."""
    cells: list[str] = []
    left: dict[int, tuple[int, str]] = {}

    def place(text: str, rows_count: int) -> None:
        if rows_count > 1:
            left[len(cells)] = rows_count - 1, text
        cells.append(text)

    def place_hanging() -> None:
        while len(cells) in hanging and len(cells) < room:
            rows_count, text = hanging[len(cells)]
            place(text, rows_count)

    for cell in row.children:
        if cell.tag not in ("td", "th"):
            continue
        place_hanging()
        rows_count, text = _span(cell, "rowspan"), cell.text
        for _ in range(min(_span(cell, "colspan"), room - len(cells))):
            place(text, rows_count)
    place_hanging()
    return cells, left


def _span(cell: Node, name: str) -> int:
    told = (cell.attr(name) or "").strip()
    return max(min(int(told), _SPAN_LIMIT_COUNT), 1) if told.isdecimal() else 1


def _is_heading(row: Node) -> bool:
    """True iff a row names columns: it lies in `<thead>`, or has `<th>` and no `<td>`."""
    parent = row.parent
    if parent is not None and parent.tag == "thead":
        return True
    tags = {cell.tag for cell in row.children}
    return "th" in tags and "td" not in tags


def _table_above(node: Node) -> Node | None:
    above = node.parent
    while above is not None and above.tag != "table":
        above = above.parent
    return above


def _names(headings: list[str], width: int) -> list[str]:
    names: list[str] = []
    for at in range(width):
        name = headings[at] if at < len(headings) else ""
        name = name or f"column {at + 1}"
        same_count = names.count(name)
        number = 2
        while same_count and f"{name} {number}" in names:
            number += 1
        names.append(f"{name} {number}" if same_count else name)
    return names
