"""What the command line writes.

Tables and colours on a terminal, plain text into a pipe, and with `--json` nothing but JSON
on standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from zscrape.cli import manner
from zscrape.cli.manner import Manner
from zscrape.errors import ZscrapeError
from zscrape.messages import text

if TYPE_CHECKING:
    from rich.console import Console

_STATUS_STYLES = {
    "completed": "green",
    "running": "cyan",
    "assigned": "cyan",
    "queued": "yellow",
    "waiting": "yellow",
    "failed": "red",
    "timed_out": "red",
    "cancelled": "bright_black",
    "live": "green",
    "draining": "yellow",
    "suspect": "red",
    "expected": "yellow",
    "ok": "green",
    "warning": "yellow",
    "broken": "red",
}
_LEAST_WIDTH = 12  # below which words fall apart; a table that needs less takes less


class Terminal:
    """Standard output and standard error, in one manner of speaking."""

    def __init__(self, manner: Manner) -> None:
        self.lang = manner.lang
        self.is_json = manner.is_json
        self.is_verbose = manner.is_verbose

    @classmethod
    def now(cls) -> Terminal:
        """Return a terminal in the manner of speaking that holds now."""
        return cls(manner.current())

    @property
    def is_live(self) -> bool:
        """True iff a person watches: progress may be drawn on standard error."""
        return not self.is_json and sys.stderr.isatty()

    @cached_property
    def console(self) -> Console:
        """Rich's view of standard output; only for a terminal."""
        from rich.console import Console

        return Console(highlight=False)

    @cached_property
    def error_console(self) -> Console:
        """Rich's view of standard error; only for a terminal."""
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def words(self, key: str, /, **fields: object) -> str:
        """Return the catalogue's words in the language of this terminal."""
        return text(key, self.lang, **fields)

    # ---- to machines -----------------------------------------------------------------

    def answer(self, document: Any) -> None:
        """Write the one JSON document of this verb, indented where a person reads it."""
        import msgspec

        encoded = msgspec.json.encode(document, enc_hook=str)
        if sys.stdout.isatty():
            encoded = msgspec.json.format(encoded, indent=2)
        click.echo(encoded)

    def line(self, document: Any) -> None:
        """Write one JSON line and let it out at once."""
        import msgspec

        click.echo(msgspec.json.encode(document, enc_hook=str))
        sys.stdout.flush()

    # ---- to people -------------------------------------------------------------------

    def say(self, key: str, **fields: object) -> None:
        """Tell a person, on standard output; nothing with `--json`."""
        if not self.is_json:
            click.echo(self.words(key, **fields))

    def note(self, key: str, **fields: object) -> None:
        """Tell a person beside the answer, on standard error; nothing with `--json`."""
        if not self.is_json:
            click.secho(self.words(key, **fields), err=True, dim=True)

    def plain_note(self, line: str) -> None:
        """Write a line that needs no words of ours beside the answer; nothing with `--json`."""
        if not self.is_json:
            click.secho(harmless(line), err=True, dim=True)

    def plain(self, line: str = "") -> None:
        """Write a line that needs no words of ours; nothing with `--json`."""
        if not self.is_json:
            click.echo(line)

    def facts(self, rows: Iterable[tuple[str, object]]) -> None:
        """Write names and values, one pair a line, names aligned; empty values are left out."""
        kept = [(name, value) for name, value in rows if value not in (None, "", [], ())]
        width = max((cell_width(name) for name, _ in kept), default=0)
        for name, value in kept:
            padded = name + " " * (width - cell_width(name))
            click.echo(f"{click.style(padded, dim=True)}  {paint(str(value))}")

    def columns(self, *names: str) -> list[str]:
        """Return the headings of a table."""
        return [self.words(f"cli.column.{name}") for name in names]

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write a table: drawn on a terminal that is wide enough, else in aligned columns."""
        cells = [[show(value) for value in row] for row in rows]
        widths = [
            max(cell_width(line[number]) for line in [list(columns), *cells])
            for number in range(len(columns))
        ]
        least = [widths[0], *(min(width, _LEAST_WIDTH) for width in widths[1:])] if widths else []
        if sys.stdout.isatty() and sum(least) + 2 * len(least) <= self.console.width:
            self._draw(columns, cells, least)
            return
        for line in [list(columns), *cells]:
            padded = (
                value + " " * (width - cell_width(value))
                for value, width in zip(line, widths, strict=True)
            )
            click.echo("  ".join(padded).rstrip())

    def _draw(self, columns: Sequence[str], rows: list[list[str]], least: list[int]) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0)
        )
        for number, (column, width) in enumerate(zip(columns, least, strict=True)):
            # The first column is the name or the id, which is copied: it stays in one piece.
            table.add_column(column, overflow="fold", no_wrap=number == 0, min_width=width)
        for row in rows:
            table.add_row(*(Text(value, style=_STATUS_STYLES.get(value, "")) for value in row))
        self.console.print(table)

    def blame(self, told: str) -> None:
        """Write one line that says what went wrong, on standard error."""
        mark = click.style(self.words("cli.error"), fg="red", bold=True)
        click.echo(f"{mark} {harmless(told)}", err=True)

    # ---- failures --------------------------------------------------------------------

    def fail(self, error: ZscrapeError) -> None:
        """Tell of an error: what happened, and the next step."""
        told = getattr(error, "words", None)  # a gateway's, in our language already
        problems = getattr(error, "problems", None) or []
        if told is None:
            told = self.words(error.text_key, **error.fields)
            problems = self._told(problems)
        self.refuse(error.code, told, problems=problems, request_id=_request_id(error))

    def _told(self, problems: Sequence[dict[str, str]]) -> Sequence[dict[str, str]]:
        if not problems:
            return problems
        from zscrape.scripts.problems import told

        return told(problems, self.lang)

    def refuse(
        self,
        code: str,
        told: str,
        *,
        problems: Sequence[dict[str, str]] = (),
        request_id: str = "",
    ) -> None:
        """Tell that a verb could not do what was asked."""
        if self.is_json:
            error: dict[str, Any] = {"code": code, "message": told}
            if problems:
                error["problems"] = list(problems)
            if request_id:
                error["request_id"] = request_id
            self.answer({"error": error})
            return
        self.blame(told)
        for problem in problems:
            click.echo(f"  {problem.get('pointer', '')}: {problem.get('reason', '')}", err=True)
        if self.is_verbose and request_id:
            click.echo(f"  request_id={request_id}", err=True)

    def usage(self, error: click.UsageError) -> None:
        """Tell of a wrong command line, and where its help is."""
        told = usage_words(error, self.lang)
        if self.is_json:
            self.answer({"error": {"code": "usage", "message": told}})
            return
        self.blame(told)
        if error.ctx is not None:
            hint = text("cli.usage.hint", self.lang, command=error.ctx.command_path)
            click.secho(hint, err=True, dim=True)


def _request_id(error: ZscrapeError) -> str:
    return str(getattr(error, "request_id", "") or "")


def usage_words(error: click.UsageError, lang: str) -> str:
    """Return a usage error in our words where we have some, else in click's."""
    match error:
        case click.NoSuchOption():
            nearest = ", ".join(error.possibilities or ())
            key = "cli.usage.no_option.nearest" if nearest else "cli.usage.no_option"
            return text(key, lang, option=error.option_name, nearest=nearest)
        case click.MissingParameter(param=click.Parameter() as parameter):
            return text("cli.usage.missing", lang, name=_parameter_name(parameter))
        case click.BadParameter(param=click.Parameter() as parameter) if error.ctx:
            return text(
                "cli.usage.bad", lang, name=_parameter_name(parameter), reason=error.message
            )
    return error.format_message()


def _parameter_name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(click.Context(click.Command("")))
    return parameter.opts[0]


# ---- cells ---------------------------------------------------------------------------


def show(value: object) -> str:
    """Return a value as it stands in a cell: on one line, without control characters."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        value = ", ".join(value)
    if isinstance(value, bool | dict | list | tuple):
        import msgspec

        value = msgspec.json.encode(value, enc_hook=str).decode()
    # Whatever a page or a script says must not move the cursor or repaint the terminal.
    return "".join(" " if mark in "\r\n\t" else mark for mark in str(value) if is_harmless(mark))


def is_harmless(mark: str) -> bool:
    """True iff a character cannot control a terminal (C0 and C1 controls can)."""
    return mark in "\r\n\t" or not (ord(mark) < 32 or 127 <= ord(mark) < 160)


def harmless(line: str) -> str:
    """Return text from outside without the characters that control a terminal."""
    return "".join(mark for mark in line if is_harmless(mark))


def paint(value: str) -> str:
    """Colour a status word; anything else stays as it is."""
    style = _STATUS_STYLES.get(value)
    return click.style(value, fg=style) if style else value


def cell_width(value: str) -> int:
    """Return how many columns a text takes: Hangul syllables and the like take two."""
    if value.isascii():
        return len(value)
    import unicodedata

    return sum(
        0 if unicodedata.combining(mark) else 2 if unicodedata.east_asian_width(mark) in "WF" else 1
        for mark in value
    )
