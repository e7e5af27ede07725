"""`scripts refresh prefetch promote rollback`: the catalogue of a gateway."""

from __future__ import annotations

from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, SOME_FAILED, verb
from zscrape.client import Document

_TARGET = click.Argument(["target"])
_CHANNEL = click.Argument(["channel"], default="stable")


def _split(target: str) -> tuple[str, str | None]:
    """Return name and version of `NAME[@VERSION]`."""
    name, _, version = target.partition("@")
    return name, version or None


@verb("refresh", *remote_options(), help_key="cli.scripts.refresh")
def refresh(terminal: Terminal, **where: Any) -> int:
    """Have the gateway look at its repositories now."""
    with open_client(terminal, **where) as client:
        document = client.refresh_scripts()
    failed = [each for each in document["repositories"] if each.get("error")]
    if terminal.is_json:
        terminal.answer(document)
    else:
        for each in document["repositories"]:
            _tell_repository(terminal, each)
    return SOME_FAILED if failed else OK


def _tell_repository(terminal: Terminal, repository: Document) -> None:
    name = repository["name"]
    if repository.get("error"):
        terminal.note("cli.scripts.refresh_failed", name=name, reason=repository["error"])
    elif repository["changed"]:
        terminal.say("cli.scripts.refreshed", name=name)
    else:
        terminal.say("cli.scripts.unchanged", name=name)


@verb("prefetch", _TARGET, *remote_options(), help_key="cli.scripts.prefetch")
def prefetch(terminal: Terminal, target: str, **where: Any) -> int:
    """Have the workers get a script ready before it is asked for."""
    name, version = _split(target)
    with open_client(terminal, **where) as client:
        document = client.prefetch(name, version)
    if terminal.is_json:
        terminal.answer(document)
        return OK
    told = {"name": document["name"], "version": document["version"]}
    workers = ", ".join(document["workers"])
    if workers:
        terminal.say("cli.scripts.prefetching", **told, workers=workers)
    else:
        terminal.note("cli.scripts.no_workers", **told)
    return OK


@verb("promote", _TARGET, _CHANNEL, *remote_options(), help_key="cli.scripts.promote")
def promote(terminal: Terminal, target: str, channel: str, **where: Any) -> int:
    """Let a channel stand for a version."""
    name, version = _split(target)
    with open_client(terminal, **where) as client:
        document = client.promote(name, channel, version or "latest")
    return _tell_change(terminal, document)


@verb(
    "rollback",
    click.Argument(["name"]),
    _CHANNEL,
    *remote_options(),
    help_key="cli.scripts.rollback",
)
def roll_back(terminal: Terminal, name: str, channel: str, **where: Any) -> int:
    """Let a channel stand for the version that it stood for before."""
    with open_client(terminal, **where) as client:
        document = client.roll_back(name, channel)
    return _tell_change(terminal, document)


def _tell_change(terminal: Terminal, document: Document) -> int:
    if terminal.is_json:
        terminal.answer(document)
        return OK
    terminal.say(
        "cli.scripts.channel",
        name=document["script_name"],
        channel=document["channel"],
        version=document["version"],
        previous=document["previous"] or "-",
    )
    return OK
