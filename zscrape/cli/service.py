"""`worker install` and `worker uninstall`: a worker that the machine itself starts."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zscrape.cli.serving import join_options, read_worker_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, config_option, home_option, verb

if TYPE_CHECKING:
    from zscrape.ops.service import Service

_NAME: Final = Flag(["--name"], default="zscrape-worker", help="cli.option.service_name")
_USER: Final = Flag(["--user/--system", "is_user"], default=None, help="cli.option.service_user")
_INIT: Final = Flag(
    ["--init"], type=click.Choice(["systemd", "launchd"]), help="cli.option.service_init"
)
_DRY_RUN: Final = Flag(["--dry-run", "is_dry_run"], is_flag=True, help="cli.option.dry_run")


@verb(
    "install",
    *join_options(),
    _NAME,
    _USER,
    Flag(["--now", "is_now"], is_flag=True, help="cli.option.service_now"),
    _INIT,
    _DRY_RUN,
    home_option(),
    config_option(),
    help_key="cli.worker.install",
)
def install(terminal: Terminal, name: str, is_now: bool, is_dry_run: bool, **values: Any) -> int:
    """Make a worker a service of this machine."""
    service = _plan(name, values)
    terminal = Terminal.now()
    from zscrape.ops.service import act, install as write_files

    if not is_dry_run:
        write_files(service)
        if is_now:
            act(service.start)
    if terminal.is_json:
        terminal.answer(_document(service, service.start, is_started=is_now and not is_dry_run))
        return OK
    if is_dry_run:
        _show(terminal, service)
    terminal.say(
        "cli.worker.install.dry" if is_dry_run else "cli.worker.install.done",
        unit=service.unit,
        settings=service.settings,
    )
    if is_now and not is_dry_run:
        terminal.say("cli.worker.install.started", name=service.name)
    else:
        terminal.say("cli.worker.install.next")
        _commands(terminal, service.start)
    return OK


@verb(
    "uninstall",
    _NAME,
    _USER,
    _INIT,
    _DRY_RUN,
    home_option(),
    config_option(),
    help_key="cli.worker.uninstall",
)
def uninstall(terminal: Terminal, name: str, is_dry_run: bool, **values: Any) -> int:
    """Take a worker's service away; its home stays."""
    # A service is found by its name and its home; which gateway it joins is of no matter.
    service = _plan(name, {**values, "join": "tcp://127.0.0.1:5555"})
    terminal = Terminal.now()
    from zscrape.ops.service import uninstall as remove_files

    was_there = service.unit.exists()
    faults = remove_files(service) if was_there and not is_dry_run else []
    if terminal.is_json:
        document = _document(service, [*service.stop, *service.forget], is_started=False)
        terminal.answer({**document, "was_there": was_there, "warnings": list(map(str, faults))})
        return OK
    for fault in faults:
        terminal.note("cli.worker.uninstall.fault", command=fault.source, reason=fault.reason)
    key = "done" if was_there else "none"
    key = "dry" if was_there and is_dry_run else key
    fields = {"unit": service.unit, "settings": service.settings, "home": service.settings.parent}
    terminal.say(f"cli.worker.uninstall.{key}", **fields)
    return OK


def _plan(name: str, values: dict[str, Any]) -> Service:
    from zscrape.ops.service import SYSTEM_HOME, default_init, plan_worker

    is_user: bool | None = values.pop("is_user")
    init = values.pop("init") or default_init()
    if is_user is None:
        is_user = os.geteuid() != 0
    if values["home"] is None and not is_user and "ZSCRAPE_HOME" not in os.environ:
        values["home"] = SYSTEM_HOME
    settings = read_worker_settings(**values)
    lang = Terminal.now().lang
    return plan_worker(settings, name=name, is_user=is_user, init=init, lang=lang)


def _document(service: Service, commands: list[list[str]], *, is_started: bool) -> dict[str, Any]:
    return {
        "name": service.name,
        "unit": service.unit,
        "unit_text": service.unit_text,
        "settings": service.settings,
        "variables": sorted(service.environ),
        "commands": [shlex.join(command) for command in commands],
        "is_started": is_started,
    }


def _show(terminal: Terminal, service: Service) -> None:
    from zscrape.ops.service import settings_text

    for path, content in (
        (service.unit, service.unit_text),
        (Path(service.settings), settings_text(service)),
    ):
        terminal.plain(f"# {path}")
        terminal.plain(content)
    if service.environ:
        terminal.plain(f"# {service.variables}")
        terminal.plain("".join(f"{name}=...\n" for name in service.environ))


def _commands(terminal: Terminal, commands: list[list[str]]) -> None:
    for command in commands:
        terminal.plain("  " + shlex.join(command))
