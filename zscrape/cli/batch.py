"""`batch`: one task for each target of a file."""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import Struct

from zscrape.cli.batchview import BatchView
from zscrape.cli.operational import operational
from zscrape.cli.parameters import read_parameters
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import Flag, UsageFault
from zscrape.errors import ConfigError

if TYPE_CHECKING:
    from zscrape.client import Client, Document
    from zscrape.ops.batch import Pace
    from zscrape.ops.journal import Journal, Plan
    from zscrape.ops.operation import Operation
    from zscrape.ops.targets import Target

_CONCURRENCY: Final = 64  # enough that no slot waits; how many run at once the slots say
_PACE: Final = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)?([smh])")
_UNITS_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SHOWN_COUNT: Final = 20


class _Asked(Struct, frozen=True):
    """The options of one batch."""

    target: str | None
    targets: str | None
    given: tuple[str, ...]
    form: str | None
    concurrency: int
    pace: str | None
    resume: str | None
    groups: tuple[str, ...]
    group_by: str
    name_by: str | None
    output: Path | None
    task_timeout: float | None
    priority: int | None
    tags: tuple[str, ...]

    def check(self) -> None:
        """Refuse options that do not go together."""
        if self.targets is None and (self.target is not None or self.resume is None):
            raise UsageFault("cli.usage.batch", ctx=click.get_current_context())
        if self.resume is None:
            return
        of_tasks = {
            "--task-timeout-sec": self.task_timeout is not None,
            "--priority": self.priority is not None,
            "--tag": bool(self.tags),
            "-p": bool(self.given) and self.targets is None,
        }
        for option in (name for name, is_given in of_tasks.items() if is_given):
            raise UsageFault("cli.usage.resume", option=option, ctx=click.get_current_context())

    @property
    def wanted_groups(self) -> tuple[str, ...]:
        """The groups that are asked for; empty: all."""
        return tuple(name for each in self.groups for name in each.split(",") if name)


@operational(
    "batch",
    click.Argument(["target"], required=False, metavar="[SCRIPT]"),
    click.Argument(["targets"], required=False, metavar="[TARGETS]"),
    Flag(["-p", "--param", "given"], multiple=True, help="cli.option.batch_param"),
    Flag(
        ["--format", "form"],
        type=click.Choice(["jsonl", "csv", "json"]),
        help="cli.option.format_targets",
    ),
    Flag(
        ["--concurrency"],
        type=click.IntRange(1, 1_000),
        default=_CONCURRENCY,
        show_default=True,
        metavar="N",
        help="cli.option.concurrency",
    ),
    Flag(["--pace"], metavar="RATE", help="cli.option.pace"),
    Flag(["--resume"], metavar="RUN_ID", help="cli.option.resume"),
    Flag(["--group", "groups"], multiple=True, help="cli.option.group"),
    Flag(["--group-by"], default="group", show_default=True, help="cli.option.group_by"),
    Flag(["--name-by"], help="cli.option.name_by"),
    Flag(
        ["--output", "-o"],
        type=click.Path(path_type=Path, dir_okay=False),
        help="cli.option.batch_output",
    ),
    Flag(
        ["--task-timeout-sec", "task_timeout"],
        type=click.FloatRange(0, 86_400, min_open=True),
        metavar="N",
        help="cli.option.task_timeout",
    ),
    Flag(["--priority"], type=click.IntRange(-100, 100), help="cli.option.priority"),
    Flag(["--tag", "tags"], multiple=True, help="cli.option.task_tag"),
    *remote_options(),
)
def batch(terminal: Terminal, operation: Operation, **values: Any) -> Document:
    """Run one task for each target, and tell of each how it ended."""
    asked = _Asked(**{name: values.pop(name) for name in _Asked.__struct_fields__})
    asked.check()
    pace = None if asked.pace is None else pace_of(asked.pace)
    from zscrape.ops.collect import check_form

    if asked.output is not None:
        check_form(asked.output, terminal.lang)
    with open_client(terminal, **values) as client:
        operation.masks.hide(client.gateway.key)
        plan, targets = _planned(terminal, operation, asked, client)
        chosen = operation.chosen(_of_groups(targets, asked.wanted_groups, terminal.lang))
        operation.begin(f"{plan.script_name}-{plan.targets_digest[:8]}")
        if operation.is_dry_run:
            return _foretell(terminal, operation, client, plan, chosen)
        return _run(
            terminal, operation, client, asked, _journal(operation, plan, targets), chosen, pace
        )


def pace_of(given: str) -> Pace:
    """Read `5/s`, `30/m`, `1/10s`.

    Raises:
        UsageFault: It is no rate.
    """
    from zscrape.ops.batch import Pace

    found = _PACE.fullmatch(given)
    if found is None or not float(found[1]) or not float(found[2] or 1):
        raise UsageFault("cli.usage.pace", given=given, ctx=click.get_current_context())
    pace = Pace(float(found[1]), float(found[2] or 1) * _UNITS_S[found[3]])
    if not math.isfinite(pace.gap_s):
        raise UsageFault("cli.usage.pace", given=given, ctx=click.get_current_context())
    return pace


# ---- before --------------------------------------------------------------------------


def _planned(
    terminal: Terminal, operation: Operation, asked: _Asked, client: Client
) -> tuple[Plan, list[Target]]:
    """Return what is to be run: as it is given, or as the run that is taken up has it.

    Raises:
        ConfigError: The targets cannot be read, or the run does not have them.
    """
    from zscrape.ops.journal import Journal, Plan

    kept = None
    if asked.resume is not None:
        operation.rename(asked.resume)
        if (
            not re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{4}", asked.resume)
            or not (operation.folder / "run.json").exists()
        ):
            reason = terminal.words(
                "cli.batch.no_run", run_id=asked.resume, folder=operation.folder.parent
            )
            raise ConfigError(source="--resume", reason=reason)
        kept = Journal.load(operation.folder)
        if asked.target is None:
            return kept.plan, kept.targets
    name, _, version = (asked.target or "").partition("@")
    targets = _read(terminal, asked, client, name, version or None)
    plan = Plan(
        script_name=name,
        targets_digest=_digest_of(targets),
        version=version or None,
        timeout=asked.task_timeout,
        priority=asked.priority,
        tags=asked.tags,
        has_items=asked.output is not None,
    )
    if kept is None:
        return plan, targets
    same = (kept.plan.script_name, kept.plan.version, kept.plan.targets_digest)
    if same != (plan.script_name, plan.version, plan.targets_digest):
        reason = terminal.words("cli.batch.other_input", run_id=asked.resume)
        raise ConfigError(source="--resume", reason=reason)
    return kept.plan, kept.targets


def _read(
    terminal: Terminal, asked: _Asked, client: Client, name: str, version: str | None
) -> list[Target]:
    from zscrape.ops.targets import Template, make_targets, read_source

    place = str(asked.targets)
    try:
        content = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
    except OSError as error:
        raise ConfigError(source=place, reason=error.strerror or str(error)) from error
    source = read_source(content, place, asked.form, terminal.lang)
    schema = client.schema(name, version)

    def read(pieces: Sequence[str]) -> Document:
        return read_parameters(pieces, lambda: schema)

    return make_targets(
        source,
        Template(asked.given, asked.name_by, asked.group_by),
        read,
        names=schema.get("properties", {}),
        lang=terminal.lang,
    )


def _digest_of(targets: Sequence[Target]) -> str:
    """Return what stands for these targets, in whatever order they come."""
    keys = sorted({each.key for each in targets})
    return hashlib.sha256("".join(keys).encode()).hexdigest()[:16]


def _of_groups(targets: list[Target], groups: tuple[str, ...], lang: str) -> list[Target]:
    from zscrape.messages import text

    if not groups:
        return targets
    chosen = [each for each in targets if each.group in groups]
    if not chosen:
        known = ", ".join(sorted({each.group for each in targets if each.group})) or "-"
        reason = text("cli.batch.no_group", lang, groups=", ".join(groups), known=known)
        raise ConfigError(source="--group", reason=reason)
    return chosen


def _journal(operation: Operation, plan: Plan, targets: list[Target]) -> Journal:
    from zscrape.ops.journal import Journal

    if (operation.folder / "run.json").exists():
        return Journal.load(operation.folder)
    return Journal.create(operation.folder, plan, targets)


def _foretell(
    terminal: Terminal,
    operation: Operation,
    client: Client,
    plan: Plan,
    targets: Sequence[Target],
) -> Document:
    """Tell what would be run; parameters are checked as far as the schema goes."""
    from zscrape.scripts.problems import told
    from zscrape.scripts.schema import Validator

    validator = Validator(client.schema(plan.script_name, plan.version))
    for target in targets:
        problems = told(validator.problems(target.parameters), terminal.lang)
        reason = "; ".join(f"{each['pointer']} {each['reason']}" for each in problems)
        fate, why = ("failed", f"params_invalid: {reason}") if problems else ("succeeded", "")
        operation.end(target.name, fate, why)  # type: ignore[arg-type]  # one of two words
    if not terminal.is_json:
        terminal.table(
            terminal.columns("target", "group", "parameters"),
            [[each.name, each.group, each.parameters] for each in targets[:_SHOWN_COUNT]],
        )
        terminal.note("cli.batch.dry", count=len(targets), script=plan.script_name)
    return {"script_name": plan.script_name, "version": plan.version}


# ---- the run -------------------------------------------------------------------------


def _run(
    terminal: Terminal,
    operation: Operation,
    client: Client,
    asked: _Asked,
    journal: Journal,
    targets: Sequence[Target],
    pace: Pace | None,
) -> Document:
    from zscrape.ops.batch import Batch

    run_id = operation.summary.run_id
    title = f"{journal.plan.script_name} {run_id}"
    with journal:
        try:
            with BatchView(terminal, operation, title) as view:
                Batch(
                    operation,
                    client,
                    journal,
                    concurrency=asked.concurrency,
                    pace=pace,
                    on_change=view.show,
                ).run(targets)
        finally:
            # However it ended: what was brought is worth having.
            written = _write(terminal, journal, asked.output)
            if len(journal.done) < len({each.key for each in targets}):
                terminal.note("cli.batch.resume", run_id=run_id)
    if not terminal.is_json:
        _tell_failed(terminal, operation)
    return {"script_name": journal.plan.script_name, "version": journal.plan.version, **written}


def _write(terminal: Terminal, journal: Journal, path: Path | None) -> Document:
    if path is None:
        return {}
    from zscrape.ops.collect import write_rows

    def rows() -> Iterator[Any]:
        for _, brought in journal.brought():
            yield from brought

    count = write_rows(path, rows(), terminal.lang)
    terminal.note("cli.batch.written", path=path, count=count)
    return {"output": str(path), "row_count": count}


def _tell_failed(terminal: Terminal, operation: Operation) -> None:
    for error in operation.summary.errors[:_SHOWN_COUNT]:
        terminal.blame(f"{error.target}: {error.reason}")
    more_count = len(operation.summary.errors) - _SHOWN_COUNT
    if more_count > 0:
        terminal.note("cli.more", count=more_count)
