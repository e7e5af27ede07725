"""A task as the gateway told of it: the API's own document, with names and a face."""

from __future__ import annotations

from html import escape
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.client.failures import ClientError, Document
from zscrape.messages import text

_FINAL: Final = frozenset({"completed", "failed", "timed_out", "cancelled"})
_SHOWN_ROWS: Final = 50
_SHOWN_COLUMNS: Final = 20
_SHOWN_CHARACTERS: Final = 300


class Failure(Struct, frozen=True):
    """Why a task did not complete."""

    code: str = ""
    message: str = ""  # what happened, and what to do next
    type: str = ""  # of what the script raised
    traceback: str = ""  # the script's own frames
    details: dict[str, Any] = {}
    problems: list[dict[str, str]] = []


class Artifact(Struct, frozen=True):
    """A file that a script saved."""

    name: str = ""
    size: int = 0  # bytes
    content_type: str = ""
    sha256: str = ""
    link: str = ""


class Task(dict[str, Any]):
    """A task: the document of the API, untouched, with its fields as properties.

        task = client.run("price_watch", {"url": "https://example.com"})
        task.rows              # the items, as a list
        task["execution_time"] # every field of the envelope

    A notebook shows it as a table.
    """

    def __init__(self, document: Document, *, lang: str = "en") -> None:
        super().__init__(document)
        self._lang = lang

    @property
    def id(self) -> str:
        """Its id, which is also the `request_id`."""
        return str(self.get("request_id") or "")

    @property
    def status(self) -> str:
        """Its state: `queued assigned running waiting completed failed timed_out cancelled`."""
        return str(self.get("status") or "")

    @property
    def is_final(self) -> bool:
        """True iff it has ended."""
        return self.status in _FINAL

    @property
    def is_completed(self) -> bool:
        """True iff it has ended well."""
        return self.status == "completed"

    @property
    def data(self) -> Any:
        """What the script gave back; None also of more than 1 MiB: see `Client.data`."""
        return self.get("data")

    @property
    def rows(self) -> list[Any]:
        """The data as a list: its items, or the one thing that there is."""
        data = self.data
        if data is None:
            return []
        return data if isinstance(data, list) else [data]

    @property
    def error(self) -> Failure | None:
        """Why it did not complete."""
        told = self.get("error")
        if not isinstance(told, dict):
            code = self.get("error_code")  # as lists of tasks tell it
            return Failure(str(code), str(self.get("error_message") or "")) if code else None
        return msgspec.convert(told, Failure, strict=False)

    @property
    def artifacts(self) -> list[Artifact]:
        """The files that it saved."""
        return msgspec.convert(self.get("artifacts") or [], list[Artifact], strict=False)

    def raise_for_failure(self) -> Task:
        """Return the task itself if it completed.

        Raises:
            ClientError: It has ended otherwise, or not yet; `code` is its outcome's.
        """
        if self.is_completed:
            return self
        raise failure_of(self)

    def __repr__(self) -> str:
        """Return one line: which task, and how it went."""
        parts = [f"Task {self.id}", self.status]
        if self.get("script_name"):
            version = f"@{self['version']}" if self.get("version") else ""
            parts.append(f"{self['script_name']}{version}")
        if self.get("item_count"):
            parts.append(f"{self['item_count']} items")
        if self.is_final and self.get("execution_time"):
            parts.append(f"{self['execution_time']:.3g} s")
        if self.error is not None:
            parts.append(f"{self.error.code}: {self.error.message}")
        return f"<{' · '.join(parts)}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows; nothing of it is markup of the script's own."""
        head = escape(" · ".join(self._heading()))
        shown = f"<div><div><b>{head}</b></div>"
        if self.error is not None:
            shown += f"<p><code>{escape(self.error.code)}</code> {escape(self.error.message)}</p>"
            if self.error.traceback:
                shown += f"<pre>{escape(self.error.traceback)}</pre>"
        if self.data is not None:
            shown += table_of(self.data, self._lang)
        names = [f"{each.name} ({each.size:,} B)" for each in self.artifacts]
        if names:
            label = text("client.view.files", self._lang)
            shown += f"<p>{escape(label)} {escape(', '.join(names))}</p>"
        return shown + "</div>"

    def _heading(self) -> list[str]:
        state = f"cli.state.{self.status}"
        parts = [str(self.get("script_name") or self.id)]
        if self.get("version"):
            parts[0] += f" {self['version']}"
        parts.append(text(state, self._lang) if self.status else "")
        if self.get("item_count"):
            parts.append(text("client.view.items", self._lang, count=self["item_count"]))
        if self.is_final:
            parts.append(f"{float(self.get('execution_time') or 0.0):.3g} s")
        return parts


def failure_of(task: Task) -> ClientError:
    """Return the error of a task that did not complete."""
    error = task.error
    if error is None:
        code = task.status or "answer_invalid"
        words = text("client.not_completed", task._lang, id=task.id, status=code)  # noqa: SLF001
        return ClientError(code, words, body=dict(task))
    return ClientError(error.code, error.message, body=dict(task))


# ---- tables --------------------------------------------------------------------------


def table_of(data: Any, lang: str = "en") -> str:
    """Return data as an HTML table: one row for each item of a list, one for each name else."""
    if isinstance(data, dict):
        rows = [f"<tr><th>{_cell(name)}</th><td>{_cell(it)}</td></tr>" for name, it in data.items()]
        return f"<table>{''.join(rows[:_SHOWN_ROWS])}</table>{_more(len(rows), lang)}"
    if not isinstance(data, list):
        return f"<pre>{_cell(data)}</pre>"
    shown = data[:_SHOWN_ROWS]
    names = list(dict.fromkeys(name for row in shown if isinstance(row, dict) for name in row))
    names = names[:_SHOWN_COLUMNS]
    if not names:
        cells = "".join(f"<tr><td>{_cell(row)}</td></tr>" for row in shown)
        return f"<table>{cells}</table>{_more(len(data), lang)}"
    head = "".join(f"<th>{_cell(name)}</th>" for name in names)
    body = "".join(f"<tr>{_row(row, names)}</tr>" for row in shown)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" + _more(
        len(data), lang
    )


def _row(row: Any, names: list[str]) -> str:
    if not isinstance(row, dict):
        return f'<td colspan="{len(names)}">{_cell(row)}</td>'
    return "".join(f"<td>{_cell(row[name]) if name in row else ''}</td>" for name in names)


def _cell(value: Any) -> str:
    told = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(told) > _SHOWN_CHARACTERS:
        told = told[:_SHOWN_CHARACTERS] + "…"
    return escape(told)


def _more(count: int, lang: str) -> str:
    if count <= _SHOWN_ROWS:
        return ""
    words = text("client.view.more", lang, shown=_SHOWN_ROWS, count=count)
    return f"<p>{escape(words)}</p>"
