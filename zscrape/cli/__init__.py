"""The command line, one file per family of verbs."""

from __future__ import annotations

import sys
from typing import Final

import click

from zscrape import __version__
from zscrape.cli.verbs import Family, Flag, common_options

# httpx's own command line, which nothing here calls, loads rich and pygments: 10 MB of a
# gateway. None: as if it was not installed.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

VERBS: Final = {
    "demo": "zscrape.cli.demo:demo",
    "up": "zscrape.cli.serving:up",
    "gateway": "zscrape.cli.serving:gateway",
    "worker": "zscrape.cli.serving:worker",
    "run": "zscrape.cli.run:run",
    "batch": "zscrape.cli.batch:batch",
    "tasks": "zscrape.cli.families:tasks",
    "deadletters": "zscrape.cli.families:deadletters",
    "handoffs": "zscrape.cli.families:handoffs",
    "schedules": "zscrape.cli.families:schedules",
    "locks": "zscrape.cli.families:locks",
    "scripts": "zscrape.cli.families:scripts",
    "workers": "zscrape.cli.families:workers",
    "top": "zscrape.cli.top:top",
    "dashboard": "zscrape.cli.dashboard:dashboard",
    "keys": "zscrape.cli.families:keys",
    "audit": "zscrape.cli.families:audit",
    "token": "zscrape.cli.families:token",
    "secrets": "zscrape.cli.families:secrets",
    "sessions": "zscrape.cli.families:sessions",
    "sites": "zscrape.cli.families:sites",
    "state": "zscrape.cli.families:state",
    "smoke": "zscrape.cli.smoke:smoke",
    "seed": "zscrape.cli.seed:seed",
    "completion": "zscrape.cli.completion:completion",
    "health": "zscrape.cli.health:health",
    "doctor": "zscrape.cli.doctor:doctor",
    "backup": "zscrape.cli.storage:backup",
    "restore": "zscrape.cli.storage:restore",
    "bundle": "zscrape.cli.bundle:bundle",
}


def _tell_version(ctx: click.Context, parameter: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        click.echo(f"zscrape {__version__}")
        ctx.exit()


main = Family(
    "zscrape",
    help="cli.zscrape",
    lazy=VERBS,
    params=[
        Flag(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            help="cli.option.version",
            callback=_tell_version,
        ),
        *common_options(),
    ],
)
