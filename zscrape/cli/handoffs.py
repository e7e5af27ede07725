"""`handoffs list show answer dismiss`: what running scripts ask people."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zscrape.cli.parameters import read_parameters
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.result import write_files
from zscrape.cli.selecting import age
from zscrape.cli.terminal import Terminal, harmless
from zscrape.cli.verbs import OK, Flag, UsageFault, verb
from zscrape.client import Document

if TYPE_CHECKING:
    from zscrape.client import Client

_ID = click.Argument(["handoff_id"])
_STATUSES = ("open", "answered", "dismissed", "expired", "gone", "all")


@verb(
    "list",
    Flag(
        ["--status"], type=click.Choice(_STATUSES), default="open", help="cli.option.handoff_status"
    ),
    Flag(["--task"], help="cli.option.handoff_task"),
    Flag(["--limit"], type=click.IntRange(1, 1000), default=100, help="cli.option.limit"),
    *remote_options(),
    help_key="cli.handoffs.list",
)
def list_handoffs(
    terminal: Terminal, status: str, task: str | None, limit: int, **where: Any
) -> int:
    """Show what people are asked."""
    wanted = None if status == "all" else status
    with open_client(terminal, **where) as client:
        document = client.handoffs(status=wanted, task=task, limit=limit)
    if terminal.is_json:
        terminal.answer(document)
        return OK
    rows = document.get("handoffs", [])
    if not rows:
        terminal.note("cli.handoffs.none")
        return OK
    terminal.table(
        terminal.columns("id", "script", "status", "question", "age"),
        [
            [
                row.get("id"),
                row.get("script_name"),
                terminal.words(f"cli.handoff.{row.get('status')}"),
                str(row.get("prompt", "")).partition("\n")[0][:60],
                age(row.get("created_at")),
            ]
            for row in rows
        ],
    )
    return OK


@verb(
    "show",
    _ID,
    Flag(
        ["--image"],
        type=click.Path(path_type=Path, file_okay=False),
        help="cli.option.handoff_image",
    ),
    *remote_options(),
    help_key="cli.handoffs.show",
)
def show(terminal: Terminal, handoff_id: str, image: Path | None, **where: Any) -> int:
    """Show one question."""
    with open_client(terminal, **where) as client:
        row = client.handoff(handoff_id)
        picture = _picture(client, row) if image is not None else {}
    if terminal.is_json:
        terminal.answer(row)
    else:
        _tell(terminal, row)
    if image is not None:
        for path in write_files(image, picture):
            terminal.note("cli.run.written", path=path)
    return OK


@verb(
    "answer",
    _ID,
    Flag(["-p", "--field", "given"], multiple=True, help="cli.option.handoff_field"),
    *remote_options(),
    help_key="cli.handoffs.answer",
)
def answer(terminal: Terminal, handoff_id: str, given: tuple[str, ...], **where: Any) -> int:
    """Answer a question; what is not given is asked for on a terminal."""
    with open_client(terminal, **where) as client:
        row = client.handoff(handoff_id)
        fields: Document = row.get("fields") or {}
        answered = read_parameters(given, lambda: {"properties": fields})
        if row.get("status") == "open":
            answered = _asked(terminal, row, fields, answered)
        ended = client.answer_handoff(handoff_id, answered)
    if terminal.is_json:
        terminal.answer(ended)
    else:
        terminal.say("cli.handoffs.answered", id=handoff_id, request_id=ended.get("request_id"))
    return OK


@verb("dismiss", _ID, *remote_options(), help_key="cli.handoffs.dismiss")
def dismiss(terminal: Terminal, handoff_id: str, **where: Any) -> int:
    """Tell the script that nobody will answer."""
    with open_client(terminal, **where) as client:
        ended = client.dismiss_handoff(handoff_id)
    if terminal.is_json:
        terminal.answer(ended)
    else:
        terminal.say("cli.handoffs.dismissed", id=handoff_id, request_id=ended.get("request_id"))
    return OK


def _picture(client: Client, row: Document) -> dict[str, bytes]:
    picture = row.get("image")
    if not picture:
        raise UsageFault("cli.handoffs.no_image", id=row.get("id"))
    name = str(picture["name"])
    return {name: client.artifact(str(row["request_id"]), name)}


def _tell(terminal: Terminal, row: Document) -> None:
    """Show a question to a person."""
    terminal.say(
        "cli.handoffs.told",
        id=row.get("id"),
        status=terminal.words(f"cli.handoff.{row.get('status')}"),
        script=row.get("script_name"),
        request_id=row.get("request_id"),
        expires=row.get("expires_at"),
    )
    click.echo(f"\n{harmless(str(row.get('prompt', '')))}\n")
    for name, field in (row.get("fields") or {}).items():
        kind = ", ".join(map(str, field.get("enum") or ())) or field.get("type", "string")
        need = "" if field.get("required", True) else f" {terminal.words('cli.handoffs.optional')}"
        title = harmless(" ".join(filter(None, (field.get("title"), field.get("description")))))
        click.echo(f"  {name} ({harmless(str(kind))}){need} {title}".rstrip())
    if row.get("image"):
        terminal.note("cli.handoffs.image", id=row.get("id"), name=row["image"]["name"])


def _asked(terminal: Terminal, row: Document, fields: Document, answered: Document) -> Document:
    """Return the answer, with what is missing asked for at a terminal."""
    missing = [name for name in fields if name not in answered]
    if not missing or not sys.stdin.isatty():
        return answered
    _tell(terminal, row)
    for name in missing:
        field = fields[name]
        is_needed = field.get("required", True)
        typed = click.prompt(
            harmless(str(field.get("title") or name)),
            default=None if is_needed else "",
            hide_input=bool(field.get("secret")),
            show_default=False,
            err=True,
        )
        if typed != "" or is_needed:
            answered |= read_parameters([f"{name}={typed}"], lambda: {"properties": fields})
    return answered
