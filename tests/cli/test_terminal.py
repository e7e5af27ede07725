"""What is written: tables, cells, colours, and nothing that controls a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Cluster, clean_environ
from zscrape.cli.live import log_line
from zscrape.cli.manner import Manner
from zscrape.cli.result import columns_of, rows_of, write_data, write_files
from zscrape.cli.terminal import Terminal, cell_width, harmless, show
from zscrape.errors import ConfigError

PLAIN = Terminal(Manner())
MACHINE = Terminal(Manner(is_json=True))


def on_a_terminal(*arguments: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run zscrape with a pseudo-terminal for everything; return exit code and output."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "zscrape", *arguments],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    )
    os.close(child)
    output = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # Linux: the last writer has gone
            break
        if not piece:
            break
        output += piece
    os.close(parent)
    return process.wait(), output.decode()


def test_table_in_a_pipe_is_aligned_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are aligned by what they take on screen, Hangul counting two; nothing is cut."""
    PLAIN.table(["name", "n"], [["가나", 1], ["abcdef", 22], [None, "x" * 200]])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "name    n"
    assert lines[1] == "가나    1"
    assert lines[2] == "abcdef  22"
    assert lines[3].endswith("x" * 200)


@pytest.mark.parametrize(("width", "is_drawn"), [(120, True), (60, False)])
def test_a_table_is_drawn_where_words_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, is_drawn: bool
) -> None:
    """On a terminal too narrow for it no heading falls apart: lines are long instead."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    names = ["id", "status", "script", "version", "attempts", "error"]
    Terminal(Manner()).table(names, [["0" * 36, "completed", "noop", "1.0.0", 1, "no " * 30]])

    lines = click.unstyle(capsys.readouterr().out).splitlines()
    heading = next(line for line in lines if "status" in line)
    assert heading.split() == names
    assert any("completed" in line for line in lines)
    assert ("─" in "".join(lines)) is is_drawn


def test_people_s_words_are_silent_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` only answers are written."""
    MACHINE.say("cli.help")
    MACHINE.note("cli.help")
    MACHINE.plain("line")
    MACHINE.answer({"a": [1, None]})

    assert capsys.readouterr() == ('{"a":[1,null]}\n', "")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, ""),
        (1.50, "1.5"),
        (2.0, "2"),
        (True, "true"),
        (["a", "b"], "a, b"),
        ([1, 2], "[1,2]"),
        ({"a": 1}, '{"a":1}'),
        ("two\nlines", "two lines"),
        ("\x1b[2Jgone\x07", "[2Jgone"),
        ("\x9b31m", "31m"),
    ],
)
def test_cell_is_one_harmless_line(value: object, told: str) -> None:
    """Whatever a script brings fits on one line and cannot move the cursor."""
    assert show(value) == told


def test_text_from_outside_keeps_its_lines_only() -> None:
    """A traceback keeps its line ends and tabs; escapes go."""
    assert harmless("a\n\tb\x1b[31mc\x00") == "a\n\tb[31mc"


@pytest.mark.parametrize(("value", "width"), [("abc", 3), ("한글", 4), ("é", 1), ("e\u0301", 1)])
def test_width_counts_columns(value: str, width: int) -> None:
    """Wide letters take two columns, combining marks none."""
    assert cell_width(value) == width


def test_log_line_shows_level_and_fields_but_not_places() -> None:
    """A record of `ctx.log` has its level; what `print` wrote stands alone."""
    logged = log_line({"level": "warning", "stream": "log", "message": "m", "n": 1, "id": 3})
    printed = log_line({"level": "info", "stream": "stdout", "message": "p", "at": "nonsense"})

    assert "warning" in logged
    assert logged.endswith("m  n=1")
    assert printed.endswith("p")
    assert "info" not in printed


def test_rows_are_lists_of_objects() -> None:
    """Only a list of objects is a table; its columns are all names in order."""
    rows = [{"a": 1}, {"b": 2, "a": 3}]

    assert rows_of(rows) == rows
    assert columns_of(rows) == ["a", "b"]
    assert rows_of([1]) == rows_of({}) == rows_of([]) == []


def test_csv_cannot_hide_a_formula(tmp_path: Path) -> None:
    """A cell that a spreadsheet would run is written as text."""
    path = tmp_path / "x.csv"

    write_data(path, [{"a": "=1+1", "b": -1, "c": {"d": 1}, "e": None, "f": True}])

    assert path.read_text(encoding="utf-8-sig").splitlines()[1] == '\'=1+1,-1,"{""d"":1}",,true'


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/tmp/x", "a/b"])
def test_saved_file_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    """A name that is a path is refused."""
    with pytest.raises(ConfigError):
        write_files(tmp_path / "in", {name: b""})

    assert list(tmp_path.iterdir()) == []


# ---- on a terminal -------------------------------------------------------------------


def test_run_on_a_terminal_draws_progress_and_a_table(cluster: Cluster) -> None:
    """A person sees a progress bar while a task runs, then its rows as a table."""
    environ = clean_environ(ZSCRAPE_HOME=str(cluster.home))

    code, output = on_a_terminal("run", "steps", "-p", "pause_s=0.7", environ=environ)

    assert code == 0
    assert "33%" in output or "67%" in output  # one is passed over where the machine is busy
    assert "100%" in output
    assert "step 2" in output
    assert "─" in output  # the table's rule
    assert "한글" in output
    assert '"text"' not in output


def test_followed_run_on_a_terminal_shows_lines_above_the_bar(cluster: Cluster) -> None:
    """Log lines stand above the progress bar; markup in them is not obeyed."""
    environ = clean_environ(ZSCRAPE_HOME=str(cluster.home))

    code, output = on_a_terminal("run", "steps", "--follow", environ=environ)

    assert code == 0
    assert "printed line" in output
    assert "step done" in output


def test_json_on_a_terminal_is_indented_and_alone(cluster: Cluster) -> None:
    """`--json` on a terminal is made to be read, and nothing is drawn around it."""
    environ = clean_environ(ZSCRAPE_HOME=str(cluster.home))

    code, output = on_a_terminal("workers", "list", "--json", environ=environ)

    assert code == 0
    assert output.startswith('{\r\n  "workers"')
    assert "\x1b" not in output
    assert json.loads(output)["workers"][0]["id"] == cluster.worker_id


def test_error_on_a_terminal_is_coloured(tmp_path: Path) -> None:
    """An error stands out."""
    code, output = on_a_terminal(
        "tasks", "list", environ=clean_environ(ZSCRAPE_HOME=str(tmp_path), ZSCRAPE_LANG="ko")
    )

    assert code == 3
    assert "\x1b[31m\x1b[1m오류:" in output
