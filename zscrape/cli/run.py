"""`run`: a path runs on this machine, a name on the cluster."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from zscrape.cli.live import Live
from zscrape.cli.parameters import read_parameters
from zscrape.cli.remote import open_client, remote_options
from zscrape.cli.result import show_answer, write_data, write_files
from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import FAILED, INVALID, OK, Flag, UsageFault, config_option, verb
from zscrape.errors import ZscrapeError
from zscrape.onuse import on_use

if TYPE_CHECKING:
    import asyncio

    from zscrape.client import Client, Document
else:
    asyncio = on_use("asyncio")  # who asks a gateway has no loop

# Codes that the caller mends, not the script or the cluster.
_INPUT_CODES = ("params_invalid", "script_not_found", "version_not_found", "lock_held")


class _Asked(Struct, frozen=True):
    """The options of one run."""

    target: str
    given: tuple[str, ...]
    detach: bool
    follow: bool
    timeout: float | None
    max_age: float | None
    replay: str | None
    live: bool
    output: Path | None
    artifacts: Path | None

    def check(self) -> None:
        """Refuse options that do not go together."""
        if self.timeout is not None and not math.isfinite(self.timeout):
            raise UsageFault("cli.usage.bad", name="--timeout", reason=str(self.timeout))
        if not (self.target or self.replay):
            raise UsageFault("cli.usage.missing", name="TARGET")
        if self.live and not self.replay:
            raise UsageFault("cli.usage.live_alone")
        if self.replay:
            self._check_replay()
        if self.max_age is not None and is_path(self.target):
            raise UsageFault("cli.usage.max_age_path")
        if self.detach and (self.follow or self.output or self.artifacts):
            raise UsageFault("cli.usage.detach")
        if self.detach and is_path(self.target):
            raise UsageFault("cli.usage.detach_path")

    def _check_replay(self) -> None:
        if self.target and not is_path(self.target):
            raise UsageFault("cli.usage.replay_name")
        if self.detach:
            raise UsageFault("cli.usage.replay_detach")


@verb(
    "run",
    click.Argument(["target"], required=False, default=""),
    Flag(["-p", "--param", "given"], multiple=True, help="cli.option.param"),
    Flag(["--detach"], is_flag=True, help="cli.option.detach"),
    Flag(["--follow", "-f"], is_flag=True, help="cli.option.follow"),
    Flag(
        ["--timeout"],
        type=click.FloatRange(0, 86_400, min_open=True),
        help="cli.option.timeout",
    ),
    Flag(
        ["--max-age"],
        type=click.FloatRange(0, 30 * 86_400),
        help="cli.option.max_age",
    ),
    Flag(["--replay"], help="cli.option.replay"),
    Flag(["--live"], is_flag=True, help="cli.option.live"),
    Flag(
        ["--output", "-o"],
        type=click.Path(path_type=Path, dir_okay=False),
        help="cli.option.output",
    ),
    Flag(
        ["--artifacts"],
        type=click.Path(path_type=Path, file_okay=False),
        help="cli.option.artifacts",
    ),
    *remote_options(),
    config_option(),
)
def run(terminal: Terminal, **values: Any) -> int:
    """Run a script and show what it brought."""
    asked = _Asked(**{name: values.pop(name) for name in _Asked.__struct_fields__})
    config_file = values.pop("config_file")
    asked.check()
    if asked.replay:
        return _replay_here(terminal, asked, config_file, values)
    if is_path(asked.target):
        return _run_here(terminal, asked, config_file, values["home"])
    with open_client(terminal, **values) as client:
        return _run_there(terminal, asked, client)


def is_path(target: str) -> bool:
    """True iff a target is a path: it has a separator, ends in `.py`, or starts with a dot."""
    return bool({"/", "\\"} & set(target)) or target.endswith(".py") or target[:1] in (".", "~")


def _run_here(
    terminal: Terminal, asked: _Asked, config_file: Path | None, home: Path | None
) -> int:
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()  # the file may have said in which language to speak
    from zscrape.ops.local import run_here

    with Live(terminal, Path(asked.target).name, shows_records=asked.follow) as live:
        ran = asyncio.run(
            run_here(
                Path(asked.target),
                lambda schema: read_parameters(asked.given, lambda: schema),
                settings,
                on_event=live.show,
                timeout_s=asked.timeout,
                lang=terminal.lang,
            )
        )
    return _finish(terminal, asked, ran.envelope, ran.artifacts)


def _replay_here(
    terminal: Terminal, asked: _Asked, config_file: Path | None, where: dict[str, Any]
) -> int:
    from zscrape.cli.replaying import Replayed, replay_here

    replayed = Replayed(
        source=asked.replay or "",
        target=asked.target,
        given=asked.given,
        is_live=asked.live,
        follow=asked.follow,
        timeout_s=asked.timeout,
    )
    ran = replay_here(terminal, replayed, config_file, where)
    return _finish(Terminal.now(), asked, ran.envelope, ran.artifacts)


def _run_there(terminal: Terminal, asked: _Asked, client: Client) -> int:
    name, _, version = asked.target.partition("@")
    parameters = read_parameters(asked.given, lambda: client.schema(name))
    task = client.submit(
        name,
        parameters,
        version=version or None,
        timeout=asked.timeout,
        max_age=asked.max_age,
    )
    task_id = str(task["request_id"])
    reused = task.get("reused")
    if reused:
        terminal.note("cli.run.reused", request_id=task_id, age_s=float(reused["age"]))
    if asked.detach:
        if terminal.is_json:
            terminal.answer(task)
        else:
            click.echo(task_id)
            terminal.note("cli.run.detached", request_id=task_id)
        return OK
    try:
        envelope = _follow(terminal, client, task_id, asked)
    except KeyboardInterrupt:
        if not reused:  # it is somebody else's
            _cancel(terminal, client, task_id)
        raise
    names = [saved["name"] for saved in envelope.get("artifacts") or ()] if asked.artifacts else []
    return _finish(
        terminal, asked, envelope, {name: client.artifact(task_id, name) for name in names}
    )


def _cancel(terminal: Terminal, client: Client, task_id: str) -> None:
    """End a task that was interrupted here; a gateway that does not answer is only told of."""
    try:
        client.cancel(task_id)
    except ZscrapeError as error:
        terminal.note("cli.run.not_cancelled", request_id=task_id, reason=error)
    else:
        terminal.note("cli.run.cancelled", request_id=task_id)


def _follow(terminal: Terminal, client: Client, task_id: str, asked: _Asked) -> Document:
    """Show a task of the cluster until it ends, and return its envelope with the data."""
    envelope: Document = {}
    with Live(terminal, asked.target, shows_records=asked.follow) as live:
        for event in client.events(task_id):
            live.show(event)
            if event.kind == "result":
                envelope = event.data
    if envelope.get("status") == "completed" and "links" in envelope:  # too large to be inline
        envelope["data"] = msgspec.json.decode(client.result(task_id))
    return envelope


def _finish(terminal: Terminal, asked: _Asked, envelope: Document, files: dict[str, bytes]) -> int:
    is_completed = envelope.get("status") == "completed"
    if terminal.is_json and asked.follow:
        terminal.line({"event": "result", "data": envelope})
    elif terminal.is_json:
        terminal.answer(envelope)
    else:
        show_answer(terminal, envelope, shows_data=asked.output is None)
    if asked.output is not None and is_completed:
        write_data(asked.output, envelope.get("data"))
        terminal.note("cli.run.written", path=asked.output)
    if asked.artifacts is not None:
        for path in write_files(asked.artifacts, files):
            terminal.note("cli.run.written", path=path)
    elif envelope.get("artifacts"):
        names = ", ".join(str(saved["name"]) for saved in envelope["artifacts"])
        terminal.note("cli.run.artifacts", names=names)
    if is_completed:
        return OK
    error = envelope.get("error")
    code = error.get("code") if isinstance(error, dict) else ""
    return INVALID if code in _INPUT_CODES else FAILED
