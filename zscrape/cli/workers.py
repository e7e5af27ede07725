"""`workers list drain resume remove revoke`."""

from __future__ import annotations

from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, verb
from zscrape.client import Document

_WORKER_ID = click.Argument(["worker_id"])


@verb("list", *remote_options(), help_key="cli.workers.list")
def list_workers(terminal: Terminal, **where: Any) -> int:
    """Show the workers: how busy they are, what they can run."""
    with open_client(terminal, **where) as client:
        document = client.workers()
    if terminal.is_json:
        terminal.answer(document)
        return OK
    rows = document.get("workers", [])
    if not rows:
        terminal.note("cli.workers.none")
        return OK
    columns = ("id", "status", "slots", "tags", "load", "host", "python", "zscrape", "heard")
    terminal.table(terminal.columns(*columns), [_row(row) for row in rows])
    return OK


def _row(worker: Document) -> list[object]:
    facts = worker.get("facts") or {}
    cpu = float(worker.get("cpu_percent") or 0)
    memory = float(worker.get("memory_percent") or 0)
    return [
        worker.get("id"),
        worker.get("status"),
        f"{worker.get('in_flight_count', 0)}/{worker.get('slots', 0)}",
        worker.get("tags"),
        f"cpu {cpu:.0f} % mem {memory:.0f} %",
        facts.get("hostname"),
        facts.get("python"),
        facts.get("version"),
        f"{float(worker.get('last_heard_s') or 0):.1f}s",
    ]


@verb("drain", _WORKER_ID, *remote_options(), help_key="cli.workers.drain")
def drain(terminal: Terminal, worker_id: str, **where: Any) -> int:
    """Give a worker nothing new; what it runs goes on."""
    with open_client(terminal, **where) as client:
        document = client.drain(worker_id)
    if terminal.is_json:
        terminal.answer(document)
    terminal.say("cli.workers.draining", worker_id=worker_id)
    return OK


@verb("resume", _WORKER_ID, *remote_options(), help_key="cli.workers.resume")
def resume(terminal: Terminal, worker_id: str, **where: Any) -> int:
    """Give a drained worker work again."""
    with open_client(terminal, **where) as client:
        document = client.resume(worker_id)
    if terminal.is_json:
        terminal.answer(document)
    terminal.say("cli.workers.resumed", worker_id=worker_id)
    return OK


@verb("remove", _WORKER_ID, *remote_options(), help_key="cli.workers.remove")
def remove(terminal: Terminal, worker_id: str, **where: Any) -> int:
    """Forget a worker's key and cut it off."""
    with open_client(terminal, **where) as client:
        document = client.remove_worker(worker_id)
    if terminal.is_json:
        terminal.answer(document)
    terminal.say("cli.workers.removed", worker_id=worker_id)
    return OK


@verb("revoke", _WORKER_ID, *remote_options(), help_key="cli.workers.revoke")
def revoke(terminal: Terminal, worker_id: str, **where: Any) -> int:
    """Refuse a worker's key for ever and cut it off."""
    with open_client(terminal, **where) as client:
        document = client.revoke_worker(worker_id)
    if terminal.is_json:
        terminal.answer(document)
    terminal.say("cli.workers.revoked", worker_id=worker_id)
    return OK
