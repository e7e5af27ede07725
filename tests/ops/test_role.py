"""A gateway or a worker as a child process: started, told of, ended."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from zscrape.messages import text
from zscrape.ops.role import Role, RoleError

LISTEN = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]


def test_role_says_when_it_is_ready_and_ends_when_asked(tmp_path: Path) -> None:
    """A gateway tells its addresses, and is gone after `stop`."""
    role = Role("gateway", ["--home", str(tmp_path), *LISTEN])

    ready = role.wait_ready()
    exit_code = role.stop()

    assert ready["http"].startswith("http://127.0.0.1:")
    assert exit_code == 0
    assert not psutil.pid_exists(role.pid)
    assert role.wait() == 0


def test_role_that_fails_to_start_tells_why(tmp_path: Path) -> None:
    """What it wrote before it ended comes with the error."""
    role = Role("gateway", ["--home", str(tmp_path), "--http", "nonsense"], environ=os.environ)

    with pytest.raises(RoleError) as caught:
        role.wait_ready()
    role.stop()

    assert caught.value.exit_code == 3
    assert "nonsense" in caught.value.told
    assert "nonsense" in text(caught.value.text_key, "ko", **caught.value.fields)


def test_role_that_is_never_ready_is_not_waited_for(tmp_path: Path) -> None:
    """After the limit it is ended, and the error says for how long it was waited for."""
    role = Role("gateway", ["--home", str(tmp_path), *LISTEN])

    with pytest.raises(RoleError) as caught:
        role.wait_ready(0.01)
    exit_code = role.stop()

    assert exit_code == -9
    assert "0.01" in text(caught.value.text_key, "en", **caught.value.fields)
    assert "0.01" in text(caught.value.text_key, "ko", **caught.value.fields)
    assert not psutil.pid_exists(role.pid)


def test_role_that_was_killed_can_be_stopped(tmp_path: Path) -> None:
    """Stopping what has died is no error; the code says that it was killed."""
    role = Role("gateway", ["--home", str(tmp_path), *LISTEN])
    role.wait_ready()

    psutil.Process(role.pid).kill()

    assert role.stop() == -9
