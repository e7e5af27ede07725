"""Run `zscrape` commands in forks of a process that has imported all of it.

A document has some sixty commands, and most of each one's time would be spent on imports.
Commands come as lines of JSON on standard input; each is answered by its exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import sys
from typing import Any, NoReturn

import zscrape.cli
import zscrape.client
import zscrape.ops

# Modules that verbs import when they run.
_LATE = (
    "httpx",
    "rich.table",
    "rich.progress",
    "uvloop",
    "zscrape.ops.doctor",
    "zscrape.ops.local",
)


def _become(asked: dict[str, Any]) -> NoReturn:
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    for number, path in ((0, os.devnull), (1, asked["out"]), (2, asked["error"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags, 0o600), number)
    code = 1
    try:
        zscrape.cli.main(args=asked["arguments"], prog_name="zscrape")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Answer commands until standard input ends."""
    for package in (zscrape.cli, zscrape.ops):
        for each in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{each.name}")
    for name in _LATE:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
