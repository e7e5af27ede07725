"""`completion`: what lets a shell complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import OK, verb


@verb("completion", click.Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"])))
def completion(terminal: Terminal, shell: str) -> int:
    """Print the shell's own code, which asks `zscrape` at each completion."""
    from zscrape.cli import main

    kind = get_completion_class(shell)
    if kind is None:
        raise click.BadParameter(shell)
    source = kind(main, {}, "zscrape", "_ZSCRAPE_COMPLETE").source()
    if terminal.is_json:
        terminal.answer({"shell": shell, "source": source})
    else:
        terminal.plain(source)
    return OK
