"""A PostgreSQL server of its own for tests: in a temporary folder, on a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path

import psycopg
import pytest

PACKAGE = "postgresql"
# A test has this many databases at most. Three hundred files each: those of a whole folder's
# tests take minutes to remove on a machine that is busy.
_KEPT_COUNT = 8


def _program(name: str) -> str | None:
    """Return a program of the server; Debian keeps them out of the way, the newest last."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name)
    return shutil.which(name, path=os.pathsep.join(map(str, reversed(folders)))) or shutil.which(
        name
    )


class Server:
    """A running server; `url` makes a fresh database."""

    def __init__(self) -> None:
        initdb = _program("initdb")
        if initdb is None:
            pytest.skip(f"needs the Debian package {PACKAGE}")
        self._folder = Path(tempfile.mkdtemp(prefix="zspg-"))  # a socket's path must be short
        self._numbers = count(1)
        # It refuses to run as root: Debian's package brings a user for it.
        self._as: tuple[str, ...] = ()
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
            self._as = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        data = self._folder / "data"
        self._run(initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync")
        with (data / "postgresql.conf").open("a") as file:
            file.write(
                f"unix_socket_directories = '{self._folder}'\nlisten_addresses = ''\n"
                "fsync = off\nmax_connections = 200\n"
            )
        self.start()

    def _run(self, *command: str) -> None:
        subprocess.run(
            [*self._as, *command],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self._folder,
            timeout=60,
        )

    def _control(self, *arguments: str) -> None:
        program = _program("pg_ctl")
        assert program is not None
        data, log = str(self._folder / "data"), str(self._folder / "log")
        self._run(program, "-D", data, "-l", log, "-w", *arguments)

    def start(self) -> None:
        """Start it again."""
        self._control("start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash."""
        self._control("stop", "-m", mode)

    def address(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def url(self, encoding: str = "UTF8") -> str:
        """Return the address of a fresh database; those of earlier tests go."""
        number = next(self._numbers)
        name, over = f"test{number}", f"test{max(number - _KEPT_COUNT, 0)}"
        as_told = f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {over} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name} {as_told}".encode())
        return self.address(name)

    def close(self) -> None:
        """Stop it for good."""
        self.stop("immediate")
        shutil.rmtree(self._folder)
