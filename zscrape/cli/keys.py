"""`keys create list revoke`."""

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


def seconds_of(span: str) -> int:
    """Return the seconds of `90d`, `12h`, `30m` or `2w`.

    Raises:
        UsageFault: It is no such span.
    """
    found = _SPAN.fullmatch(span)
    if found is None or not int(found[1]):
        raise UsageFault("cli.usage.span", given=span)
    return int(found[1]) * _UNIT_S[found[2]]


@verb(
    "create",
    Flag(["--name"], default="", help="cli.option.key_name"),
    Flag(
        ["--scope", "scopes"],
        multiple=True,
        type=click.Choice(["run", "read", "admin"]),
        help="cli.option.scope",
    ),
    Flag(["--script", "scripts"], multiple=True, help="cli.option.key_script"),
    Flag(["--group", "groups"], multiple=True, help="cli.option.key_group"),
    Flag(["--expires-in"], help="cli.option.expires_in"),
    Flag(["--rate"], help="cli.option.rate"),
    Flag(
        ["--task-limit"],
        type=click.IntRange(1, 10_000_000),
        help="cli.option.task_limit",
    ),
    *remote_options(),
    help_key="cli.keys.create",
)
def create(
    terminal: Terminal,
    name: str,
    scopes: tuple[str, ...],
    scripts: tuple[str, ...],
    groups: tuple[str, ...],
    expires_in: str | None,
    rate: str | None,
    task_limit: int | None,
    **where: Any,
) -> int:
    """Make a key and show it, this once."""
    life_s = None if expires_in is None else seconds_of(expires_in)
    with open_client(terminal, **where) as client:
        made = client.create_key(
            name=name or None,
            scopes=list(scopes) or ["run"],
            scripts=list(scripts) or None,
            groups=list(groups) or None,
            expires_in=life_s,
            rate=rate,
            task_limit=task_limit,
        )
    if terminal.is_json:
        terminal.answer(made)
        return OK
    terminal.plain(str(made["key"]))
    terminal.note("cli.keys.created", id=made["id"], scopes=" ".join(made["scopes"]))
    return OK


@verb("list", *remote_options(), help_key="cli.keys.list")
def list_keys(terminal: Terminal, **where: Any) -> int:
    """Show the keys: what each may do, and when it was last used."""
    with open_client(terminal, **where) as client:
        document = client.keys()
    if terminal.is_json:
        terminal.answer(document)
        return OK
    columns = (
        "id",
        "name",
        "key",
        "scopes",
        "scripts",
        "groups",
        "status",
        "age",
        "expires",
        "used",
    )
    terminal.table(
        terminal.columns(*columns),
        [
            [
                key["id"],
                key["name"],
                key.get("prefix"),
                key["scopes"],
                key.get("scripts"),
                key.get("groups"),
                key["status"],
                age(key.get("created_at")),
                key.get("expires_at"),
                age(key.get("last_used_at")),
            ]
            for key in document["keys"]
        ],
    )
    return OK


@verb("revoke", click.Argument(["key_id"]), *remote_options(), help_key="cli.keys.revoke")
def revoke(terminal: Terminal, key_id: str, **where: Any) -> int:
    """End a key for good."""
    with open_client(terminal, **where) as client:
        document = client.revoke_key(key_id)
    if terminal.is_json:
        terminal.answer(document)
    terminal.say("cli.keys.revoked", id=key_id)
    return OK
