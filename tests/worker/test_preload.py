"""Modules that a manifest has imported once, before its attempts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.worker.conftest import Stage, is_alive, until
from zscrape.model import OutcomeCode
from zscrape.worker import templates

pytestmark = pytest.mark.asyncio(loop_scope="session")

_TELLS = """
import sys
ahead = {name for name in ("sqlite3", "xml.etree.ElementTree") if name in sys.modules}
def run():
    return sorted(ahead)
"""


async def test_attempts_begin_with_what_they_preload(stage: Stage) -> None:
    """Its modules are there before any of the script's code; other scripts do not have them."""
    name = stage.write(_TELLS)
    options = {"preload": ("sqlite3", "xml.etree.ElementTree")}

    loaded = [stage.begin(name, **options) for _ in range(2)]
    plain = stage.begin(name)
    for each in (*loaded, plain):
        await each.finished.wait()

    assert [each.data for each in loaded] == [["sqlite3", "xml.etree.ElementTree"]] * 2
    assert plain.data == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
        ("concurrent.futures._no", "No module named 'concurrent.futures._no'"),
    ],
)
async def test_a_module_that_is_not_there_is_told(stage: Stage, source: str, words: str) -> None:
    """Each attempt says which module is missing, and other scripts run on."""
    name = stage.write(_TELLS)

    missing = stage.begin(name, preload=(source,))
    await missing.finished.wait()
    plain = stage.begin(name)
    await plain.finished.wait()

    assert missing.outcome.code is OutcomeCode.ENVIRONMENT_ERROR
    assert words in str(missing.outcome.fields["reason"])
    assert plain.data == []


async def test_an_error_of_several_lines_is_told_by_its_first(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows is no word of a template's, whatever it begins with."""
    template = next(iter(stage.slots._templates._templates.values()))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, monkeypatch.context() as patched:
        patched.setattr(template, "_control", ours)
        patched.setattr(template, "failure", "")
        theirs.send("E RuntimeError: one\nP two\nX three\n한".encode())
        template._on_control()

        assert template.failure == "RuntimeError: one"


async def test_its_template_goes_when_nobody_needs_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template with further modules is closed after a while, and starts again when asked for."""
    name = stage.write(_TELLS)
    first = stage.begin(name, preload=("sqlite3",))
    await first.finished.wait()
    await stage.until_quiet()
    pids = [pid for kind, pid in stage.slots.template_pids.items() if "sqlite3" in kind]

    monkeypatch.setattr(templates, "_RARE_IDLE_S", 0.0)
    stage.slots._templates._close_idle(first_time(stage) + 1)
    await until(lambda: not any(map(is_alive, pids)))
    monkeypatch.undo()
    second = stage.begin(name, preload=("sqlite3",))
    await second.finished.wait()

    assert pids
    assert second.data == ["sqlite3"]


def first_time(stage: Stage) -> float:
    """Return the time of the stage's loop."""
    return stage.slots._loop.time()


async def test_where_others_code_is_loaded_nothing_is_pinned(stage: Stage) -> None:
    """A template with a script's choice of modules has no ring that these could hand on."""
    source = "def run():\n    return 1\n"
    for preload in ((), ("sqlite3",)):
        assert (await stage.run(source, preload=preload)).data == 1
    held = {kind: _has_ring(pid) for kind, pid in stage.slots.template_pids.items()}
    if not held[""]:
        pytest.skip("this kernel has no io_uring, or keeps it from this user")

    assert not any(has_ring for kind, has_ring in held.items() if "sqlite3" in kind)
    assert any("sqlite3" in kind for kind in held)


def _has_ring(pid: int) -> bool:
    return any("io_uring" in str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir())
