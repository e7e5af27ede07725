"""`dashboard`: a link that signs a browser in."""

from __future__ import annotations

from typing import Any

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, verb


@verb("dashboard", *remote_options())
def dashboard(terminal: Terminal, **where: Any) -> int:
    """Print a link to the dashboard; it works once."""
    with open_client(terminal, **where) as client:
        made = client.login_link()
    if terminal.is_json:
        terminal.answer(made)
        return OK
    terminal.plain(str(made["url"]))
    terminal.note("cli.dashboard.link", minutes=int(made["expires_in"]) // 60)
    return OK
