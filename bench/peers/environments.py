"""An environment of its own for each peer, made by the harness and kept for the next run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path


class Unavailable(Exception):
    """Raised when a peer cannot be had here; the text says why."""


def folder() -> Path:
    """Return where environments are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "zscrape-bench"


def python_with(name: str, packages: tuple[str, ...]) -> Path:
    """Return the interpreter of an environment with these packages.

    Raises:
        Unavailable: It cannot be made; the installer's last line is in the text.
    """
    if not packages:  # all that it needs is in the standard library
        return Path(sys.executable)
    home = folder() / name
    python = home / "bin" / "python"
    mark = home / "packages.txt"
    wanted = "\n".join(packages)
    if mark.is_file() and mark.read_text() == wanted:
        return python
    _run("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(home))
    _run("pip", "install", "--quiet", "--python", str(python), *packages)
    mark.write_text(wanted)
    return python


def versions(python: Path, packages: tuple[str, ...]) -> str:
    """Return which versions of these packages an environment has."""
    names = [each.partition("[")[0].partition("<")[0] for each in packages]
    code = "import importlib.metadata as m, sys; print([(n, m.version(n)) for n in sys.argv[1:]])"
    done = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True)
    return ", ".join(f"{name} {version}" for name, version in ast.literal_eval(done.stdout))


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unavailable((done.stderr.strip() or "uv failed").rpartition("\n")[2])
