"""Documents as tables: CSV and XLSX, with one column per name in order of first sight.

What nests stands as JSON, and no cell is ever a formula: spreadsheets run what begins like
one (OWASP, "CSV Injection"), and what a script brought from a site must not run anywhere.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from zscrape.errors.requests import TableTooLarge
from zscrape.onuse import on_use

if TYPE_CHECKING:
    import csv
else:
    csv = on_use("csv")

XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

# The full-width forms count too where a spreadsheet speaks Japanese (OWASP).
_FORMULA_STARTS: Final = (*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Excel specifications and limits, Microsoft; the first row has the names.
_ROW_LIMIT_COUNT: Final = 1_048_575
_COLUMN_LIMIT_COUNT: Final = 16_384
_CELL_LIMIT_CHARACTERS: Final = 32_767
_EXACT_LIMIT: Final = 2**53  # beyond it a spreadsheet's numbers are rounded
# XML 1.0 cannot hold these at all, not even escaped.
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Names(Struct, frozen=True):
    """Which names of an object are wanted. No `fields`: all but those omitted."""

    fields: tuple[str, ...] = ()
    omitted: frozenset[str] = frozenset()

    @property
    def choose_any(self) -> bool:
        """True iff something is left out."""
        return bool(self.fields or self.omitted)

    def of(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return what is wanted of an object; `fields` give the order."""
        names: Iterable[str] = self.fields or item
        return {name: item[name] for name in names if name in item and name not in self.omitted}


def chosen(documents: list[bytes], names: Names) -> list[bytes]:
    """Return JSON documents with what is wanted of each; what is no object stays as it is."""
    return [_chosen(document, names) for document in documents]


def _chosen(document: bytes, names: Names) -> bytes:
    item = _read(document)
    return msgspec.json.encode(names.of(item)) if isinstance(item, dict) else document


def as_csv(documents: list[bytes], names: Names) -> bytes:
    """Return JSON documents as a table."""
    columns, rows = _table(documents, names)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(csv_cell(column) for column in columns)
    writer.writerows([csv_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue().encode()


def csv_line(values: Iterable[Any]) -> bytes:
    """Return one line of a table."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(csv_cell(value) for value in values)
    return out.getvalue().encode("utf-8", "replace")


def csv_cell(value: Any) -> Any:
    """Return a value as it stands in a CSV table: never a formula."""
    plain = _plain(value)
    if isinstance(plain, str) and plain.startswith(_FORMULA_STARTS):
        return "'" + plain
    return plain


def as_xlsx(documents: list[bytes], names: Names) -> bytes:
    """Return JSON documents as a spreadsheet with one sheet.

    Raises:
        TableTooLarge: There is more than a spreadsheet can hold.
    """
    columns, rows = _table(documents, names)
    if len(rows) > _ROW_LIMIT_COUNT or len(columns) > _COLUMN_LIMIT_COUNT:
        raise TableTooLarge(row_count=len(rows), column_count=len(columns))
    # It takes long to load, and few ever ask for it.
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("items")
    sheet.append(list(_xlsx_cells(sheet, columns)))
    for row in rows:
        sheet.append(list(_xlsx_cells(sheet, [row.get(column) for column in columns])))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _xlsx_cells(sheet: Any, values: Iterable[Any]) -> Iterator[Any]:
    from openpyxl.cell import WriteOnlyCell

    for value in values:
        plain = value if isinstance(value, bool) else _plain(value)
        if isinstance(plain, int) and abs(plain) > _EXACT_LIMIT:
            plain = str(plain)
        if not isinstance(plain, str):
            yield plain
            continue
        cell = WriteOnlyCell(sheet, _NOT_IN_XML.sub("", plain)[:_CELL_LIMIT_CHARACTERS])
        cell.data_type = "s"  # else `=` would make a formula of it
        yield cell


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (bool, dict, list)):
        return msgspec.json.encode(value).decode()
    return value


def _table(documents: list[bytes], names: Names) -> tuple[list[str], list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    columns: dict[str, None] = dict.fromkeys(
        name for name in names.fields if name not in names.omitted
    )
    for document in documents:
        item = _read(document)
        row = names.of(item if isinstance(item, dict) else {"value": item})
        columns.update(dict.fromkeys(row))
        rows.append(row)
    return list(columns), rows


def _read(document: bytes) -> Any:
    try:
        return msgspec.json.decode(document)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # JSON that Python cannot hold, a number beyond its range for one: shown as it is.
        return document.decode("utf-8", "replace")
