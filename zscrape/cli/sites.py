"""`sites list set remove`: how hard the whole cluster may hit each site."""

from __future__ import annotations

from typing import Any

import click

from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, verb

_SITE = click.Argument(["site"])


@verb("list", *remote_options(), help_key="cli.sites.list")
def list_sites(terminal: Terminal, **where: Any) -> int:
    """Show the sites that have a budget or were asked of late."""
    with open_client(terminal, **where) as client:
        document = client.sites()
    if terminal.is_json:
        terminal.answer(document)
        return OK
    if not document["sites"]:
        terminal.note("cli.sites.none")
        return OK
    terminal.table(
        terminal.columns("site", "budget", "source", "in_use", "waiting", "state"),
        [
            [
                each["site"],
                _budget(terminal, each["budget"]),
                each["source"],
                each["in_use_count"],
                each["waiting_count"],
                _state(terminal, each),
            ]
            for each in document["sites"]
        ],
    )
    return OK


@verb(
    "set",
    _SITE,
    Flag(["--rate"], help="cli.option.site_rate"),
    Flag(
        ["--concurrency"], type=click.IntRange(min=1, max=1000), help="cli.option.site_concurrency"
    ),
    Flag(["--burst"], type=click.IntRange(min=1, max=1000), help="cli.option.burst"),
    Flag(["--gap"], type=click.FloatRange(min=0, min_open=True, max=3600), help="cli.option.gap"),
    *remote_options(),
    help_key="cli.sites.set",
)
def set_site(
    terminal: Terminal,
    site: str,
    rate: str | None,
    concurrency: int | None,
    burst: int | None,
    gap: float | None,
    **where: Any,
) -> int:
    """Set the budget of a site, in place of all that manifests ask for."""
    budget = {"rate": rate, "concurrency": concurrency, "burst": burst, "gap": gap}
    with open_client(terminal, **where) as client:
        document = client.set_site(site, **budget)
    if terminal.is_json:
        terminal.answer(document)
        return OK
    told = _budget(terminal, document["budget"])
    terminal.say("cli.sites.kept", site=document["site"], budget=told)
    return OK


@verb("remove", _SITE, *remote_options(), help_key="cli.sites.remove")
def remove_site(terminal: Terminal, site: str, **where: Any) -> int:
    """Remove the budget of a site."""
    with open_client(terminal, **where) as client:
        client.remove_site(site)
    if terminal.is_json:
        terminal.answer({"site": site, "removed": True})
    else:
        terminal.say("cli.sites.removed", site=site)
    return OK


def _budget(terminal: Terminal, budget: dict[str, Any]) -> str:
    told = [terminal.words(f"cli.sites.{name}", value=value) for name, value in budget.items()]
    return ", ".join(told) or terminal.words("cli.sites.unlimited")


def _state(terminal: Terminal, site: dict[str, Any]) -> str:
    """Say how a site takes it: whether it is left alone, or asked less, and why."""
    complaint = site["complaint"] or {"status": 0}
    if site["paused_s"]:
        return terminal.words(
            "cli.sites.paused", seconds=site["paused_s"], status=complaint["status"]
        )
    if site["share"] < 1.0:
        return terminal.words(
            "cli.sites.slowed", percent=100 * site["share"], status=complaint["status"]
        )
    return terminal.words("cli.sites.well")
