"""The client of a verb that calls a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import Flag, home_option

if TYPE_CHECKING:
    from zscrape.client import Client


def remote_options() -> list[click.Parameter]:
    """Options of verbs that call a gateway."""
    return [
        Flag(["--url"], help="cli.option.url"),
        Flag(["--key"], help="cli.option.key"),
        home_option(),
    ]


def open_client(
    terminal: Terminal, *, url: str | None, key: str | None, home: Path | None
) -> Client:
    """Return a client for the gateway that the options, the environment or the home name.

    Raises:
        ClientError: None of them names one.
    """
    from zscrape.client import NO_RETRY, Client, find_gateway

    gateway = find_gateway(url=url, key=key, home=home, lang=terminal.lang)
    # Whoever waits at a terminal is told at once; verbs of many targets have their own patience.
    return Client(gateway, lang=terminal.lang, retry=NO_RETRY)
