"""What every verb shares: help in both languages, common options, exit codes.

Exit codes (contract section 5): 0 all succeeded, 1 fatal or all failed, 2 some failed,
3 invalid input or environment, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from zscrape import spelling
from zscrape.cli import manner
from zscrape.cli.manner import words
from zscrape.cli.terminal import Terminal
from zscrape.errors import ConfigError, RequestError, ScriptError, ZscrapeError
from zscrape.messages import LANGUAGES

OK: Final = 0
FAILED: Final = 1
SOME_FAILED: Final = 2
INVALID: Final = 3
INTERRUPTED: Final = 130


class UsageFault(click.UsageError):
    """A usage error in the catalogue's words."""

    def __init__(self, key: str, *, ctx: click.Context | None = None, **fields: object) -> None:
        super().__init__(words(key, **fields), ctx)


class Flag(click.Option):
    """An option whose `help` is a key of the catalogue."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help in the language spoken now."""
        record = super().get_help_record(ctx)
        return (record[0], words(self.help)) if record and self.help else record


class _Spoken(click.Command):
    """A command whose `help` is a key of the catalogue; click's own headings are ours too."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, prefix=words("cli.usage") + " ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            for line in words(self.help or "").split("\n"):
                formatter.write_text(line)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None and isinstance(option, click.Option):
                is_help = "--help" in option.opts
                rows.append((record[0], words("cli.help")) if is_help else record)
        with formatter.section(words("cli.options")):
            formatter.write_dl(rows)

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence of the help."""
        return words(self.help or "").split("\n")[0]


class Verb(_Spoken):
    """One verb of the command line."""


class Family(_Spoken, click.Group):
    """Verbs of one noun, or the root: each is imported when it is needed.

    `lazy` says where a verb lives: `{"show": "zscrape.cli.tasks:show"}`.
    """

    def __init__(self, name: str, *, lazy: dict[str, str], **options: Any) -> None:
        super().__init__(name, **options)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the table."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one verb."""
        if cmd_name not in self._lazy:
            return None
        module, _, name = self._lazy[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options and the verbs under translated headings."""
        super().format_options(ctx, formatter)
        # From the catalogue, without importing the verbs: help must not cost their imports.
        prefix = "cli" if self.name == "zscrape" else f"cli.{self.name}"
        with formatter.section(words("cli.verbs")):
            formatter.write_dl(
                [(name, words(f"{prefix}.{name}").split("\n")[0]) for name in self._lazy]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that the arguments name; an unknown one is told with the nearest."""
        name = args[0]
        if name not in self._lazy and not name.startswith("-"):
            nearest = spelling.nearest(name, self._lazy)
            key = "cli.usage.no_verb.nearest" if nearest else "cli.usage.no_verb"
            raise UsageFault(key, name=name, nearest=nearest, ctx=ctx)
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and leave with one of the exit codes."""
        arguments = list(sys.argv[1:] if args is None else args)
        manner.foresee(arguments)
        call = super().main
        sys.exit(_guarded(lambda: call(arguments, "zscrape", complete_var, False, **extra)))


# ---- ends ----------------------------------------------------------------------------


def _guarded(call: Callable[[], Any]) -> int:
    """Run `call` and turn whatever ends it into words and an exit code."""
    try:
        answer = call()
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        Terminal.now().note("cli.interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost place: nothing is above
        return _tell(error)
    return answer if isinstance(answer, int) else OK


def _tell(error: Exception) -> int:
    terminal = Terminal.now()
    match error:
        case click.UsageError():
            terminal.usage(error)
            return INVALID
        case click.ClickException():
            terminal.refuse("failed", error.format_message())
        case ZscrapeError():
            terminal.fail(error)
            return exit_code(error)
        case BrokenPipeError():
            # The reader has gone, as in `| head`; what is buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        case ExceptionGroup():
            return _tell_group(error)
        case _:
            _tell_internal(error)
    return FAILED


def _tell_group(group: ExceptionGroup[Exception]) -> int:
    """Tell of what ended several things at once: ours if there is one, else the fault in us."""
    ours = group.subgroup(ZscrapeError)
    error = ours.exceptions[0] if ours else None
    if isinstance(error, ZscrapeError):
        Terminal.now().fail(error)
        return exit_code(error)
    _tell_internal(group)
    return FAILED


def _tell_internal(error: Exception) -> None:
    """Tell of a fault of zscrape itself, with the traceback that a report of it needs."""
    terminal = Terminal.now()
    terminal.refuse("internal", words("cli.internal", kind=type(error).__name__, reason=error))
    click.echo("".join(traceback.format_exception(error)), err=True)


def exit_code(error: ZscrapeError) -> int:
    """Return the exit code for an error: 3 where the caller can mend it, else 1."""
    if isinstance(error, RequestError | ScriptError | ConfigError):
        return INVALID
    status = getattr(error, "status", 0)
    if 400 <= status < 500 or error.code in ("gateway_unknown", "config_invalid"):
        return INVALID
    return FAILED


# ---- declaring -----------------------------------------------------------------------


def _set_lang(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value:
        manner.change(lang=value, asked_lang=value)


def _set_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        manner.change(is_json=True)


def _set_verbose(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        manner.change(is_verbose=True)


def common_options() -> list[click.Parameter]:
    """Options of every verb."""
    silent: dict[str, Any] = {"expose_value": False, "is_eager": True}
    return [
        Flag(["--json"], is_flag=True, help="cli.option.json", callback=_set_json, **silent),
        Flag(
            ["--lang"],
            type=click.Choice(LANGUAGES),
            help="cli.option.lang",
            callback=_set_lang,
            **silent,
        ),
        Flag(
            ["--verbose"], is_flag=True, help="cli.option.verbose", callback=_set_verbose, **silent
        ),
    ]


def home_option() -> click.Parameter:
    """`--home`."""
    return Flag(
        ["--home"], type=click.Path(path_type=Path, file_okay=False), help="cli.option.home"
    )


def config_option() -> click.Parameter:
    """`--config`."""
    return Flag(
        ["--config", "config_file"],
        type=click.Path(path_type=Path, dir_okay=False),
        help="cli.option.config",
    )


def verb(
    name: str, *parameters: click.Parameter, help_key: str | None = None
) -> Callable[[Callable[..., int]], Verb]:
    """Make a function a verb: it gets a `Terminal`, then its options, and returns the exit code."""

    def declare(function: Callable[..., int]) -> Verb:
        def call(**values: Any) -> int:
            return function(Terminal.now(), **values)

        return Verb(
            name,
            callback=call,
            params=[*parameters, *common_options()],
            help=help_key or f"cli.{name}",
        )

    return declare
