"""`sessions list show import grant remove`: sessions with sites, whose cookies nobody is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from zscrape.cli.live import local_time
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal, show as cell
from zscrape.cli.verbs import OK, Flag, verb
from zscrape.client import Document

_SITE: Final = click.Argument(["site"])
_ACCOUNT: Final = click.Argument(["account"])
_FACTS: Final = ("site", "account", "status", "reason", "scripts")
_COUNTS: Final = ("cookie_count", "use_count", "bad_count")
_MOMENTS: Final = ("created_at", "updated_at", "used_at", "expires_at")
_CLOCK: Final = "%Y-%m-%d %H:%M:%S"


@verb(
    "list",
    Flag(["--site"], help="cli.option.session_site"),
    *remote_options(),
    help_key="cli.sessions.list",
)
def list_sessions(terminal: Terminal, site: str | None, **where: Any) -> int:
    """Show every session, how it is and who has it."""
    with open_client(terminal, **where) as client:
        document = client.sessions(site)
    if terminal.is_json:
        terminal.answer(document)
        return OK
    rows = document.get("sessions", [])
    if not rows:
        terminal.note("cli.sessions.none")
        return OK
    columns = terminal.columns("site", "account", "status", "cookies", "uses", "leases", "updated")
    terminal.table(columns, [_row(each) for each in rows])
    return OK


def _row(session: Document) -> list[object]:
    return [
        session["site"],
        session["account"],
        session["status"],
        session["cookie_count"],
        session["use_count"],
        len(session["leases"]),
        local_time(session["updated_at"], _CLOCK),
    ]


@verb("show", _SITE, _ACCOUNT, *remote_options(), help_key="cli.sessions.show")
def show(terminal: Terminal, site: str, account: str, **where: Any) -> int:
    """Show one session, and who has it."""
    with open_client(terminal, **where) as client:
        found = client.session(site, account)
    if terminal.is_json:
        terminal.answer(found)
        return OK
    facts = [(name, cell(found.get(name) or None)) for name in _FACTS]
    facts += [(name, cell(found.get(name))) for name in _COUNTS]
    facts += [(name, local_time(found.get(name), _CLOCK)) for name in _MOMENTS]
    facts += [("lease", f"{each['request_id']} {each['since']}") for each in found["leases"]]
    terminal.facts((terminal.words(f"cli.session.{name}"), told) for name, told in facts)
    return OK


@verb(
    "import",
    _SITE,
    _ACCOUNT,
    click.Argument(["file"], type=click.Path(path_type=Path, dir_okay=False, exists=True)),
    Flag(["--script", "scripts"], multiple=True, help="cli.option.session_script"),
    Flag(["--max-age-s"], type=click.FloatRange(min=1), help="cli.option.session_age"),
    *remote_options(),
    help_key="cli.sessions.import",
)
def import_cookies(
    terminal: Terminal,
    site: str,
    account: str,
    file: Path,
    scripts: tuple[str, ...],
    max_age_s: float | None,
    **where: Any,
) -> int:
    """Keep the cookies of a file as a session."""
    from zscrape.ops.cookiefiles import read_cookies

    cookies = read_cookies(file, terminal.lang)
    granted = list(scripts) or None
    with open_client(terminal, **where) as client:
        kept = client.put_session(
            site, account, cookies=cookies, scripts=granted, max_age_s=max_age_s
        )
    return _told(terminal, kept)


@verb(
    "grant",
    _SITE,
    _ACCOUNT,
    Flag(["--script", "scripts"], multiple=True, required=True, help="cli.option.session_script"),
    *remote_options(),
    help_key="cli.sessions.grant",
)
def grant(
    terminal: Terminal, site: str, account: str, scripts: tuple[str, ...], **where: Any
) -> int:
    """Say which scripts may have a session."""
    with open_client(terminal, **where) as client:
        return _told(terminal, client.put_session(site, account, scripts=list(scripts)))


def _told(terminal: Terminal, kept: Document) -> int:
    if terminal.is_json:
        terminal.answer(kept)
    told = {"site": kept["site"], "account": kept["account"], "count": kept["cookie_count"]}
    if kept["scripts"]:
        terminal.say("cli.sessions.kept", **told, scripts=", ".join(kept["scripts"]))
    else:
        terminal.say("cli.sessions.kept.nobody", **told)
    return OK


@verb("remove", _SITE, _ACCOUNT, *remote_options(), help_key="cli.sessions.remove")
def remove(terminal: Terminal, site: str, account: str, **where: Any) -> int:
    """Forget a session."""
    with open_client(terminal, **where) as client:
        client.remove_session(site, account)
    if terminal.is_json:
        terminal.answer({"site": site, "account": account, "removed": True})
    terminal.say("cli.sessions.removed", site=site, account=account)
    return OK
