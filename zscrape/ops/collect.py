"""What many tasks have brought, in one file: JSONL, CSV, XLSX, or Parquet with `pyarrow`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from zscrape.errors import ConfigError
from zscrape.errors.requests import TableTooLarge
from zscrape.messages import text

FORMS: Final = ("jsonl", "csv", "xlsx", "parquet")


def form_of(path: Path) -> str:
    """Return what a file's ending says; anything unknown is JSONL."""
    ending = path.suffix.lower().lstrip(".")
    return ending if ending in FORMS else "jsonl"


def check_form(path: Path, lang: str) -> None:
    """Refuse a form that cannot be written here, before anything runs.

    Raises:
        ConfigError: Parquet is asked for and `pyarrow` is not installed.
    """
    if form_of(path) == "parquet":
        _pyarrow(path, lang)


def write_rows(path: Path, rows: Iterable[Any], lang: str) -> int:
    """Write rows to a file in the form of its ending; returns how many.

    Raises:
        ConfigError: It cannot be written so.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                count = _WRITERS[form_of(path)](file, iter(rows), path, lang)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(source=str(path), reason=error.strerror or str(error)) from error
    return count


def _write_jsonl(file: IO[bytes], rows: Iterator[Any], path: Path, lang: str) -> int:
    count = 0
    for row in rows:
        file.write(msgspec.json.encode(row) + b"\n")
        count += 1
    return count


def _write_csv(file: IO[bytes], rows: Iterator[Any], path: Path, lang: str) -> int:
    from zscrape.gateway.tables import Names, as_csv

    documents = [msgspec.json.encode(row) for row in rows]
    # The mark lets spreadsheets read Korean as UTF-8.
    file.write(b"\xef\xbb\xbf" + as_csv(documents, Names()))
    return len(documents)


def _write_xlsx(file: IO[bytes], rows: Iterator[Any], path: Path, lang: str) -> int:
    from zscrape.gateway.tables import Names, as_xlsx

    documents = [msgspec.json.encode(row) for row in rows]
    try:
        file.write(as_xlsx(documents, Names()))
    except TableTooLarge as error:
        reason = text(error.text_key, lang, **error.fields)
        raise ConfigError(source=str(path), reason=reason) from error
    return len(documents)


def _write_parquet(file: IO[bytes], rows: Iterator[Any], path: Path, lang: str) -> int:
    pa = _pyarrow(path, lang)
    from pyarrow import parquet

    documents = [row if isinstance(row, dict) else {"value": row} for row in rows]
    names = list(dict.fromkeys(name for row in documents for name in row))
    columns = {name: _column(pa, [row.get(name) for row in documents]) for name in names}
    parquet.write_table(pa.table(columns), file)
    return len(documents)


def _column(pa: Any, values: list[Any]) -> Any:
    """Return a column; values of several types stand as JSON text."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        told = [
            value
            if value is None or isinstance(value, str)
            else msgspec.json.encode(value).decode()
            for value in values
        ]
        return pa.array(told, type=pa.string())


def _pyarrow(path: Path, lang: str) -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        reason = text("cli.batch.no_parquet", lang)
        raise ConfigError(source=str(path), reason=reason) from error
    return pa


_WRITERS: Final = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
    "xlsx": _write_xlsx,
    "parquet": _write_parquet,
}
