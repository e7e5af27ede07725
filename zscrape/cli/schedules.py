"""`schedules add list show pause resume trigger remove occurrences`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, Final

import click

from zscrape.cli.parameters import read_parameters
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, Flag, verb
from zscrape.client import Document

_SCHEDULE: Final = click.Argument(["schedule"])
_OVERLAPS: Final = ("skip", "queue_one", "queue_all", "replace", "allow")
_MISFIRES: Final = ("run_last", "skip", "all")
_SECONDS: Final = click.FloatRange(0, 86_400)
_STATUSES: Final = ("fired", "skipped_due_to_lock", "missed", "failed_to_start", "claimed")
# Options that are fields of the body under the same name.
_FIELDS: Final = (
    *("name", "cron", "interval", "timezone", "jitter", "hours", "start", "end"),
    *("overlap", "misfire", "misfire_window", "pause_on_failure", "paused"),
    *("timeout", "priority", "tags", "lock_key"),
)
_FACTS: Final = (
    *("name", "id", "script_name", "version", "parameters", "cron", "interval", "timezone"),
    *("jitter", "hours", "start", "end", "overlap", "misfire", "misfire_window"),
    *("pause_on_failure", "failure_count", "paused", "pause_reason", "timeout", "priority"),
    *("tags", "lock_key", "client", "created_at", "updated_at"),
)


@verb(
    "add",
    click.Argument(["name"]),
    click.Argument(["target"]),
    Flag(["--cron"], help="cli.option.cron"),
    Flag(["--every", "interval"], help="cli.option.every"),
    Flag(["--zone", "timezone"], help="cli.option.zone"),
    Flag(["-p", "--param", "given"], multiple=True, help="cli.option.param"),
    Flag(["--jitter"], type=_SECONDS, help="cli.option.jitter"),
    Flag(["--hours"], multiple=True, help="cli.option.hours"),
    Flag(["--start"], help="cli.option.start"),
    Flag(["--end"], help="cli.option.end"),
    Flag(["--overlap"], type=click.Choice(_OVERLAPS), help="cli.option.overlap"),
    Flag(["--misfire"], type=click.Choice(_MISFIRES), help="cli.option.misfire"),
    Flag(["--misfire-window"], type=click.FloatRange(0), help="cli.option.misfire_window"),
    Flag(["--pause-on-failure"], type=click.IntRange(0, 1_000), help="cli.option.pause_on_failure"),
    Flag(["--paused"], is_flag=True, help="cli.option.paused"),
    Flag(["--timeout"], type=click.FloatRange(0, 86_400, min_open=True), help="cli.option.timeout"),
    Flag(["--priority"], type=click.IntRange(-100, 100), help="cli.option.priority"),
    Flag(["--tag", "tags"], multiple=True, help="cli.option.task_tag"),
    Flag(["--lock-key"], help="cli.option.lock_key"),
    Flag(["--yes", "-y", "is_sure"], is_flag=True, help="cli.option.yes"),
    Flag(["--dry-run", "is_dry_run"], is_flag=True, help="cli.option.dry_run_schedule"),
    *remote_options(),
    help_key="cli.schedules.add",
)
def add(terminal: Terminal, **values: Any) -> int:
    """Show when a schedule would be due, then keep it."""
    name, _, version = values.pop("target").partition("@")
    is_sure, is_dry_run = values.pop("is_sure"), values.pop("is_dry_run")
    given = values.pop("given")
    asked: Document = {field: values.pop(field) for field in _FIELDS}
    asked = {field: value for field, value in asked.items() if value not in (None, (), False)}
    asked["script_name"] = name
    if version:
        asked["version"] = version
    with open_client(terminal, **values) as client:
        asked["parameters"] = read_parameters(given, lambda: client.schema(name))
        preview = client.preview_schedule(asked)
        if is_dry_run:
            return _show_preview(terminal, preview)
        if not terminal.is_json:
            _show_next(terminal, preview["next"])
            if not is_sure and sys.stdin.isatty():
                click.confirm(terminal.words("cli.schedules.keep", name=asked["name"]), abort=True)
        made = client.add_schedule(asked)
    if terminal.is_json:
        terminal.answer(made)
    terminal.say("cli.schedules.added", name=made["name"])
    return OK


def _show_preview(terminal: Terminal, preview: Document) -> int:
    if terminal.is_json:
        terminal.answer(preview)
    else:
        _show_next(terminal, preview["next"])
    return OK


def _show_next(terminal: Terminal, moments: list[str]) -> None:
    """Show the next moments on the clocks of the schedule, with the day of the week."""
    rows = [[_moment(each), _weekday(terminal, each)] for each in moments]
    terminal.table(terminal.columns("next", "weekday"), rows)


def _weekday(terminal: Terminal, moment: str) -> str:
    days = terminal.words("cli.schedules.weekdays").split()
    return days[datetime.fromisoformat(moment).weekday()]


@verb(
    "list",
    Flag(["--script"], help="cli.option.script_schedules"),
    Flag(["--limit"], type=click.IntRange(1, 1000), default=100, help="cli.option.limit"),
    Flag(["--cursor"], help="cli.option.cursor"),
    *remote_options(),
    help_key="cli.schedules.list",
)
def list_schedules(
    terminal: Terminal, script: str | None, limit: int, cursor: str | None, **where: Any
) -> int:
    """Show the schedules by name."""
    with open_client(terminal, **where) as client:
        page = client.schedules(script=script, limit=limit, cursor=cursor)
    if terminal.is_json:
        terminal.answer(page)
        return OK
    if not page["schedules"]:
        terminal.note("cli.schedules.none")
        return OK
    columns = ("name", "script", "when", "zone", "next", "status")
    terminal.table(terminal.columns(*columns), [_row(terminal, one) for one in page["schedules"]])
    if page.get("next_cursor"):
        terminal.note("cli.tasks.more", cursor=page["next_cursor"])
    return OK


def _row(terminal: Terminal, schedule: Document) -> list[object]:
    status = "damaged" if schedule.get("damaged") else "active"
    if schedule.get("paused"):
        status = "paused_failures" if schedule.get("pause_reason") == "failures" else "paused"
    interval = schedule.get("interval")
    when = schedule.get("cron") or (f"{interval:g} s" if interval else "")
    return [
        schedule.get("name"),
        schedule.get("script_name"),
        when,
        schedule.get("timezone"),
        _moment(schedule.get("next_at")),
        terminal.words(f"cli.schedules.{status}"),
    ]


@verb("show", _SCHEDULE, *remote_options(), help_key="cli.schedules.show")
def show(terminal: Terminal, schedule: str, **where: Any) -> int:
    """Show one schedule and its next ten moments."""
    with open_client(terminal, **where) as client:
        found = client.schedule(schedule)
    if terminal.is_json:
        terminal.answer(found)
        return OK
    terminal.facts(
        (terminal.words(f"cli.fact.{name}"), found.get(name))
        for name in _FACTS
        if found.get(name) not in (False, {}, 0)
    )
    terminal.plain()
    _show_next(terminal, found.get("next", []))
    return OK


@verb("pause", _SCHEDULE, *remote_options(), help_key="cli.schedules.pause")
def pause(terminal: Terminal, schedule: str, **where: Any) -> int:
    """Let due moments pass until somebody resumes it."""
    return _act(terminal, schedule, "pause", **where)


@verb("resume", _SCHEDULE, *remote_options(), help_key="cli.schedules.resume")
def resume(terminal: Terminal, schedule: str, **where: Any) -> int:
    """Go on with the next moment."""
    return _act(terminal, schedule, "resume", **where)


def _act(terminal: Terminal, schedule: str, act: str, **where: Any) -> int:
    with open_client(terminal, **where) as client:
        found = client.act_on_schedule(schedule, act)
    if terminal.is_json:
        terminal.answer(found)
    elif act == "pause":
        terminal.say("cli.schedules.now_paused", name=found["name"])
    else:
        terminal.say(
            "cli.schedules.now_active", name=found["name"], next=_moment(found.get("next_at"))
        )
    return OK


@verb("trigger", _SCHEDULE, *remote_options(), help_key="cli.schedules.trigger")
def trigger(terminal: Terminal, schedule: str, **where: Any) -> int:
    """Run a schedule now; write the id of its task."""
    with open_client(terminal, **where) as client:
        task = client.act_on_schedule(schedule, "trigger")
    if terminal.is_json:
        terminal.answer(task)
    else:
        click.echo(task["request_id"])
        terminal.note("cli.run.detached", request_id=task["request_id"])
    return OK


@verb("remove", _SCHEDULE, *remote_options(), help_key="cli.schedules.remove")
def remove(terminal: Terminal, schedule: str, **where: Any) -> int:
    """Forget a schedule and what became of its moments."""
    with open_client(terminal, **where) as client:
        found = client.remove_schedule(schedule)
    if terminal.is_json:
        terminal.answer(found)
    terminal.say("cli.schedules.removed", name=found["name"])
    return OK


@verb(
    "occurrences",
    _SCHEDULE,
    Flag(["--status"], type=click.Choice(_STATUSES), help="cli.option.occurrence_status"),
    Flag(["--limit"], type=click.IntRange(1, 1000), default=20, help="cli.option.limit"),
    Flag(["--cursor"], help="cli.option.cursor"),
    *remote_options(),
    help_key="cli.schedules.occurrences",
)
def occurrences(
    terminal: Terminal,
    schedule: str,
    status: str | None,
    limit: int,
    cursor: str | None,
    **where: Any,
) -> int:
    """Show what became of each due moment, newest first."""
    with open_client(terminal, **where) as client:
        page = client.occurrences(schedule, status=status, limit=limit, cursor=cursor)
    if terminal.is_json:
        terminal.answer(page)
        return OK
    if not page["occurrences"]:
        terminal.note("cli.schedules.no_occurrences")
        return OK
    terminal.table(
        terminal.columns("due", "status", "id", "detail"),
        [
            [_moment(each["due_at"]), each["status"], each["request_id"], each["message"]]
            for each in page["occurrences"]
        ],
    )
    if page.get("next_cursor"):
        terminal.note("cli.tasks.more", cursor=page["next_cursor"])
    return OK


def _moment(told: object) -> str:
    """Return a moment with its offset, readable; an empty text for none."""
    return str(told).replace("T", " ").replace("Z", "+00:00") if told else ""
