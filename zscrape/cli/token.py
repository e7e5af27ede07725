"""`token create list revoke rotate-key`: the right to join, and the key of the link."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.selecting import age
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, UsageFault, verb

_SPAN: Final = re.compile(r"(\d{1,9})([smhdw])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}
_NEVER: Final = "never"


def _seconds_of(span: str) -> int:
    """Return the seconds of `90d`, `12h`, `30m` or `2w`.

    Raises:
        UsageFault: It is no such span.
    """
    found = _SPAN.fullmatch(span)
    if found is None:
        raise UsageFault("cli.usage.token_span", given=span)
    return int(found[1]) * _UNIT_S[found[2]]


@verb(
    "create",
    Flag(["--name"], default="", help="cli.option.token_name"),
    Flag(["--uses"], type=click.IntRange(min=1), help="cli.option.token_uses"),
    Flag(["--expires-in"], help="cli.option.token_expires_in"),
    Flag(["--address", "addresses"], multiple=True, help="cli.option.token_address"),
    *remote_options(),
    help_key="cli.token.create",
)
def create(
    terminal: Terminal,
    name: str,
    uses: int | None,
    expires_in: str | None,
    addresses: tuple[str, ...],
    **where: Any,
) -> int:
    """Make a token and print the line that starts a worker by it."""
    asked: dict[str, Any] = {"name": name, "uses": uses, "addresses": addresses}
    if expires_in is not None:
        asked["expires_in"] = None if expires_in == _NEVER else _seconds_of(expires_in)
    with open_client(terminal, **where) as client:
        document = client.create_token(**asked)
    if terminal.is_json:
        terminal.answer(document)
        return OK
    terminal.plain(str(document.get("command")))
    terminal.note("cli.token.created", token_id=document.get("id"))
    if document.get("is_local"):
        terminal.note("cli.token.local", address=", ".join(document.get("addresses") or ()))
    return OK


@verb("list", *remote_options(), help_key="cli.token.list")
def list_tokens(terminal: Terminal, **where: Any) -> int:
    """Show the tokens that were made."""
    with open_client(terminal, **where) as client:
        document = client.tokens()
    if terminal.is_json:
        terminal.answer(document)
        return OK
    rows = document.get("tokens", [])
    if not rows:
        terminal.note("cli.token.none")
        return OK
    columns = terminal.columns("id", "name", "status", "uses", "age", "expires")
    terminal.table(
        columns,
        [
            [
                row.get("id"),
                row.get("name"),
                row.get("status"),
                f"{row.get('used_count', 0)}/{row.get('uses') or '-'}",
                age(row.get("created_at")),
                row.get("expires_at") or "-",
            ]
            for row in rows
        ],
    )
    return OK


@verb("revoke", click.Argument(["token_id"]), *remote_options(), help_key="cli.token.revoke")
def revoke(terminal: Terminal, token_id: str, **where: Any) -> int:
    """Let nobody join by a token any more."""
    with open_client(terminal, **where) as client:
        document = client.revoke_token(token_id)
    if terminal.is_json:
        terminal.answer(document)
    terminal.say("cli.token.revoked", token_id=token_id)
    return OK


@verb(
    "rotate-key",
    Flag(["--overlap"], default="1d", help="cli.option.key_overlap"),
    *remote_options(),
    help_key="cli.token.rotate-key",
)
def rotate_key(terminal: Terminal, overlap: str, **where: Any) -> int:
    """Have the gateway take another key on the link."""
    with open_client(terminal, **where) as client:
        document = client.rotate_link_key(_seconds_of(overlap))
    if terminal.is_json:
        terminal.answer(document)
    terminal.say("cli.token.rotated", at=document.get("key_changes_at"))
    return OK
