"""`state list get set remove`: what scripts remember between their runs."""

from __future__ import annotations

import sys
from typing import Any, Final

import click
import msgspec

from zscrape.cli.live import local_time
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, UsageFault, verb

_SCRIPT: Final = click.Argument(["script"])
_NO_KEY: Final = click.Argument(["name"], metavar="[KEY]", required=False)
_KEY: Final = click.Argument(["name"], metavar="KEY")


@verb(
    "list",
    _SCRIPT,
    Flag(["--prefix"], help="cli.option.state_prefix"),
    Flag(["--limit"], type=click.IntRange(1, 1000), default=100, help="cli.option.limit"),
    Flag(["--cursor"], help="cli.option.cursor"),
    *remote_options(),
    help_key="cli.state.list",
)
def list_state(
    terminal: Terminal,
    script: str,
    prefix: str | None,
    limit: int,
    cursor: str | None,
    **where: Any,
) -> int:
    """Show what a script remembers, by key."""
    with open_client(terminal, **where) as client:
        page = client.script_state(script, prefix=prefix, limit=limit, cursor=cursor)
    if terminal.is_json:
        terminal.answer(page)
        return OK
    rows = page.get("state", [])
    if not rows:
        terminal.note("cli.state.none", script=script)
        return OK
    columns = terminal.columns("state_key", "bytes", "updated")
    terminal.table(
        columns,
        [
            [each["key"], each["size_bytes"], local_time(each["updated_at"], "%Y-%m-%d %H:%M:%S")]
            for each in rows
        ],
    )
    if page.get("next_cursor"):
        terminal.note("cli.state.more", cursor=page["next_cursor"])
    return OK


@verb("get", _SCRIPT, _KEY, *remote_options(), help_key="cli.state.get")
def get(terminal: Terminal, script: str, name: str, **where: Any) -> int:
    """Show one thing that a script remembers, as JSON."""
    with open_client(terminal, **where) as client:
        found = client.state_value(script, name)
    terminal.answer(found if terminal.is_json else found.get("value"))
    return OK


@verb(
    "set",
    _SCRIPT,
    _KEY,
    click.Argument(["value"], required=False),
    Flag(["--text"], is_flag=True, help="cli.option.state_text"),
    *remote_options(),
    help_key="cli.state.set",
)
def set_state(
    terminal: Terminal, script: str, name: str, value: str | None, text: bool, **where: Any
) -> int:
    """Let a script remember a value."""
    given = sys.stdin.read() if value is None else value
    with open_client(terminal, **where) as client:
        kept = client.set_state(script, name, given if text else _read(given))
    if terminal.is_json:
        terminal.answer(kept)
    terminal.say("cli.state.kept", script=script, name=name)
    return OK


@verb(
    "remove",
    _SCRIPT,
    _NO_KEY,
    Flag(["--all"], is_flag=True, help="cli.option.state_all"),
    *remote_options(),
    help_key="cli.state.remove",
)
def remove(
    terminal: Terminal,
    script: str,
    name: str | None,
    all: bool,  # noqa: A002 - the flag's name
    **where: Any,
) -> int:
    """Let a script forget one thing, or everything."""
    _check_one_or_all(name, is_all=all)
    with open_client(terminal, **where) as client:
        if name is None:
            count = client.clear_state(script).get("removed_count", 0)
        else:
            client.remove_state(script, name)
            count = 1
    if terminal.is_json:
        terminal.answer({"script": script, "removed_count": count})
    terminal.say("cli.state.removed", script=script, count=count)
    return OK


@verb("keys", _SCRIPT, _NO_KEY, *remote_options(), help_key="cli.state.keys")
def keys(terminal: Terminal, script: str, name: str | None, **where: Any) -> int:
    """Show how many keys of items are known, or which task brought one."""
    with open_client(terminal, **where) as client:
        found = client.item_keys(script) if name is None else client.item_key(script, name)
    if terminal.is_json:
        terminal.answer(found)
    elif name is None:
        terminal.say("cli.state.keys_known", script=script, count=found["known_count"])
    else:
        until = local_time(found["expires_at"], "%Y-%m-%d %H:%M:%S")
        terminal.say("cli.state.key_known", name=name, task_id=found["request_id"], until=until)
    return OK


@verb(
    "forget",
    _SCRIPT,
    _NO_KEY,
    Flag(["--all"], is_flag=True, help="cli.option.keys_all"),
    *remote_options(),
    help_key="cli.state.forget",
)
def forget(
    terminal: Terminal,
    script: str,
    name: str | None,
    all: bool,  # noqa: A002 - the flag's name
    **where: Any,
) -> int:
    """Forget keys of items, so that the next run brings them again."""
    _check_one_or_all(name, is_all=all)
    with open_client(terminal, **where) as client:
        told = client.forget_item_keys(script, name)
    if terminal.is_json:
        terminal.answer(told)
    terminal.say("cli.state.forgotten", script=script, count=told["removed_count"])
    return OK


def _read(given: str) -> Any:
    """Return the JSON that was given.

    Raises:
        UsageFault: It is none.
    """
    try:
        return msgspec.json.decode(given)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise UsageFault("cli.state.not_json", given=given.strip()[:80]) from None


def _check_one_or_all(name: str | None, *, is_all: bool) -> None:
    if (name is None) != is_all:
        raise UsageFault("cli.state.one_or_all")
